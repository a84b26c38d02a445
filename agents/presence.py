"""Who is in the lobby: every agent with what it does right now, and which model answers."""

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Literal

from django.conf import settings
from django.db.models import Count

from agents.models import Agent, Host, Run

Counts = Counter[tuple[str, str]]  # (agent's slug, run status) → unfinished runs


@dataclass(frozen=True, slots=True)
class Present:
    agent: Agent
    kind: Literal["idle", "busy", "down"]
    words: str


@dataclass(frozen=True, slots=True)
class Desk:
    """`note`: what the page must tell. No model can answer (`reason` says why), or only the demonstration one does."""

    agents: list[Present]
    note: Literal["none", "demonstration", ""]
    model: str = ""
    host: str = ""
    more: int = 0
    reason: str = ""


def look(agents: Sequence[Agent]) -> Desk:
    hosts = list(Host.objects.enabled())
    counts = _count_runs()
    return Desk(agents=[_present(agent, hosts, counts) for agent in agents], **_which_model(hosts))


def _count_runs() -> Counts:
    rows = Run.objects.unfinished().values("agent__slug", "status").annotate(number=Count("pk"))
    return Counter({(row["agent__slug"], row["status"]): row["number"] for row in rows})


def _present(agent: Agent, hosts: list[Host], counts: Counts) -> Present:
    if reason := _why_down(agent, [host for host in hosts if agent.host_id in (None, host.pk)]):
        return Present(agent, "down", reason)
    running, queued = counts[agent.slug, Run.Status.RUNNING], counts[agent.slug, Run.Status.QUEUED]
    if running or queued:
        said = [f"answering {running}" if running else "", f"{queued} in line" if queued else ""]
        return Present(agent, "busy", ", ".join(filter(None, said)))
    return Present(agent, "idle", "ready")


def _why_down(agent: Agent, hosts: list[Host]) -> str:
    if any(host.state == Host.State.UNKNOWN for host in hosts):
        return ""
    names = {name for host in hosts if host.state == Host.State.UP for name in host.model_names}
    if not names:
        return "model host is down" if hosts else "no model host"
    wanted = agent.model or settings.DEFAULT_MODEL
    if wanted and not {wanted, f"{wanted}:latest"} & names:
        return f"no host has {wanted}"
    return ""


def _which_model(hosts: list[Host]) -> dict[str, Any]:
    up = [host for host in hosts if host.state != Host.State.DOWN]
    models = [
        (host, model) for host in up for model in host.installed if "embedding" not in model.get("capabilities", ())
    ]
    if not models:
        return {"note": "none", "reason": _why_none(hosts, up)}
    wanted = {settings.DEFAULT_MODEL, f"{settings.DEFAULT_MODEL}:latest"}
    host, model = next((pair for pair in models if pair[1]["name"] in wanted), models[0])
    note = "demonstration" if host.is_embedded else ""
    return {"note": note, "model": model["name"], "host": host.name, "more": len(models) - 1}


def _why_none(hosts: list[Host], up: list[Host]) -> str:
    if not hosts:
        return "No model host is connected."
    if not up:
        return " ".join(f"{host.name}: {host.state_reason or 'it does not answer.'}" for host in hosts)
    if any(host.state == Host.State.UNKNOWN for host in up):
        return "The model hosts have not been asked yet; reload in a few seconds."
    return "The model hosts have no chat model yet."
