from django.apps import AppConfig


class AgentsConfig(AppConfig):
    name = "agents"

    def ready(self) -> None:
        from agents import pulls, trials
        from lobby.live.topics import TOPICS

        TOPICS["host"] = pulls.HOST
        TOPICS["trial"] = trials.TRIAL
