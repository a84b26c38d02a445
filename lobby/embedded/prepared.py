"""Whether a database was prepared by this very code: then the processes need not wait for `first_run`."""

import hashlib
from pathlib import Path

from lobby.embedded.programs import PROJECT


def is_so(home: Path, *, database: str) -> bool:
    file = home / "prepared"
    return file.exists() and file.read_text() == fingerprint(home, database=database)


def note(home: Path, *, database: str) -> None:
    (home / "prepared").write_text(fingerprint(home, database=database))


def fingerprint(home: Path, *, database: str) -> str:
    """Of all that decides which tables there are: our migrations, those of the packages, and which database it is."""
    digest = hashlib.sha256(database.encode())
    for path in sorted([PROJECT / "requirements.txt", *PROJECT.glob("*/migrations/*.py")]):
        digest.update(path.name.encode() + path.read_bytes())
    cluster = home / "postgres" / "PG_VERSION"
    if cluster.exists():  # a folder made anew holds no tables
        digest.update(str(cluster.stat().st_mtime_ns).encode())
    return digest.hexdigest()
