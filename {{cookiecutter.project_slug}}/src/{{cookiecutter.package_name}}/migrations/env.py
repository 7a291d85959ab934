"""What Alembic runs before migrations: `alembic upgrade heads`, or `make migrate`."""

from {{ cookiecutter.package_name }}.config import SQL
from {{ cookiecutter.package_name }}.models import Base
from {{ cookiecutter.package_name }}.runtime.sql import migrations

migrations.run(SQL.load().address, Base.metadata)
