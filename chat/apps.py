from django.apps import AppConfig


class ChatConfig(AppConfig):
    name = "chat"

    def ready(self) -> None:
        from agents.purposes import PURPOSES
        from chat import replies, titles, topics
        from lobby.live.topics import TOPICS

        PURPOSES[replies.PURPOSE] = replies.settle
        PURPOSES[titles.PURPOSE] = titles.settle
        TOPICS["chat"] = topics.CHAT
