"""The topic of a debate: who may listen, and what whoever begins to listen has to know."""

from typing import Any
from uuid import UUID

from agents.models import Run
from agents.places import places_told
from debates.history import events_of
from debates.models import Debate, Speech
from lobby.ids import as_uuid
from lobby.live.topics import Snapshot, Topic

NOT_SHOWN = ("run__messages", "run__format", "run__options", "run__logprobs")


def may_attach(user: Any, ident: str) -> bool:
    id = as_uuid(ident)
    return id is not None and Debate.objects.visible_to(user).filter(pk=id).exists()


def snapshot(ident: str) -> Snapshot:
    """What is being said, and the events that have led here.

    The live ones are read first: a speech that ends meanwhile is told by its events as well, and not by neither.
    """
    debate = Debate.objects.get(pk=ident)
    waiting = Speech.objects.filter(round__debate=debate, status=Speech.Status.WAITING).exclude(run__topic="")
    speaking = list(waiting.filter(run__isnull=False).select_related("run__host").defer(*NOT_SHOWN))
    places = places_told(speech.run for speech in speaking if speech.run)
    return {
        "type": "snapshot",
        "runs": [_live(speech, speech.run, places) for speech in speaking if speech.run],
        "events": events_of(debate),
        "status": debate.status,
    }


def _live(speech: Speech, run: Run, places: dict[UUID, int]) -> dict[str, Any]:
    return {
        "run": str(run.pk),
        "speech": str(speech.pk),
        "seat": str(speech.seat_id),
        "status": run.status,
        "attempt": run.attempt,
        "text": run.text,
        "thinking": run.thinking,
        "position": places.get(run.pk),
        "cursor": run.cursor,
        "model": run.model,
        "host": run.host.name if run.host else None,
        "stopping": run.cancel_requested_at is not None,
    }


DEBATE = Topic(may_attach=may_attach, snapshot=snapshot)
