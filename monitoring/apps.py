from django.apps import AppConfig


class MonitoringConfig(AppConfig):
    name = "monitoring"

    def ready(self) -> None:
        from lobby.live.reports import COUNTERS
        from monitoring.requests import count_requests

        COUNTERS["requests"] = count_requests
