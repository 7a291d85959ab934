"""What Alembic runs before migrations: `alembic upgrade heads`, or `make migrate`."""

from {{ cookiecutter.package_name }}.models import Base
from {{ cookiecutter.package_name }}.runtime.sql import (
    migrations,
    settings,
)

migrations.run(settings.load().address, Base.metadata)
