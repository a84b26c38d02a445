from django.apps import AppConfig


class LobbyConfig(AppConfig):
    name = "lobby"

    def ready(self) -> None:
        from lobby import celery  # noqa: F401, PLC0415  (binds the shared tasks of every process to our broker)
