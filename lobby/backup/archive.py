"""The file: written beside its final name, read back, and renamed when it is whole."""

import errno
import fcntl
import json
import os
import shutil
import tempfile
import zipfile
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from hashlib import sha256
from pathlib import Path
from typing import IO, Any

from jsonschema import Draft202012Validator

from lobby.backup import NotDone
from lobby.embedded.dumps import PIECE, Source

FORMAT = "agent-lobby-backup"
VERSION = 1  # of the file's own layout
MANIFEST, DUMP, KEY = "manifest.json", "database.dump", "secret_key"
LONGEST_MANIFEST = 64 * 1024 * 1024  # bytes
PREFIX, SUFFIX = ".lobby-backup-", ".part"  # of a file that is being written
UNIT = 1024
NO_ROOM = {errno.ENOSPC, errno.EDQUOT, errno.EFBIG}
SHAPE = {
    "type": "object",
    "required": ["made_at", "postgres", "pg_dump", "schema", "key", "migrations", "tables", "files"],
    "properties": {
        "made_at": {"type": "string"},
        "postgres": {"type": "integer"},
        "pg_dump": {"type": "string", "pattern": r"^[0-9]+(\.[0-9]+)*$"},
        "schema": {"type": "string"},
        "key": {"type": "string"},
        "migrations": {"type": "array", "items": {"type": "string"}},
        "tables": {
            "type": "object",
            "additionalProperties": {
                "required": ["rows", "digest"],
                "properties": {"rows": {"type": "integer"}, "digest": {"type": "string"}},
            },
        },
        "files": {
            "type": "object",
            "required": [DUMP],
            "additionalProperties": {
                "required": ["bytes", "sha256"],
                "properties": {"bytes": {"type": "integer"}, "sha256": {"type": "string"}},
            },
        },
    },
}

Manifest = dict[str, Any]
Facts = dict[str, Any]  # {"bytes": …, "sha256": …}
Seen = Callable[[int], None]  # gets the bytes of each piece


class Hashing:
    """A source that remembers how much was read from it, and its hash."""

    def __init__(self, source: Source, *, seen: Seen) -> None:
        self._source, self._seen = source, seen
        self._hash, self._bytes = sha256(), 0

    def read(self, size: int = PIECE) -> bytes:
        piece = self._source.read(size)
        self._hash.update(piece)
        self._bytes += len(piece)
        self._seen(len(piece))
        return piece

    def facts(self) -> Facts:
        return {"bytes": self._bytes, "sha256": self._hash.hexdigest()}


@contextmanager
def drafted(path: Path, *, most: int) -> Iterator[IO[bytes]]:
    """A file that gets the name `path`, on the disk for certain, if all goes well; else nothing is left of it.

    Only its owner can read it. `most` is how many bytes it may come to. Raises NotDone.
    """
    try:
        clear_killed(path.parent)
        number, name = tempfile.mkstemp(prefix=PREFIX, suffix=SUFFIX, dir=path.parent)
        try:
            with os.fdopen(number, "w+b") as file:
                fcntl.flock(file, fcntl.LOCK_EX)
                yield file
                file.flush()
                os.fsync(file.fileno())
                Path(name).rename(path)
        except BaseException:  # Ctrl-C too: whatever ended it, half a file must not stay; it goes on being raised
            Path(name).unlink(missing_ok=True)
            raise
        sync_folder(path.parent)
    except OSError as error:
        raise NotDone(why_not_written(error, path=path, most=most)) from error


def clear_killed(folder: Path) -> None:
    """What somebody left who was killed while writing here; who still writes holds a lock."""
    for left in folder.glob(f"{PREFIX}*{SUFFIX}"):
        with suppress(OSError), left.open("rb") as file:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
            left.unlink()


def sync_folder(folder: Path) -> None:
    number = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(number)
    finally:
        os.close(number)


def why_not_written(error: OSError, *, path: Path, most: int) -> str:
    reason = error.strerror or str(error)
    if error.errno not in NO_ROOM:
        return f"{path} can't be written: {reason}."
    return (
        f"No room for {path}: {reason}. It may need up to {human(most)}, and {human(free(path.parent))} are free "
        "there. Nothing was left behind; make room, or name a file on another disk."
    )


def free(folder: Path) -> int:
    return shutil.disk_usage(folder).free


def human(size: float) -> str:
    for unit in ("bytes", "KiB", "MiB", "GiB"):
        if size < UNIT:
            return f"{size:.0f} {unit}" if unit == "bytes" else f"{size:.1f} {unit}"
        size /= UNIT
    return f"{size:.1f} TiB"


def add(zipped: zipfile.ZipFile, name: str, source: Source, *, seen: Seen = lambda _: None) -> Facts:
    """Add a file, however long; a dump is compressed already."""
    hashing = Hashing(source, seen=seen)
    with zipped.open(zipfile.ZipInfo(name), "w", force_zip64=True) as member:
        while piece := hashing.read():
            member.write(piece)
    return hashing.facts()


def add_manifest(zipped: zipfile.ZipFile, manifest: Manifest) -> None:
    zipped.writestr(MANIFEST, json.dumps(manifest, indent=1), compress_type=zipfile.ZIP_DEFLATED)


@contextmanager
def opened(file: Path | IO[bytes], *, path: Path) -> Iterator[tuple[zipfile.ZipFile, Manifest]]:
    """A backup and its manifest. Raises NotDone where it is none, is cut short, damaged, or of a newer kind."""
    try:
        with zipfile.ZipFile(file) as zipped:
            yield zipped, read_manifest(zipped, path=path)
    except zipfile.BadZipFile as error:
        raise NotDone(f"{path} is no backup of Agent Lobby, or only a part of one, or damaged: {error}.") from error


def read_manifest(zipped: zipfile.ZipFile, *, path: Path) -> Manifest:
    manifest = manifest_of(zipped)
    if manifest.get("format") != FORMAT:
        raise NotDone(f"{path} is no backup of Agent Lobby: it holds no manifest of one.")
    if manifest.get("version") != VERSION:
        raise NotDone(
            f"{path} was made by a newer Agent Lobby (its layout is {manifest.get('version')}, this one knows "
            f"{VERSION}): update this installation first."
        )
    if not Draft202012Validator(SHAPE).is_valid(manifest):
        raise NotDone(f"{path} holds a manifest that makes no sense.")
    if {*manifest["files"], MANIFEST} != set(zipped.namelist()):
        raise NotDone(f"{path} does not hold the files that its manifest names.")
    return manifest


def manifest_of(zipped: zipfile.ZipFile) -> Manifest:
    """Empty where there is none."""
    try:
        if zipped.getinfo(MANIFEST).file_size > LONGEST_MANIFEST:
            return {}
        manifest = json.loads(zipped.read(MANIFEST))
    except (KeyError, ValueError):
        return {}
    return manifest if isinstance(manifest, dict) else {}


def check(zipped: zipfile.ZipFile, manifest: Manifest, *, path: Path, seen: Seen) -> None:
    """Read every file in it and compare it with the manifest. Raises NotDone."""
    for name, facts in manifest["files"].items():
        with zipped.open(name) as member:
            source = Hashing(member, seen=seen)
            while source.read():
                pass
        if source.facts() != facts:
            raise NotDone(f"{path} is damaged: {name} is not what was written, by its size or its hash.")
