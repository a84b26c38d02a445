"""HTTP through Django's WSGI door in a pool of threads (twice as fast as its ASGI door, docs/architecture.md);
sockets and event streams on the loop."""

import os
import sys
from typing import Any

# How long a view's thread may keep the loop of sockets waiting at a time; 5 ms by default.
sys.setswitchinterval(0.001)

os.environ.setdefault("DJANGO_SETTINGS_MODULE", "lobby.settings")
os.environ.setdefault("LOBBY_PROCESS", "web")  # before the settings are read: views share a connection pool

from channels.auth import AuthMiddlewareStack  # noqa: E402
from channels.routing import ProtocolTypeRouter, URLRouter  # noqa: E402
from channels.security.websocket import AllowedHostsOriginValidator  # noqa: E402
from django.conf import settings  # noqa: E402
from django.core.wsgi import get_wsgi_application  # noqa: E402
from django.urls import path  # noqa: E402

from lobby.door import Door  # noqa: E402
from lobby.garbage import keep_what_is_there  # noqa: E402

wsgi = get_wsgi_application()
django = Door(wsgi, threads=8, longest=settings.DATA_UPLOAD_MAX_MEMORY_SIZE)
probes = Door(wsgi, threads=2, longest=0)  # its own, so that health is told while the others wait for a database

from agents.consumers import LiveConsumer  # noqa: E402  (the apps are ready from here on)
from lobby.accounts.bearer import or_key  # noqa: E402
from lobby.accounts.gate import admit  # noqa: E402
from lobby.live import reports, sse  # noqa: E402
from monitoring import lookout  # noqa: E402

event_stream = or_key(AuthMiddlewareStack(admit(sse.application)), sse.application)


async def http(scope, receive, send):  # type: ignore[no-untyped-def]
    await door_for(scope["path"])(scope, receive, send)


def door_for(path: str) -> Any:
    if path.startswith("/health"):
        return probes
    return event_stream if sse.matches(path) else django


application = ProtocolTypeRouter(
    {
        "http": http,
        "lifespan": lookout.from_startup(reports.lifespan),
        "websocket": AllowedHostsOriginValidator(
            AuthMiddlewareStack(admit(URLRouter([path("ws/", LiveConsumer.as_asgi())])))
        ),
    }
)

keep_what_is_there()
