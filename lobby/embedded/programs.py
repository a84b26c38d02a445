"""The commands of our own processes: one place, so that `lobby up`, the tests and the container images run the same."""

import os
import sys
from pathlib import Path

PROJECT = Path(__file__).resolve().parents[2]
KEEP_ALIVE = 75  # seconds; longer than browsers and proxies keep a connection that they may just be using
GRACE = 3  # seconds a stopping web process gives its open connections


def web(*, host: str, port: int) -> list[str]:
    """Why each option: docs/architecture.md. `sansio` blocks on a slow reader instead of buffering without bound."""
    return [
        *(sys.executable, "-m", "uvicorn", "lobby.asgi:application", "--host", host, "--port", str(port)),
        *("--loop", "uvloop", "--ws", "websockets-sansio", "--ws-per-message-deflate", "false"),
        *("--ws-max-size", str(1024 * 1024)),
        *("--timeout-keep-alive", str(KEEP_ALIVE), "--timeout-graceful-shutdown", str(GRACE)),
        *("--no-access-log", "--no-server-header"),
    ]


def worker(*, name: str) -> list[str]:
    """Threads: the generations of a process stream on the runner's one loop, its tasks are short."""
    return [
        *celery("worker"),
        *("--pool", "threads", "--concurrency", "4"),
        *("--without-gossip", "--without-mingle", "--without-heartbeat", "--hostname", f"{name}@%h"),
    ]


def beat(*, schedule: Path) -> list[str]:
    return [*celery("beat"), "--schedule", str(schedule), "--pidfile="]


def model(*, port: int, slots: int, context: int) -> list[str]:
    """`context` is in tokens, of one slot."""
    return [
        *(sys.executable, "-m", "lobby.embedded.model_server", "--host", "127.0.0.1", "--port", str(port)),
        *("--parallel", str(slots), "--context", str(context), "--parent", str(os.getpid())),
    ]


def celery(part: str) -> list[str]:
    return [sys.executable, "-m", "celery", "--app", "lobby", "--quiet", part, "--loglevel", "INFO"]
