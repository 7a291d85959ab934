"""Django beside Celery: the app of jobs, tasks that are sent on commit, settings, views, commands.

`INSTALLED_APPS` names this package; its label is `jobs`.
"""
