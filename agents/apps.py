from django.apps import AppConfig


class AgentsConfig(AppConfig):
    name = "agents"

    def ready(self) -> None:
        from agents import limits, own_data, pulls, trials
        from lobby.accounts.own_data import PARTS
        from lobby.live.topics import TOPICS

        PARTS["agents"] = own_data.PART
        TOPICS["host"] = pulls.HOST
        TOPICS["trial"] = trials.TRIAL
        limits.connect()
