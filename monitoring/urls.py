from django.urls import path

from monitoring import probes, trail_views, views, watching

urlpatterns = [
    path("audit/", trail_views.audit_trail, name="audit"),
    path("audit/export/", trail_views.export_audit, name="audit-export"),
    path("dashboard/", views.dashboard, name="dashboard"),
    path("dashboard/alerts/", watching.open_alerts, name="alerts"),
    path("dashboard/alerts/<uuid:pk>/acknowledge/", watching.acknowledge, name="alert-acknowledge"),
    path("health", probes.health, name="health"),
    path("health/live", probes.live, name="health-live"),
    path("health/ready", probes.readiness, name="health-ready"),
    path("health/deep", watching.deep, name="health-deep"),
    path("metrics", views.metrics, name="metrics"),
]
