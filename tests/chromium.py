"""The browser of the browser tests: `python -m tests.chromium` prints its path, having got one where none is."""

import os
import platform
import shutil
import subprocess
import sys
from pathlib import Path

NAMES = ("chromium", "chromium-browser", "google-chrome", "google-chrome-stable")
ON_MACOS = (
    "/Applications/Google Chrome.app/Contents/MacOS/Google Chrome",
    "/Applications/Chromium.app/Contents/MacOS/Chromium",
)
NONE = """\
The browser tests need Chromium, and none was found. Any one of these helps:
  - install chromium or google-chrome with your system's package manager,
  - .venv/bin/playwright install chromium   (downloads one),
  - set CHROMIUM to the path of one."""


def find() -> Path | None:
    if given := os.environ.get("CHROMIUM"):
        return Path(given)
    for name in NAMES:
        if path := shutil.which(name):
            return Path(path)
    for place in (*ON_MACOS, playwrights_own()):
        if Path(place).exists():
            return Path(place)
    return None


def playwrights_own() -> str:
    from playwright.sync_api import sync_playwright

    with sync_playwright() as playwright:
        return playwright.chromium.executable_path


def get() -> None:
    """By Playwright's download, else by the distribution's package. Their output is for the user, on standard error."""
    if not run(sys.executable, "-m", "playwright", "install", "chromium") and is_root_on_debian():
        run("apt-get", "update")
        run("apt-get", "install", "--yes", "--no-install-recommends", "chromium")


def run(*command: str) -> bool:
    return subprocess.run(command, stdout=sys.stderr, check=False).returncode == 0


def is_root_on_debian() -> bool:
    return os.geteuid() == 0 and platform.system() == "Linux" and shutil.which("apt-get") is not None


def main() -> None:
    if not find():
        get()
    path = find()
    print(path or NONE, file=sys.stdout if path else sys.stderr)
    sys.exit(path is None)


if __name__ == "__main__":
    main()
