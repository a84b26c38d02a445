"""Finding conversations by what was said in them: every word of the query, as a beginning of words."""

import re
from collections.abc import Sequence
from dataclasses import dataclass

from django.contrib.auth.models import User
from django.contrib.postgres.search import SearchQuery, SearchVector
from django.db.models import F, OuterRef, Q, QuerySet, Subquery, TextField, Value
from django.db.models.functions import Greatest, Left, Lower, StrIndex, Substr

from chat.models import SEARCHABLE, Conversation, Message
from chat.text import SURROGATE

MOST_WORDS = 10
LONGEST_WORD = 60
MOST_FOUND = 50
BEFORE, LENGTH = 60, 200  # characters of a snippet before the hit, and in all


@dataclass(frozen=True, slots=True)
class Snippet:
    """Where it was found: `hit` is what to mark. Empty where the title alone was found."""

    before: str = ""
    hit: str = ""
    after: str = ""

    def __str__(self) -> str:
        return f"{self.before}{self.hit}{self.after}"


def search(*, owner: User, query: str) -> list[Conversation]:
    """At most 50 conversations in whose title, or in one of whose messages, all words occur; the newest first.

    Each has a `snippet`. Of a message, its first 100,000 characters are searched.
    """
    query = SURROGATE.sub(" ", query.replace("\0", " "))
    terms = [term[:LONGEST_WORD] for term in query.split()][:MOST_WORDS]
    words = [word for term in terms for word in re.findall(r"\w+", term)]
    if not words:
        return []
    found = _find(owner, terms, first=words[0])
    for conversation in found:
        conversation.snippet = _cut(conversation.said or "", words)  # type: ignore[attr-defined]  # annotated
    return list(found)


def _find(owner: User, terms: Sequence[str], *, first: str) -> QuerySet[Conversation]:
    query = SearchQuery(" & ".join(map(_beginning, terms)), search_type="raw", config="simple")
    in_text = SearchVector(Left("text", SEARCHABLE), config="simple")
    hits = Message.objects.annotate(found=in_text).filter(found=query, conversation__owner=owner)
    at = StrIndex(Lower("text"), Value(first.lower()))
    said = hits.filter(conversation=OuterRef("pk")).order_by("-created_at")
    said = said.annotate(said=Substr("text", Greatest(at - BEFORE, 1), LENGTH, output_field=TextField()))
    in_title = Q(named=query)
    return (
        Conversation.objects.visible_to(owner)
        .with_state()
        .annotate(named=SearchVector("title", config="simple"))
        .filter(in_title | Q(pk__in=hits.values("conversation")))
        .annotate(said=Subquery(said.values("said")[:1]))
        .order_by(F("updated_at").desc())[:MOST_FOUND]
    )


def _beginning(term: str) -> str:
    """In quotes PostgreSQL reads a term as it read the texts, so nothing in it is an operator."""
    escaped = term.replace("\\", "\\\\").replace("'", "''")
    return f"'{escaped}':*"


def _cut(text: str, words: Sequence[str]) -> Snippet:
    line = " ".join(text.split())
    found = re.search("|".join(re.escape(word) for word in words), line, re.IGNORECASE)
    if not found:
        return Snippet(after=line)
    start, end = found.span()
    return Snippet(before=line[:start], hit=line[start:end], after=line[end:])
