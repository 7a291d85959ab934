"""The engine room: what every project of this kind needs, and nobody edits.

`README.md` beside this file says what is where. An update of the template replaces it whole.
"""

__version__ = "0.1.0"
