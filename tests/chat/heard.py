"""What was said on topics, and what waits for the workers."""

from typing import Any

import orjson

from lobby.live.connections import sync_redis
from lobby.live.streams import key as stream


def events(topic: str) -> list[dict[str, Any]]:
    return [orjson.loads(fields[b"e"]) for _, fields in sync_redis().xrange(stream(topic))]  # type: ignore[union-attr]


def sent_to_workers() -> list[str]:
    """The arguments of the rendering tasks that wait in Celery's queue, the first sent first."""
    waiting: Any = sync_redis().lrange("lobby", 0, -1)
    headers = [orjson.loads(message)["headers"] for message in reversed(waiting)]
    return [task["argsrepr"] for task in headers if task["task"] == "chat.tasks.render_reply"]
