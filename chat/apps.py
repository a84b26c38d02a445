from django.apps import AppConfig


class ChatConfig(AppConfig):
    name = "chat"

    def ready(self) -> None:
        from agents.purposes import PURPOSES
        from chat import own_data, replies, storage, titles, topics
        from lobby.accounts.own_data import PARTS
        from lobby.live.topics import TOPICS

        PURPOSES[replies.PURPOSE] = replies.settle
        PURPOSES[titles.PURPOSE] = titles.settle
        TOPICS["chat"] = topics.CHAT
        PARTS["chat"] = own_data.PART
        storage.connect()
