from django.urls import path

from monitoring import probes, views

urlpatterns = [
    path("dashboard/", views.dashboard, name="dashboard"),
    path("health", probes.health, name="health"),
    path("health/live", probes.live, name="health-live"),
    path("health/ready", probes.readiness, name="health-ready"),
    path("metrics", views.metrics, name="metrics"),
]
