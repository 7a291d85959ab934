"""Where everything is."""

from django.contrib import admin
from django.urls import path

from ..runtime.django import health
from . import views

urlpatterns = [
    path("admin/", admin.site.urls),
    path("health/live", health.live),
    path("health/ready", health.ready),
    path("jobs/<uuid:job_id>", views.job, name="job"),
    path("jobs/<slug:name>", views.submit),
]
