"""The settings as an operator meets them: in production, and against the documentation."""

import os
import re
import subprocess
import sys
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
CODE = ("lobby", "agents", "chat", "debates", "monitoring")
READ = re.compile(
    r"""(?:env\.(?:text|number|limit|flag|words|choice|address|networks)|\bsetting|environ(?:\.(?:get|setdefault|pop))?|getenv)"""
    r"""[(\[]\s*["']([A-Z][A-Z0-9_]+)["']"""
)
PRODUCTION = {
    "LOBBY_PRODUCTION": "yes",
    "LOBBY_SECRET_KEY": "a-key-that-is-long-enough-for-the-checks-and-used-nowhere-else-1",
    "ALLOWED_HOSTS": "lobby.example",
}


def manage(*arguments: str, **environment: str) -> subprocess.CompletedProcess[str]:
    clean = {name: value for name, value in os.environ.items() if not name.startswith("LOBBY_")}
    return subprocess.run(
        [sys.executable, "manage.py", *arguments],
        cwd=ROOT,
        env=clean | environment,
        capture_output=True,
        text=True,
        timeout=250,
        check=False,
    )


def variables_in_code() -> set[str]:
    files = [ROOT / "manage.py", *(path for folder in CODE for path in (ROOT / folder).rglob("*.py"))]
    return {name for file in files for name in READ.findall(file.read_text())}


def variables_in_docs() -> set[str]:
    """Those in the first column of the tables."""
    rows = re.findall(r"^\| (`[^|]+`) \|", (ROOT / "docs/configuration.md").read_text(), re.MULTILINE)
    return {name for row in rows for name in re.findall(r"`([A-Z0-9_]+)`", row)}


def test_every_variable_is_documented_and_every_documented_one_is_read() -> None:
    assert variables_in_code() == variables_in_docs()


def test_production_settings_pass_djangos_deployment_checks(tmp_path: Path) -> None:
    checked = manage("check", "--deploy", "--fail-level", "WARNING", LOBBY_HOME=str(tmp_path), **PRODUCTION)

    assert (checked.returncode, checked.stdout.strip()) == (0, "System check identified no issues (0 silenced).")


def test_production_without_a_secret_key_does_not_start(tmp_path: Path) -> None:
    without = {name: value for name, value in PRODUCTION.items() if name != "LOBBY_SECRET_KEY"}

    checked = manage("check", LOBBY_HOME=str(tmp_path), **without)

    assert checked.returncode != 0
    assert "LOBBY_SECRET_KEY (or LOBBY_SECRET_KEY_FILE) must be set in production" in checked.stderr


def test_secret_may_come_from_a_file(tmp_path: Path) -> None:
    secret = tmp_path / "key"
    secret.write_text("a secret of the house\n")
    shell = "from django.conf import settings; print(settings.SECRET_KEY)"

    told = manage("shell", "-v0", "-c", shell, LOBBY_HOME=str(tmp_path), LOBBY_SECRET_KEY_FILE=str(secret))

    assert told.stdout.strip() == "a secret of the house"


def test_key_that_is_made_is_kept_and_readable_by_its_owner_alone(tmp_path: Path) -> None:
    shell = "from django.conf import settings; print(settings.SECRET_KEY)"

    first, second = (manage("shell", "-v0", "-c", shell, LOBBY_HOME=str(tmp_path / "home")) for _ in range(2))

    assert first.stdout == second.stdout
    assert len(first.stdout.strip()) > 50
    assert (tmp_path / "home/secret_key").stat().st_mode & 0o777 == 0o600
