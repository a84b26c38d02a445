"""A prompt tried in place: how an agent would answer with settings that nobody has saved yet."""

from typing import Any
from uuid import uuid4

from django.db import transaction

from agents import runs
from agents.models import Agent, Run
from agents.places import places_told
from lobby.live.topics import Snapshot, Topic

PURPOSE = "trial"
LONGEST = 20_000  # characters of a prompt


def begin(agent: Agent, prompt: str, *, owner: Any) -> Run:
    """Ask an agent as it stands in memory, saved or not, active or not. Raises agents.errors.Refused.

    The answer comes on the run's own topic, `trial:<run>`, which only its owner may hear.
    """
    agent.is_active = True
    system = [{"role": "system", "content": agent.system_prompt}] if agent.system_prompt else []
    with transaction.atomic():
        run = runs.enqueue(
            purpose=PURPOSE,
            subject=uuid4(),
            topic="",
            owner=owner,
            agent=agent,
            messages=[*system, {"role": "user", "content": prompt}],
        )
        run.topic = f"{PURPOSE}:{run.pk}"
        run.save(update_fields=["topic"])
    return run


def may_attach(user: Any, ident: str) -> bool:
    if ident.isdecimal():
        return False
    return Run.objects.visible_to(user).filter(pk=ident, purpose=PURPOSE).exists()


def snapshot(ident: str) -> Snapshot:
    """The run as far as it is; what came after its cursor is replayed."""
    run = Run.objects.select_related("host").defer("messages", "format", "logprobs").get(pk=ident)
    return {
        "type": "snapshot",
        "runs": [
            {
                "run": str(run.pk),
                "status": run.status,
                "attempt": run.attempt,
                "text": run.text,
                "thinking": run.thinking,
                "position": places_told([run]).get(run.pk),
                "cursor": run.cursor,
                "model": run.model,
                "stats": runs.stats(run),
                "error": run.error,
                "request_id": run.request_id,
            }
        ],
    }


TRIAL = Topic(may_attach=may_attach, snapshot=snapshot)
