"""pg_dump and pg_restore of the packaged PostgreSQL, as streams; they speak with any server that is no newer."""

import os
import re
import subprocess
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager, suppress
from typing import IO, Protocol

import psycopg.conninfo

from lobby.embedded.postgres import program

PIECE = 1024 * 1024  # bytes moved at once
# Whose the objects are, and who else may use them, is the affair of the server that they come to.
ANYBODYS = ("--no-owner", "--no-privileges", "--no-comments", "--no-tablespaces", "--no-security-labels")
NOT_COPIED = ("--no-publications", "--no-subscriptions")


class Source(Protocol):
    def read(self, size: int, /) -> bytes: ...


class DumpFailed(Exception):
    """What the program said, in one line."""


def version() -> str:
    """Of both programs, as "18.4"."""
    said = subprocess.run([program("pg_dump"), "--version"], capture_output=True, text=True, check=True).stdout
    return str(re.findall(r"[\d.]+", said)[0])


@contextmanager
def dumped(url: str, *, snapshot: str, without_extensions: list[str]) -> Iterator[IO[bytes]]:
    """The dump of a snapshot that another connection exported. Raises DumpFailed."""
    given = psycopg.conninfo.conninfo_to_dict(url)
    password = str(given.pop("password", "") or "")  # a command line is for everybody to read
    command: list[str | os.PathLike[str]] = [
        program("pg_dump"),
        *("--format=custom", "--no-password", f"--snapshot={snapshot}", *ANYBODYS, *NOT_COPIED),
        *(f"--exclude-extension={name}" for name in without_extensions),
        f"--dbname={psycopg.conninfo.make_conninfo('', **given)}",
    ]
    environment = os.environ | ({"PGPASSWORD": password} if password else {})
    process = subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, env=environment)
    with ended(process) as output:
        yield output


@contextmanager
def script(dump: Source) -> Iterator[IO[bytes]]:
    """The SQL that makes what the dump holds. Raises DumpFailed, and what reading `dump` raises."""
    process = subprocess.Popen(
        [program("pg_restore"), *ANYBODYS, *NOT_COPIED, "--file=-"],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
    )
    with ThreadPoolExecutor(1) as threads:
        fed = threads.submit(feed, dump, process)
        with ended(process) as output:
            yield output
        fed.result()


def feed(dump: Source, process: subprocess.Popen[bytes]) -> None:
    assert process.stdin  # noqa: S101 - for the type checker
    with suppress(BrokenPipeError), process.stdin as pipe:
        while piece := dump.read(PIECE):
            pipe.write(piece)


@contextmanager
def ended(process: subprocess.Popen[bytes]) -> Iterator[IO[bytes]]:
    """Its output; a program that failed is an error, and none outlives us."""
    assert process.stdout  # noqa: S101 - for the type checker
    assert process.stderr  # noqa: S101
    try:
        with process.stdout, process.stderr:
            yield process.stdout
            said = process.stderr.read().decode(errors="replace")
        if process.wait() != 0:
            raise DumpFailed(" ".join(said.split()) or f"it ended with code {process.returncode}")
    finally:
        process.kill()
        process.wait()
