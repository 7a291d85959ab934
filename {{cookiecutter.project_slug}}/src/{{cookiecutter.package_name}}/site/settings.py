"""Django's settings for every environment, which `APP_ENV` chooses and variables override.

All settings: https://docs.djangoproject.com/en/stable/ref/settings/
"""

from pathlib import Path
from typing import Any

import dj_database_url

from .. import config
from ..celery import app
from ..runtime.django import environment
from ..runtime.logs import setup as logs
{% if cookiecutter.__results %}
from ..runtime.web import pages
{% endif %}
{% if cookiecutter.__examples %}
from ..settings import settings
{% endif %}

PACKAGE = __package__.partition(".")[0]

# Importing the app has already read .env.
env = environment.load()

SECRET_KEY = env.secret_key
DEBUG = not env.is_server
ALLOWED_HOSTS = list(env.allowed_hosts)
CSRF_TRUSTED_ORIGINS = list(env.csrf_trusted_origins)
ROOT_URLCONF = f"{PACKAGE}.site.urls"
WSGI_APPLICATION = f"{PACKAGE}.site.wsgi.application"

INSTALLED_APPS = [
    "django.contrib.admin",
    "django.contrib.auth",
    "django.contrib.contenttypes",
    "django.contrib.sessions",
    "django.contrib.messages",
    "django.contrib.staticfiles",
{% if cookiecutter.beat == "database" %}
    "django_celery_beat",
{% endif %}
{% if cookiecutter.result_backend == "database" %}
    "django_celery_results",
{% endif %}
    f"{PACKAGE}.runtime.django",
{% if cookiecutter.__examples %}
    f"{PACKAGE}.mailings",
{% endif %}
{% if cookiecutter.__gallery %}
    f"{PACKAGE}.payments",
{% endif %}
]

MIDDLEWARE = [
    f"{PACKAGE}.runtime.django.middleware.bind_request",
    "django.middleware.security.SecurityMiddleware",
    "whitenoise.middleware.WhiteNoiseMiddleware",
    "django.contrib.sessions.middleware.SessionMiddleware",
    "django.middleware.common.CommonMiddleware",
    "django.middleware.csrf.CsrfViewMiddleware",
    "django.contrib.auth.middleware.AuthenticationMiddleware",
    "django.contrib.messages.middleware.MessageMiddleware",
    "django.middleware.clickjacking.XFrameOptionsMiddleware",
]

TEMPLATES = [
    {
        "BACKEND": "django.template.backends.django.DjangoTemplates",
        "APP_DIRS": True,
        "OPTIONS": {
            "context_processors": [
                "django.template.context_processors.request",
                "django.contrib.auth.context_processors.auth",
                "django.contrib.messages.context_processors.messages",
            ]
        },
    }
]

# Web processes keep their connections; Celery closes a task's connections after the task.
DATABASES: dict[str, Any] = {
    "default": dj_database_url.parse(
        env.database_url, conn_max_age=env.conn_max_age, conn_health_checks=True
    )
}
DEFAULT_AUTO_FIELD = "django.db.models.BigAutoField"
if "sqlite" in DATABASES["default"]["ENGINE"]:
    database = DATABASES["default"]
    file = Path(database["NAME"]).absolute()
    file.parent.mkdir(parents=True, exist_ok=True)
    database["NAME"] = str(file)
    # Workers and web processes write to the same file. A transaction waits for the lock when it
    # begins; if it read first, it would fail at once: https://www.sqlite.org/isolation.html
    database["OPTIONS"] = {
        "transaction_mode": "IMMEDIATE",
        "timeout": 20,
        "init_command": "PRAGMA journal_mode=WAL; PRAGMA synchronous=NORMAL",
    }
    # Use a file, because the threads of a worker cannot share a database in memory.
    database["TEST"] = {"NAME": f"{file}.test"}

PASSWORDS = "django.contrib.auth.password_validation"
AUTH_PASSWORD_VALIDATORS = [
    {"NAME": f"{PASSWORDS}.{name}"}
    for name in (
        "UserAttributeSimilarityValidator",
        "MinimumLengthValidator",
        "CommonPasswordValidator",
        "NumericPasswordValidator",
    )
]

LANGUAGE_CODE = "en"
TIME_ZONE = app.conf.timezone
USE_TZ = True

STATIC_URL = "static/"
{% if cookiecutter.__results %}
STATICFILES_DIRS = [("pages", pages.FOLDER)]  # what the live page loads
{% endif %}
STATIC_ROOT = env.static_root.absolute()
WHITENOISE_USE_FINDERS = DEBUG
if DEBUG:
    STATIC_ROOT.mkdir(parents=True, exist_ok=True)  # whitenoise warns if it is missing

# gunicorn passes on the scheme that a proxy in FORWARDED_ALLOW_IPS reports.
SECURE_SSL_REDIRECT = SESSION_COOKIE_SECURE = CSRF_COOKIE_SECURE = env.is_server
SECURE_REDIRECT_EXEMPT = [r"^health/"]  # probes speak plain HTTP
SECURE_HSTS_SECONDS = env.secure_hsts_seconds if env.is_server else 0
SECURE_HSTS_INCLUDE_SUBDOMAINS = env.secure_hsts_include_subdomains
SECURE_HSTS_PRELOAD = env.secure_hsts_preload

# Log lines are those of Celery's processes.
LOGGING = logs.configuration(app.settings.log_format, env.log_level)

# Tokens of the API: for clients, who send tasks, and for administrators.
API_TOKEN = env.app_api_token
ADMIN_TOKEN = env.admin_token

# Celery's settings, where Django packages look for them: the app's own values, not a second copy. A
# setting that is written in this file has no effect on Celery, and `manage.py check` reports it.
for name in config.Base.model_fields:
    globals().setdefault(f"CELERY_{name.upper()}", app.conf[name])
{% if cookiecutter.__examples %}

# Django sends mail to the same server as the tasks.
EMAIL_BACKEND = "django.core.mail.backends.smtp.EmailBackend"
if not settings().smtp_host:
    EMAIL_BACKEND = "django.core.mail.backends.filebased.EmailBackend"
EMAIL_FILE_PATH = ".celery/outbox"
EMAIL_HOST = settings().smtp_host
EMAIL_PORT = settings().smtp_port
EMAIL_HOST_USER = settings().smtp_username
EMAIL_HOST_PASSWORD = settings().smtp_password.get_secret_value()
EMAIL_USE_TLS = settings().smtp_starttls
EMAIL_TIMEOUT = settings().smtp_timeout
DEFAULT_FROM_EMAIL = SERVER_EMAIL = settings().mail_from
{% endif %}
