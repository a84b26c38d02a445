"""What a new debate, or a fork, is chosen from."""

from typing import Any

from django.conf import settings

from agents.models import Agent, Host
from debates import limits
from debates.consensus import RULES
from debates.launching import NON_VOTERS, suggested_panel
from debates.models import Debate
from debates.protocols import LEAST_VOTERS, MOST_ROUNDS, PROTOCOLS


def launch(user: Any) -> dict[str, Any]:
    """What a new debate is chosen from, and the suggestion for each protocol."""
    agents = list(Agent.objects.visible_to(user))
    return {
        "agents": agents,
        "models": models_installed(),
        "protocols": list(PROTOCOLS.values()),
        "rules": [{"slug": slug, "rule": rule} for slug, rule in RULES.items()],
        "beliefs": Debate.Belief,
        "most_rounds": MOST_ROUNDS,
        "presets": presets(agents),
        "defaults": Debate(max_tokens=limits.usual_tokens(user)),
        "most_tokens": limits.most_tokens(user),
    }


def panel_of(debate: Debate, user: Any) -> dict[str, Any]:
    """For a fork: the panel as it sits, and who else may."""
    agents = list(Agent.objects.visible_to(user))
    seats = debate.seats.select_related("agent").filter(agent__in=agents)
    return {
        "agents": agents,
        "models": models_installed(),
        "panel": {
            "agents": agents_shown(agents),
            "panel": [{"agent": seat.agent.slug, "model": seat.model} for seat in seats if seat.agent],
        },
    }


def agents_shown(agents: list[Agent]) -> dict[str, Any]:
    return {
        agent.slug: {
            "name": agent.name,
            "initials": agent.initials,
            "role_name": agent.get_role_display(),
            "votes": agent.role not in NON_VOTERS,
            "model": agent.model or settings.DEFAULT_MODEL,
        }
        for agent in agents
    }


def presets(agents: list[Agent]) -> dict[str, Any]:
    """For the page's script: who may sit, and how each protocol would be held."""
    known = {agent.pk for agent in agents}
    return {
        "least_voters": LEAST_VOTERS,
        "agents": agents_shown(agents),
        "protocols": {
            slug: {
                "rounds": protocol.rounds,
                "least": protocol.least,
                "most": protocol.most,
                "rule": protocol.rule,
                "options": protocol.options,
                "panel": [
                    {"agent": place.agent.slug, "model": place.model}
                    for place in suggested_panel(slug)
                    if place.agent.pk in known
                ],
            }
            for slug, protocol in PROTOCOLS.items()
        },
    }


def models_installed() -> list[str]:
    """Names of what can answer on some host, each once."""
    hosts = Host.objects.enabled().exclude(state=Host.State.DOWN)
    rows = (model for host in hosts for model in host.installed)
    return sorted({model["name"] for model in rows if "embedding" not in model.get("capabilities", ())})
