from django.apps import AppConfig


class MonitoringConfig(AppConfig):
    name = "monitoring"

    def ready(self) -> None:
        from lobby.accounts.own_data import PARTS
        from lobby.live.reports import COUNTERS
        from lobby.live.topics import TOPICS
        from monitoring import own_data, topics
        from monitoring.requests import count_request_seconds, count_requests

        COUNTERS["requests"] = count_requests
        COUNTERS["request_seconds"] = count_request_seconds
        PARTS["monitoring"] = own_data.PART
        TOPICS["dashboard"] = topics.DASHBOARD
