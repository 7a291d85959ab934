"""Alembic's environment, which `alembic upgrade heads` and `make migrate` run."""

from {{ cookiecutter.package_name }}.config import SQL
from {{ cookiecutter.package_name }}.models import Base
from {{ cookiecutter.package_name }}.runtime.sql import migrations

migrations.run(SQL.load().address, Base.metadata)
