"""How much text a user's chats hold. Each conversation keeps its own sum; what lies in the bin does not count."""

from django.db import models
from django.db.models import Sum
from django.db.models.expressions import RawSQL

from chat.errors import StorageFull
from chat.models import Conversation, Message
from lobby.accounts import allowances, marks
from lobby.accounts.allowances import METERS, Kind, Used, recent

MEGABYTE = 1_000_000
FULL = "Your chats hold {limit} MB of text, the limit. Delete what you no longer need: the bin does not count."
FULL_TOGETHER = "All chats of this lobby together hold {limit} MB of text, the limit. Ask an admin."


def size(*texts: str) -> int:
    """In bytes, as the database keeps it."""
    return sum(len(text) if text.isascii() else len(text.encode(errors="replace")) for text in texts)


# As text: it takes longer to compose than to answer
ALL_OF_OWNER = """
(SELECT COALESCE(sum(its.stored), 0) FROM chat_conversation AS its
  WHERE its.owner_id = chat_conversation.owner_id AND its.deleted_at IS NULL)
"""


def of_owner() -> dict[str, RawSQL]:
    """An annotation of conversations: what all chats of the owner hold together, in bytes."""
    return {"stored_in_all": RawSQL(ALL_OF_OWNER, [], models.BigIntegerField())}  # noqa: S611  (a constant)


def check(owner: int, *, stored: int, more: int = 0) -> None:
    """May chats that hold so many bytes hold some more? Full is full, even for nothing more. Raises StorageFull."""
    limit = allowances.allowed(owner, Kind.STORAGE)
    if limit is not None and (stored >= limit * MEGABYTE or stored + more > limit * MEGABYTE):
        raise StorageFull(FULL.format(limit=f"{limit:,}"), limit=Kind.STORAGE)
    together = allowances.total(Kind.STORAGE)
    if together is not None and recent("storage", lambda: used(None).number) + more > together * MEGABYTE:
        raise StorageFull(FULL_TOGETHER.format(limit=f"{together:,}"), limit=Kind.STORAGE)
    marks.note(owner, Kind.STORAGE, used=stored + more, limit=limit and limit * MEGABYTE)


def used(owner: int | None) -> Used:
    """In bytes; of all users together also what lies in the bin."""
    kept = Conversation.objects.order_by()
    rows = kept if owner is None else kept.filter(owner=owner, deleted_at=None)
    return Used(rows.aggregate(sum=Sum("stored"))["sum"] or 0)


def of_message(message: Message) -> int:
    return size(message.text, message.thinking)


def connect() -> None:
    METERS[Kind.STORAGE] = used
