import os

from django.apps import AppConfig
from django.contrib.admin import apps


class AdminConfig(apps.AdminConfig):
    default = False
    default_site = "lobby.site.LobbySite"


class LobbyConfig(AppConfig):
    name = "lobby"
    default = True

    def ready(self) -> None:
        from lobby import celery, traces  # noqa: F401, PLC0415  (binds the shared tasks of every process to our broker)
        from lobby.accounts import sessions  # noqa: PLC0415  (names models, which are not there earlier)

        sessions.connect()
        if os.environ.get("LOBBY_PROCESS") == "web":  # workers and beat begin when Celery says what they are
            traces.start(process="web")
