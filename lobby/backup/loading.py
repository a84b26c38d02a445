"""A dump's SQL, taken apart into statements and the rows of one table after the other, and done in a database."""

import re
from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import IO

import psycopg

ROWS = re.compile(rb'COPY (?:"(?:[^"]|"")+"|\w+)\.(?P<table>"(?:[^"]|"")+"|\w+) \(.*\) FROM stdin;\n')
END_OF_ROWS = b"\\.\n"
GATHERED = 256 * 1024  # bytes of rows that are sent at once
# Meant for psql, or not known by servers older than pg_restore
NOT_SENT = re.compile(rb"\\(un)?restrict |SET transaction_timeout = 0;\n")


@dataclass
class Part:
    """Statements, or, where `table` is named, the rows of one COPY statement in pieces, to be read to their end."""

    statements: bytes
    table: str = ""
    rows: Iterator[tuple[bytes, int]] = field(default_factory=lambda: iter(()))  # (lines, how many)


def parts(script: IO[bytes]) -> Iterator[Part]:
    statements = bytearray()
    for line in script:
        if copied := ROWS.fullmatch(line):
            yield Part(bytes(statements))
            statements.clear()
            table = copied["table"].decode().removeprefix('"').removesuffix('"').replace('""', '"')
            yield Part(line, table, rows_of(script))
        elif not NOT_SENT.match(line):
            statements += line
    yield Part(bytes(statements))


def rows_of(script: IO[bytes]) -> Iterator[tuple[bytes, int]]:
    r"""A row that is nothing but `\.` would be written `\\.`, so the end is certain."""
    gathered, number = bytearray(), 0
    for line in script:
        if line == END_OF_ROWS:
            break
        gathered += line
        number += 1
        if len(gathered) >= GATHERED:
            yield bytes(gathered), number
            gathered.clear()
            number = 0
    yield bytes(gathered), number


def count(script: IO[bytes]) -> dict[str, int]:
    """Table → rows in the dump."""
    return {part.table: sum(number for _, number in part.rows) for part in parts(script) if part.table}


def load(connection: psycopg.Connection, script: IO[bytes]) -> None:
    """Do all of it, in the transaction that the connection is in. Raises psycopg.Error."""
    for part in parts(script):
        if not part.table:
            connection.execute(part.statements)
            continue
        with connection.cursor() as cursor, cursor.copy(part.statements) as copy:
            for lines, _ in part.rows:
                copy.write(lines)
