"""The topic of a conversation: who may listen, and what whoever begins to listen has to know."""

from hashlib import sha256
from typing import Any
from uuid import UUID

from agents.models import Run
from agents.places import places_told
from chat import tree
from chat.models import Conversation, Message
from lobby.ids import as_uuid
from lobby.live.topics import Snapshot, Topic


def may_attach(user: Any, ident: str) -> bool:
    id = as_uuid(ident)
    return id is not None and Conversation.objects.visible_to(user).filter(pk=id).exists()


def snapshot(ident: str) -> Snapshot:
    """What is being written, on every branch, and a fingerprint of the branch that is shown.

    A page whose `thread` is another one fetches the thread anew.
    """
    conversation = Conversation.objects.get(pk=ident)
    writing = conversation.messages.filter(status=Message.Status.WRITING, run__isnull=False)
    messages = list(writing.select_related("run__host").defer("run__messages", "run__format", "run__logprobs"))
    places = places_told(message.run for message in messages if message.run)
    return {
        "type": "snapshot",
        "runs": [_live(message, message.run, places) for message in messages if message.run],
        "thread": fingerprint(conversation),
        "title": conversation.title,
    }


def fingerprint(conversation: Conversation) -> str:
    """Changes when a message of the branch that is shown comes, goes, changes its status or gets siblings."""
    shape = tree.read(conversation)
    path = shape.path(conversation.head_id)
    state = [f"{id}{shape.nodes[id].status}{len(shape.siblings(id))}" for id in path]
    return sha256(" ".join(state).encode()).hexdigest()[:16]


def _live(message: Message, run: Run, places: dict[UUID, int]) -> dict[str, Any]:
    return {
        "run": str(run.pk),
        "message": str(message.pk),
        "status": run.status,
        "attempt": run.attempt,
        "text": run.text,
        "thinking": run.thinking,
        "position": places.get(run.pk),
        "cursor": run.cursor,
        "model": run.model,
        "host": run.host.name if run.host else None,
        "stopping": run.cancel_requested_at is not None,
        "prefix_length": len(message.text),
    }


CHAT = Topic(may_attach=may_attach, snapshot=snapshot)
