"""The engine room: code that every project from this template shares, and that nobody edits.

`README.md` beside this file explains it. An update of the template replaces the whole folder.
"""

__version__ = "0.1.0"
