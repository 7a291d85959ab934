"""The command line of Django: `python manage.py COMMAND`."""

import os
import sys

from django.core.management import execute_from_command_line

SETTINGS = "{{ cookiecutter.package_name }}.site.settings"

if __name__ == "__main__":
    os.environ.setdefault("DJANGO_SETTINGS_MODULE", SETTINGS)
    execute_from_command_line(sys.argv)
