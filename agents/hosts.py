"""Model hosts: which model answers for an agent, and what each host says of itself."""

import asyncio
import time
from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any

import orjson
from django.conf import settings
from django.db.models.functions import Now

from agents.addresses import why_not
from agents.breaker import Breakers
from agents.errors import ModelUnavailable
from agents.models import Agent, Host
from agents.ollama import BadReply, Client, HostUnreachable, OllamaError
from lobby.database import in_database
from lobby.live.connections import async_redis


def hosts_of(agent: Agent) -> list[Host]:
    """The enabled hosts that may answer for this agent, whatever models they have."""
    return list(Host.objects.enabled().filter(**{"pk": agent.host_id} if agent.host_id else {}))


def resolve_model(agent: Agent, *, hosts: list[Host] | None = None, wanted: str = "") -> str:
    """The installed name of the model that answers for this agent (or of the one wanted), on one of its hosts.

    Raises ModelUnavailable, saying which models there are.
    """
    hosts = hosts_of(agent) if hosts is None else hosts
    if not hosts:
        raise ModelUnavailable(
            f"The model host of {agent.name} is switched off or gone."
            if agent.host_id
            else "No model host is connected: an admin adds one under Admin → Hosts."
        )
    wanted = wanted or agent.model or settings.DEFAULT_MODEL
    if not wanted:
        return _first_chat_model(hosts)
    names = [name for host in hosts for name in host.model_names]
    for name in (wanted, f"{wanted}:latest"):
        if name in names:
            return name
    if any(host.state == Host.State.UNKNOWN for host in hosts):
        return wanted  # not asked yet: the host itself will say
    raise ModelUnavailable(f"No model host has the model {wanted}. {_there_are(names)}")


def _there_are(names: Iterable[str]) -> str:
    listed = ", ".join(sorted(set(names))[:20])
    return f"There are: {listed}." if listed else "They have none: pull one with `ollama pull`."


def _first_chat_model(hosts: list[Host]) -> str:
    for host in hosts:
        for model in host.installed:
            if "embedding" not in model.get("capabilities", ()):
                return str(model["name"])
    raise ModelUnavailable("The model hosts have no chat model yet: pull one with `ollama pull`.")


@dataclass(frozen=True, slots=True)
class HeldModel:
    """A model of a host as its page shows it. Contexts in tokens, size in bytes; None: the host did not say."""

    name: str
    size: int | None
    parameters: str
    quantization: str
    context_length: int | None  # the longest it was made for
    capabilities: str
    is_loaded: bool
    loaded: int | None  # the context with which it is in memory


def models_of(host: Host) -> list[HeldModel]:
    """What is installed, and what is loaded though the list does not name it."""
    known = {model["name"]: model for model in host.installed}
    return [_held(host, name, known.get(name, {})) for name in dict.fromkeys([*known, *host.loaded])]


def _held(host: Host, name: str, model: dict[str, Any]) -> HeldModel:
    return HeldModel(
        name=name,
        size=model.get("size") or None,
        parameters=model.get("parameter_size", ""),
        quantization=model.get("quantization", ""),
        context_length=model.get("context_length"),
        capabilities=", ".join(model.get("capabilities") or ()),
        is_loaded=name in host.loaded,
        loaded=host.loaded.get(name),
    )


def capable(host: Host, model: str) -> bool:
    return host.state == Host.State.UNKNOWN or model in host.model_names


async def probe(host: Host, *, breakers: Breakers, within: float = 10) -> None:
    """Ask a host for its version, its models and what is loaded, and write down what it said, in so many seconds."""
    began = time.perf_counter()
    try:
        async with asyncio.timeout(within):
            found = await _ask(host.base_url)
    except (OllamaError, TimeoutError) as error:
        reason = error.message if isinstance(error, OllamaError) else f"It did not answer within {within:g} s."
        found = {"state": Host.State.DOWN, "state_reason": reason}
    else:
        found["latency_ms"] = round((time.perf_counter() - began) * 1000 / 3, 1)
    await in_database(Host.objects.filter(pk=host.pk).update, probed_at=Now(), **found)
    if host.state == Host.State.DOWN and found["state"] == Host.State.UP:
        await breakers.allow_probes(host.pk)


async def _ask(address: str) -> dict[str, Any]:
    if reason := await asyncio.to_thread(why_not, address):  # what a name means may have changed since it was entered
        raise HostUnreachable(reason)
    async with Client(address) as client:
        if not (version := await client.version()):
            raise BadReply("What answers there tells no version: is it Ollama at this address?")
        installed, loaded = await client.models(), await client.loaded()
    return {
        "state": Host.State.UP,
        "state_reason": "",
        "version": version[:40],
        "installed": orjson.loads(orjson.dumps(installed)),
        "loaded": {model.name: model.context_length for model in loaded},
    }


def probe_all() -> None:
    probe_now(Host.objects.enabled())


def probe_now(hosts: Iterable[Host]) -> None:
    """Ask all of them at once; takes as long as the slowest, 10 s at most."""
    asyncio.run(_probe(list(hosts)))


async def _probe(hosts: list[Host]) -> None:
    client = async_redis()
    try:
        await asyncio.gather(*(probe(host, breakers=Breakers(client)) for host in hosts))
    finally:
        await client.aclose()
