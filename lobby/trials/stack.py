"""What `lobby evaluate` runs on: the installation that DATABASE_URL names, else all it needs on throw-away data."""

import os
import shutil
import tempfile
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from functools import partial
from pathlib import Path

from lobby.bench.stack import NO_LIMIT, Stack, answers, environment, set_up_django, start_processes
from lobby.embedded import given, postgres, programs, valkey
from lobby.embedded.child import StartFailed
from lobby.embedded.home import free_port
from lobby.embedded.up import MODEL_CONTEXT, MODEL_SLOTS, setting

UNLIMITED = {f"LOBBY_{name}": NO_LIMIT for name in ("DEBATES_PER_USER", "DEBATES_PER_HOUR", "TOKENS_PER_DAY")}


@contextmanager
def engine(*, host: str, doing: Callable[[str], None]) -> Iterator[str]:
    """Django set up in this process, and workers that work; gives what to call it. Raises StartFailed."""
    if setting("DATABASE_URL"):
        yield join(host=host)
        return
    home = Path(tempfile.mkdtemp(prefix="lobby-evaluate-"))
    stack = Stack(home, environment(os.environ, home) | UNLIMITED)
    try:
        name = start_services(stack, host=host or setting("OLLAMA_HOST"), doing=doing)
        doing("Preparing the database")
        set_up_django(stack.env)
        first_data()
        doing("Starting the worker")
        start_processes(stack, web=0, workers=1)
        stack.wait_until_ready()
        yield name
    finally:
        doing("Stopping")
        stack.stop()
        shutil.rmtree(home, ignore_errors=True)


def join(*, host: str) -> str:
    """The limits on debates hold for people; ours are this process' own business."""
    if host:
        raise StartFailed(
            "--host is for an evaluation of its own; with DATABASE_URL the installation's hosts are asked"
        )
    os.environ.update(UNLIMITED | {"DJANGO_SETTINGS_MODULE": "lobby.settings"})
    import django  # noqa: PLC0415 - not before its settings can be read
    from django.core.exceptions import ImproperlyConfigured  # noqa: PLC0415

    try:
        django.setup()
    except ImproperlyConfigured as error:
        raise StartFailed(str(error)) from error
    if url := os.environ.get("DATABASE_URL"):
        return given.check_database(url)
    return "the installation"


def start_services(stack: Stack, *, host: str, doing: Callable[[str], None]) -> str:
    doing("Starting PostgreSQL and Valkey")
    stack.env |= {"DATABASE_URL": stack.add("postgres", partial(postgres.start, stack.home)).url}
    redis = stack.add("valkey", partial(valkey.start, stack.home, address=valkey.new_address()))
    stack.env |= {"REDIS_URL": redis.url}
    if not host:
        return start_model(stack, doing=doing)
    url = given.ollama_address(host)
    stack.env |= {"OLLAMA_HOST": url}
    return given.check_ollama(url)


def start_model(stack: Stack, *, doing: Callable[[str], None]) -> str:
    doing("Loading the embedded model")
    port = free_port()
    command = programs.model(port=port, slots=MODEL_SLOTS, context=MODEL_CONTEXT)
    model = stack.add_process("model", command, url=f"http://127.0.0.1:{port}")
    stack.env |= {"OLLAMA_HOST": model.url, "LOBBY_EMBEDDED_MODEL": "yes", "OLLAMA_NUM_PARALLEL": str(MODEL_SLOTS)}
    stack.wait_for("model", lambda: answers(f"{model.url}/api/version"))
    return "the embedded demonstration model"


def first_data() -> None:
    """Agents, the host, and what the host has."""
    from agents.hosts import probe_all  # noqa: PLC0415 - Django is set up by now
    from agents.seed import seed  # noqa: PLC0415

    seed()
    probe_all()
