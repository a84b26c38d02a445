"""All that is kept about a person: to take along, and to delete (lobby/accounts/removal.py).

Each app adds, in AppConfig.ready, its part; a test fails when rows that belong to a person are in none.
"""

from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from typing import IO, Any
from zipfile import ZIP_DEFLATED, ZipFile

import orjson
from django.contrib.auth.models import User
from django.db.models import QuerySet
from django.http import HttpRequest
from limits import parse

from lobby import audit
from lobby.limits import hit

EXPORTS_PER_USER = parse("6/hour")
AT_ONCE = 500  # rows read from the database

File = tuple[str, Iterable[bytes]]  # its name in the archive, and what is in it, in pieces


class TooManyExports(Exception):
    def __init__(self, retry_after: int) -> None:
        super().__init__(f"{EXPORTS_PER_USER.amount} exports an hour are the limit. Try again in {retry_after} s.")
        self.retry_after = retry_after  # seconds


def nothing(_: User) -> None:
    """For a part in which nothing goes on by itself."""


@dataclass(frozen=True, slots=True)
class Part:
    """What one app keeps. `stop` ends what goes on in the person's name; then `remove`, in one transaction with the
    other parts, deletes it."""

    files: Callable[[User], Iterator[File]]
    remove: Callable[[User], None]
    stop: Callable[[User], None] = nothing


PARTS: dict[str, Part] = {}


def export(user: User, target: IO[bytes], *, request: HttpRequest | None = None) -> None:
    """Write the archive: JSON for programs, Markdown to read. Memory is bounded however much there is.

    Raises TooManyExports, OSError.
    """
    if wait := hit(EXPORTS_PER_USER, "export", str(user.pk)):
        raise TooManyExports(wait)
    audit.record("account.exported", request=request, actor=user, subject=user)
    with ZipFile(target, "w", ZIP_DEFLATED) as archive:
        for part in PARTS.values():
            for name, pieces in part.files(user):
                with archive.open(name, "w", force_zip64=True) as entry:
                    for piece in pieces:
                        entry.write(piece)


def rows(name: str, found: QuerySet[Any], *, without: Iterable[str] = ()) -> File:
    """A file with one JSON object per row, all columns but those `without`."""
    left_out = set(without)
    columns = [column.attname for column in found.model._meta.concrete_fields if column.name not in left_out]
    return name, _array(found.values(*columns).iterator(chunk_size=AT_ONCE))


def one(name: str, content: Any) -> File:
    return name, [dumps(content)]


def dumps(content: Any) -> bytes:
    return orjson.dumps(content, default=str, option=orjson.OPT_INDENT_2 | orjson.OPT_NON_STR_KEYS)


def _array(found: Iterable[Any]) -> Iterator[bytes]:
    between = b"[\n"
    for row in found:
        yield between + orjson.dumps(row, default=str)
        between = b",\n"
    yield b"[]\n" if between == b"[\n" else b"\n]\n"
