"""`lobby doctor` as a command, in a process of its own, and its checks on what tests can break."""

import json
import os
import subprocess
import sys
from datetime import timedelta
from ipaddress import ip_network
from pathlib import Path
from typing import Any

import pytest
from django.db import connection
from django.db.models.functions import Now
from pytest_django.fixtures import Settings

from agents.models import Worker
from lobby import diagnosis
from lobby.findings import Finding
from lobby.mail import read_server
from monitoring import beats, notices
from monitoring.models import Receiver, Turn
from tests.factories import make_host
from tests.listening import Listener, listening, replying
from tests.processes import environment

ROOT = Path(__file__).resolve().parents[2]


def doctor(home: Path, *options: str, **env: str) -> subprocess.CompletedProcess[str]:
    ours = {name: value for name, value in os.environ.items() if not name.startswith("LOBBY_")}
    for name in ("DATABASE_URL", "REDIS_URL", "OLLAMA_HOST"):
        ours.pop(name)
    return subprocess.run(
        [sys.executable, "-m", "lobby.cli", "doctor", *options],
        env=ours | {"LOBBY_HOME": str(home)} | env,
        cwd=ROOT,
        capture_output=True,
        text=True,
        timeout=250,
        check=False,
    )


def states(findings: Any) -> dict[str, str]:
    return {each.name: each.state for each in findings}


def test_without_a_running_lobby_it_says_so_and_looks_at_the_rest(tmp_path: Path) -> None:
    done = doctor(tmp_path / "home", "--json")

    told = json.loads(done.stdout)
    by_name = {each["name"]: each for each in told["findings"]}
    assert (done.returncode, by_name["lobby"]["state"]) == (0, "warn")
    assert by_name["lobby"]["advice"] == "Start it with `lobby up`, then ask again."
    assert {"settings", "secret key", "https", "static files", "mail", "disk"} <= set(by_name)
    assert not (tmp_path / "home").exists()  # looking makes nothing


def test_settings_that_make_no_sense_are_told_in_words(tmp_path: Path) -> None:
    done = doctor(tmp_path, LOBBY_RUNS_PER_HOUR="many")

    assert done.returncode == 1
    assert "LOBBY_RUNS_PER_HOUR must be a whole number, not 'many'" in done.stdout
    assert "Traceback" not in done.stdout + done.stderr


def test_services_that_are_away_are_told_with_what_to_do(tmp_path: Path) -> None:
    urls = {"DATABASE_URL": "postgresql://lobby:secret@127.0.0.1:9/lobby", "REDIS_URL": "redis://:secret@127.0.0.1:9/0"}

    done = doctor(tmp_path, **urls)

    assert done.returncode == 1
    assert "postgresql" in done.stdout
    assert "Start PostgreSQL first." in done.stdout
    assert ("secret" in done.stdout.replace("secret key", ""), "Traceback" in done.stdout + done.stderr) == (
        False,
        False,
    )


@pytest.mark.django_db(transaction=True)
def test_all_parts_are_looked_at_where_they_are_there(tmp_path: Path) -> None:
    make_host()
    Worker.objects.create(machine="here", pid=1)
    beats.mark()
    found = environment({})

    done = doctor(tmp_path, "--json", DATABASE_URL=found["DATABASE_URL"], REDIS_URL=found["REDIS_URL"])

    by_name = {each["name"]: each["state"] for each in json.loads(done.stdout)["findings"]}
    well = {"postgresql", "migrations", "database", "workers", "redis server", "redis", "beat", "database clock"}
    assert {name: by_name[name] for name in well} == dict.fromkeys(well, "ok")
    assert by_name["hosts now"] == "fail"  # what the last probe found is not so any more
    assert done.returncode == 1


@pytest.mark.parametrize(
    ("changes", "expected"),
    [
        ({}, {"settings": "ok"}),
        ({"DEBUG": True}, {"settings": "warn"}),
        ({"DEBUG": True, "PRODUCTION": True}, {"settings": "fail"}),
        ({"ALLOWED_HOSTS": ["*"]}, {"settings": "warn"}),
    ],
)
def test_settings_that_are_careless_are_told(
    settings: Settings, changes: dict[str, Any], expected: dict[str, str]
) -> None:
    settings.DEBUG, settings.ALLOWED_HOSTS = False, ["localhost"]
    for name, value in changes.items():
        setattr(settings, name, value)

    assert states(diagnosis.sensible()) == expected


def test_variable_that_nothing_reads_is_told(monkeypatch: pytest.MonkeyPatch, settings: Settings) -> None:
    settings.ALLOWED_HOSTS = ["localhost"]
    monkeypatch.setenv("LOBBY_EMAIL_ULR", "smtp://mail.example")

    assert list(diagnosis.sensible()) == [
        Finding("settings", "warn", "LOBBY_EMAIL_ULR is set, and nothing reads it", "Did you mean LOBBY_EMAIL_URL?")
    ]


