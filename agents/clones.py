"""Copies of agents, to be changed without touching the one that people talk with."""

from itertools import count

from agents.models import Agent

MARK = " (copy)"


def clone(agent: Agent) -> Agent:
    """Another agent like this one under a free slug, inactive until somebody has looked at it."""
    copy = Agent.objects.get(pk=agent.pk)
    copy.pk, copy._state.adding = Agent._meta.pk.get_default(), True
    copy.name = f"{agent.name[: 80 - len(MARK)]}{MARK}"
    copy.slug = _free_slug(agent.slug)
    copy.is_active = False
    copy.save(force_insert=True)
    return copy


def _free_slug(slug: str) -> str:
    taken = set(Agent.objects.filter(slug__startswith=slug[:40]).values_list("slug", flat=True))
    tries = (f"{slug[:40]}-copy{number if number > 1 else ''}" for number in count(1))
    return next(each for each in tries if each not in taken)
