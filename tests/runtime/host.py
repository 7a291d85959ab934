"""What these tests have to know about the project in which they run."""

from importlib.util import find_spec
from pathlib import Path

from my_celery_project import config
from my_celery_project.celery import app
from my_celery_project.runtime.config.results import KeptResults

ROOT = Path(str(config.__file__)).parents[2]
SCHEMES = config.Base.result_schemes

#: URLs as a production has them; `s3cr3t` may be shown nowhere.
BROKER = {
    "Redis": "redis://:s3cr3t@redis.internal:6379/0",
    "RabbitMQ": "amqp://app:s3cr3t@rabbitmq.internal:5672/app",
}[app.broker.name]
RESULTS_ARE_IN_REDIS = "redis" in SCHEMES
RESULTS = "rpc://" if "rpc" in SCHEMES else ""
if RESULTS_ARE_IN_REDIS:
    RESULTS = "redis://:s3cr3t@redis.internal/1"
HAS_POSTGRESQL = "postgresql" in getattr(getattr(config.Base, "database", None), "dialects", ())
DATABASE = (
    "postgresql://app:s3cr3t@postgres.internal/app"
    if HAS_POSTGRESQL
    else "sqlite:////var/lib/app/app.sqlite"
)

KEEPS_RESULTS = issubclass(config.Base, KeptResults)
HAS_BEAT = find_spec(f"{app.main}.runtime.beat") is not None
