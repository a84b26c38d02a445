"""The audit trail, searched and taken out. Nothing here changes a row; taking rows out adds one."""

import csv
from collections.abc import Callable, Iterable, Iterator
from dataclasses import asdict, dataclass
from datetime import UTC, date, datetime, time
from io import StringIO
from typing import Any, Literal

import orjson
from django.contrib.auth import get_user_model
from django.db.models import Q, QuerySet, TextField
from django.db.models.functions import Cast
from django.http import HttpRequest

from lobby import audit
from lobby.site import words_of
from monitoring.models import AuditEvent

VIEW = "monitoring.view_auditevent"
Form = Literal["csv", "jsonl"]
CONTENT_TYPES = {"csv": "text/csv; charset=utf-8", "jsonl": "application/x-ndjson"}
COLUMNS = ("id", "at", "action", "actor_id", "actor_name", "subject_kind", "subject_id", "address", "detail")
AT_ONCE = 1000  # rows read, and lines sent, together


@dataclass(frozen=True, slots=True)
class Asked:
    """Which rows: each that is given has to hold."""

    actor: str = ""  # a name
    action: str = ""  # its beginning: "agent" is all that was done with agents
    kind: str = ""  # of the object, as in `agents.agent`
    subject: str = ""  # the object's id
    since: date | None = None  # UTC
    until: date | None = None  # that day too
    q: str = ""  # found anywhere in the row


def rows(asked: Asked) -> QuerySet[AuditEvent]:
    """The newest first."""
    exact = {"actor_name": asked.actor, "subject_kind": asked.kind, "subject_id": asked.subject}
    found = AuditEvent.objects.filter(**{name: value for name, value in exact.items() if value})
    if asked.action:
        found = found.filter(action__startswith=asked.action)
    if asked.since:
        found = found.filter(at__gte=datetime.combine(asked.since, time.min, UTC))
    if asked.until:
        found = found.filter(at__lte=datetime.combine(asked.until, time.max, UTC))
    return (_search(found, asked.q) if asked.q else found).order_by("-id")


def _search(found: QuerySet[AuditEvent], text: str) -> QuerySet[AuditEvent]:
    columns = {"said": Cast("detail", TextField()), "from_where": Cast("address", TextField())}
    places = ("action", "actor_name", "subject_kind", "subject_id", *columns)
    anywhere = Q()
    for place in places:
        anywhere |= Q(**{f"{place}__icontains": text})
    return found.annotate(**columns).filter(anywhere)


def tell(found: Iterable[AuditEvent]) -> dict[int, str]:
    """The details of each row in words, by its id. Owners are kept by number, and named while they are there."""
    details = {row.pk: row.detail for row in found}
    owners = {detail["owner"] for detail in details.values() if isinstance(detail.get("owner"), int)}
    names = dict(get_user_model().objects.filter(pk__in=owners).values_list("pk", "username")) if owners else {}
    named = {number: names.get(number, f"number {number}, who is gone") for number in owners}
    return {
        key: words_of(detail | ({"owner": named[detail["owner"]]} if detail.get("owner") in named else {}))
        for key, detail in details.items()
    }


def export(asked: Asked, *, form: Form, request: HttpRequest | None = None, actor: Any = None) -> Iterator[bytes]:
    """The rows as a file, in pieces; that somebody took them out is recorded before the first."""
    said = {name: str(value) for name, value in asdict(asked).items() if value}
    audit.record("audit.exported", request=request, actor=actor, form=form, asked=said)
    return FORMS[form](rows(asked).values_list(*COLUMNS).iterator(chunk_size=AT_ONCE))


def _as_csv(found: Iterator[tuple[Any, ...]]) -> Iterator[bytes]:
    page = StringIO()
    writer = csv.writer(page)
    writer.writerow(COLUMNS)
    for number, row in enumerate(found, start=1):
        writer.writerow([_cell(value) for value in row])
        if number % AT_ONCE == 0:
            yield _emptied(page)
    yield _emptied(page)


def _cell(value: Any) -> str:
    """What a spreadsheet would take for a formula gets an apostrophe before it: names are written by strangers."""
    text = orjson.dumps(value).decode() if isinstance(value, dict) else "" if value is None else str(value)
    return f"'{text}" if text.startswith(("=", "+", "-", "@", "\t", "\r")) else text


def _emptied(page: StringIO) -> bytes:
    text = page.getvalue()
    page.seek(0)
    page.truncate()
    return text.encode()


def _as_lines(found: Iterator[tuple[Any, ...]]) -> Iterator[bytes]:
    for row in found:
        yield orjson.dumps(dict(zip(COLUMNS, row, strict=True)), default=str) + b"\n"


FORMS: dict[Form, Callable[[Iterator[tuple[Any, ...]]], Iterator[bytes]]] = {"csv": _as_csv, "jsonl": _as_lines}
