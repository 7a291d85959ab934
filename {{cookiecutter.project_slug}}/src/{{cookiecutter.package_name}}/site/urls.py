{% set service = "FollowedJobService" if cookiecutter.__results else "JobService" %}
"""The URLs: the API{{ " with its live page" if cookiecutter.__results }}, the older paths of jobs, and the admin."""

from django.contrib import admin
from django.urls import path

{% if cookiecutter.__results and cookiecutter.__examples %}
from ..artifacts import artifacts
{% endif %}
from ..celery import app
from ..queues import Priority
from ..runtime.django import {{ "followed, " if cookiecutter.__results }}home, jobs, urls
from ..runtime.django.{{ "followed" if cookiecutter.__results else "service" }} import {{ service }}
from .catalog import ALLOWED, JOBS

service = {{ service }}(app, ALLOWED, Priority{{ ", artifacts=artifacts" if cookiecutter.__results and cookiecutter.__examples }})

urlpatterns = [
    path("", home.home),
    *urls.routes(service),
{% if cookiecutter.__results %}
    *followed.routes(service),
{% endif %}
    *jobs.routes(service, JOBS),
    path("admin/", admin.site.urls),
]
