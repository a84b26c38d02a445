"""Prometheus' own check of rules and settings: `python -m tests.promtool` prints its path, having got it where it is
not installed. On Debian and Ubuntu it comes out of the distribution's package, unpacked into .venv: nothing is
installed, and no server started."""

import os
import shutil
import subprocess
import sys
import tempfile
from pathlib import Path

KEPT = Path(sys.prefix) / "promtool"
NONE = """\
The rules for Prometheus are checked by promtool, and none was found. Any one of these helps:
  - install prometheus with your system's package manager (promtool comes with it),
  - put the promtool of a release of Prometheus into PATH,
  - set PROMTOOL to the path of one."""


class NoPromtool(Exception):
    """There is none, and none could be had; the message says what to do."""


def promtool() -> Path:
    """Raises NoPromtool."""
    if found := find() or get():
        return found
    raise NoPromtool(NONE)


def find() -> Path | None:
    if given := os.environ.get("PROMTOOL"):
        return Path(given)
    if path := shutil.which("promtool"):
        return Path(path)
    return KEPT if KEPT.exists() else None


def get() -> Path | None:
    """Without root where the package lists are there; what apt says is for the user, on standard error."""
    if not (shutil.which("apt-get") and shutil.which("dpkg-deb")):
        return None
    with tempfile.TemporaryDirectory() as folder:
        if not download(folder):
            run("apt-get", "update", folder=folder)
            download(folder)
        for package in Path(folder).glob("prometheus_*.deb"):
            unpack(package)
    return find()


def download(folder: str) -> bool:
    return run("apt-get", "-o", "APT::Sandbox::User=root", "download", "prometheus", folder=folder)


def unpack(package: Path) -> None:
    """Others may be at it at the same time: the file appears whole or not at all."""
    if not run("dpkg-deb", "--extract", str(package), "unpacked", folder=str(package.parent)):
        return
    new = KEPT.with_suffix(f".{os.getpid()}")
    shutil.copy(package.parent / "unpacked/usr/bin/promtool", new)
    new.rename(KEPT)


def run(*command: str, folder: str) -> bool:
    return subprocess.run(command, cwd=folder, stdout=sys.stderr, check=False).returncode == 0


def main() -> None:
    try:
        print(promtool())
    except NoPromtool as error:
        sys.exit(str(error))


if __name__ == "__main__":
    main()