def test_secret_key_is_long_and_nobody_elses(tmp_path: Path, settings: Settings) -> None:
    file = tmp_path / "secret_key"
    found = []
    for key, mode in (("short", 0o600), ("k" * 50, 0o644), ("k" * 50, 0o600)):
        file.write_text(key)
        file.chmod(mode)
        settings.SECRET_KEY = key
        found.append(states(diagnosis.secret_key(tmp_path)))

    assert found == [{"secret key": "warn"}, {"secret key": "fail"}, {"secret key": "ok"}]


@pytest.mark.parametrize(
    ("hosts", "expected"),
    [(["localhost", "127.0.0.1"], ("ok", "not needed")), (["lobby.example"], ("warn", "reached as lobby.example"))],
)
def test_plain_http_is_for_this_machine_alone(settings: Settings, hosts: list[str], expected: tuple[str, str]) -> None:
    settings.ALLOWED_HOSTS = hosts
    (finding,) = diagnosis.https()

    assert (finding.state, finding.words[: len(expected[1])]) == expected


def test_production_that_is_not_secure_is_told(settings: Settings) -> None:
    settings.PRODUCTION, settings.SITE_URL = True, "http://lobby.example"

    told = [finding.words for finding in diagnosis.https()]
    assert any("SECURE_HSTS_SECONDS" in words for words in told)
    assert told[-1] == "LOBBY_URL is http://lobby.example"


def test_static_files_are_collected_in_production(settings: Settings, tmp_path: Path) -> None:
    settings.PRODUCTION, settings.STATIC_ROOT = True, str(tmp_path)
    before = states(diagnosis.static_files())
    (tmp_path / "js").mkdir()

    assert (before, states(diagnosis.static_files())) == ({"static files": "fail"}, {"static files": "ok"})


def test_mail_is_tried(settings: Settings) -> None:
    settings.EMAIL_BACKEND = "django.core.mail.backends.smtp.EmailBackend"
    found = [states(diagnosis.mail())]
    with listening(smtp) as server:
        settings.EMAIL_HOST, settings.EMAIL_PORT = server.host, server.port
        settings.MAIL = read_server(f"smtp://{server.host}:{server.port}")
        found.append(states(diagnosis.mail()))
    found.append(states(diagnosis.mail()))

    assert found == [{"mail": "warn"}, {"mail": "ok"}, {"mail": "fail"}]


def smtp(line: Any, listener: Listener) -> None:
    """Greets, and says yes to everything."""
    line.sendall(b"220 mail.example ESMTP\r\n")
    while line.recv(1000):
        line.sendall(b"250 ok\r\n")


@pytest.mark.django_db
def test_alerts_that_nobody_evaluates_are_told() -> None:
    found = [states(diagnosis.alerts())]
    for seconds in (5, 90):
        Turn.objects.update_or_create(name="alerts", defaults={"at": Now() - timedelta(seconds=seconds)})
        found.append(states(diagnosis.alerts()))

    assert found == [{"alerts": "warn"}, {"alerts": "ok"}, {"alerts": "warn"}]


@pytest.mark.django_db
def test_receivers_that_can_not_be_told_are_named(settings: Settings) -> None:
    settings.WEBHOOK_NETWORKS = [ip_network("127.0.0.1/32")]
    nobody = states(diagnosis.receivers())
    Receiver.objects.create(kind="email", address="carol@house.example")
    Receiver.objects.create(kind="webhook", address="http://127.0.0.2/hook")
    sealed = Receiver.objects.create(kind="webhook", address="http://127.0.0.1/hook")
    notices.new_secret(sealed)
    before = [finding.state for finding in diagnosis.receivers()]
    settings.SECRET_KEY = "another"

    assert (nobody, before) == ({"receivers": "warn"}, ["fail", "ok", "fail"])
    assert [finding.state for finding in diagnosis.receivers()] == ["fail", "fail", "fail"]


@pytest.mark.django_db(transaction=True)
def test_migrations_that_are_missing_are_told() -> None:
    with connection.cursor() as cursor:
        cursor.execute("UPDATE django_migrations SET app = 'gone' WHERE app = 'agents'")
        told = states(diagnosis.migrations())
        cursor.execute("UPDATE django_migrations SET app = 'agents' WHERE app = 'gone'")

    assert (told, states(diagnosis.migrations())) == ({"migrations": "fail"}, {"migrations": "ok"})


def test_check_that_breaks_is_a_finding_of_its_own() -> None:
    def breaks() -> list[Finding]:
        raise ZeroDivisionError("by zero")

    (finding,) = diagnosis.asked("odd", breaks)

    assert (finding.name, finding.state, finding.words) == ("odd", "fail", "ZeroDivisionError: by zero")


def test_web_process_is_asked() -> None:
    ready = b'{"checks": {"worker": {"ok": false, "ms": 1, "reason": "No worker was seen."}}}'
    found = []
    for body in (ready, ready.replace(b"false", b"true"), b"<html>"):
        head = f"HTTP/1.1 200 OK\r\nContent-Length: {len(body)}\r\nConnection: close\r\n\r\n".encode()
        with listening(replying(head + body)) as web:
            finding = diagnosis.of_web(web.url)
        found.append((finding.state, finding.words.partition(" ")[0]))

    assert [state for state, _ in found] == ["fail", "ok", "fail"]
    assert found[0][1] == "worker:"
