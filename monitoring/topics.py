"""The topic of the dashboard: its figures, said anew every few seconds while somebody watches."""

from typing import Any

from django.template.loader import render_to_string

from lobby.live.connections import sync_redis
from lobby.live.streams import key, publish
from lobby.live.topics import Snapshot, Topic
from monitoring import board

TOPIC = "dashboard:0"
SAID = "lobby:dashboard:said"
PAUSE_MS = 2000  # one process says them, for all
KEPT = 3  # events: whoever missed more begins with a snapshot


def may_see(user: Any) -> bool:
    return bool(user.is_active and (user.is_staff or user.has_perm("monitoring.see_metrics")))


def may_attach(user: Any, ident: str) -> bool:
    return ident == "0" and user.is_authenticated and may_see(user)


def snapshot(ident: str) -> Snapshot:
    return {"type": "snapshot"} | _figures()


def renew(ident: str) -> None:
    """Raises RedisError, django.db.Error."""
    client = sync_redis()
    if client.set(SAID, 1, nx=True, px=PAUSE_MS):
        publish(TOPIC, {"type": "dashboard.figures"} | _figures())
        client.xtrim(key(TOPIC), maxlen=KEPT, approximate=False)


def _figures() -> dict[str, Any]:
    """For programs `samples`, for the page the same as the server shows it."""
    seen = board.look()
    html = render_to_string("monitoring/figures.html", {"board": seen})
    return {"at": seen.at.isoformat(), "samples": board.as_json(seen.samples), "html": html}


DASHBOARD = Topic(may_attach=may_attach, snapshot=snapshot, renew=renew)
