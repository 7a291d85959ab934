"""Django support: jobs, tasks that are sent on commit, settings, views and commands.

`INSTALLED_APPS` lists this package; its app label is `jobs`.
"""
