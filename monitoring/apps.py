from django.apps import AppConfig


class MonitoringConfig(AppConfig):
    name = "monitoring"

    def ready(self) -> None:
        from lobby.live.reports import COUNTERS
        from lobby.live.topics import TOPICS
        from monitoring import topics
        from monitoring.requests import count_requests

        COUNTERS["requests"] = count_requests
        TOPICS["dashboard"] = topics.DASHBOARD
