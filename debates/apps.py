from django.apps import AppConfig


class DebatesConfig(AppConfig):
    name = "debates"

    def ready(self) -> None:
        from agents.purposes import PURPOSES
        from debates import limits, own_data, speeches, topics, voting
        from lobby.accounts.own_data import PARTS
        from lobby.live.topics import TOPICS

        PURPOSES[speeches.PURPOSE] = speeches.settle
        PURPOSES[voting.PURPOSE] = voting.settle
        PURPOSES[voting.PROBE_PURPOSE] = voting.settle_probe
        TOPICS["debate"] = topics.DEBATE
        PARTS["debates"] = own_data.PART
        limits.connect()
