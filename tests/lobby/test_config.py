import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from lobby import config
from lobby.embedded.programs import PROJECT

SECRET = "as7-seldom-seen"
KEPT = ("PATH", "HOME", "LANG", "VIRTUAL_ENV", "COVERAGE_PROCESS_START", "COVERAGE_PROCESS_CONFIG")
# Where what holds by default depends on what else there is, or is said in words
IN_WORDS = {"LOBBY_HOME", "DATABASE_URL", "REDIS_URL", "OLLAMA_HOST", "LOBBY_MODEL", "LOBBY_SECRET_KEY"}


def lobby_config(home: Path, *words: str, **environment: str) -> subprocess.CompletedProcess[str]:
    clean = {name: value for name, value in os.environ.items() if name in KEPT}
    return subprocess.run(
        [sys.executable, "-m", "lobby.cli", "config", *words],
        cwd=PROJECT,
        env=clean | {"LOBBY_HOME": str(home)} | environment,
        capture_output=True,
        text=True,
        timeout=250,
        check=False,
    )


def told(home: Path, **environment: str) -> tuple[dict[str, Any], dict[str, Any]]:
    """Name → setting, and all of it."""
    everything = json.loads(lobby_config(home, "--json", **environment).stdout)
    return {each["name"]: each for each in everything["settings"]}, everything


def test_each_setting_has_its_value_and_where_it_comes_from(tmp_path: Path) -> None:
    (tmp_path / "token").write_text(SECRET)
    (tmp_path / "secret_key").write_text(SECRET)

    settings, everything = told(
        tmp_path,
        LOBBY_RUNS_PER_USER="7",
        LOBBY_METRICS_TOKEN_FILE=str(tmp_path / "token"),
        DATABASE_URL=f"postgresql://lobby:{SECRET}@db.example/lobby",
        REDIS_URL=f"redis://:{SECRET}@cache.example:6379/0",
    )

    shown = {name: (each["value"], each["source"]) for name, each in settings.items()}
    expected = {
        "LOBBY_HOME": (str(tmp_path), "environment"),
        "LOBBY_RUNS_PER_USER": ("7", "environment"),
        "LOBBY_RUNS_PER_HOUR": ("600", "default"),
        "LOBBY_METRICS_TOKEN": ("set", "LOBBY_METRICS_TOKEN_FILE"),
        "LOBBY_OLD_SECRET_KEYS": ("not set", "default"),
        "LOBBY_SECRET_KEY": ("set", "LOBBY_HOME"),
        "DATABASE_URL": ("postgresql://lobby:***@db.example/lobby", "environment"),
        "REDIS_URL": ("redis://:***@cache.example:6379/0", "environment"),
        "OLLAMA_NUM_PARALLEL": ("1", "default"),
    }
    assert {name: shown[name] for name in expected} == expected
    assert settings["LOBBY_RUNS_PER_HOUR"]["what"] == "replies of one user per hour"
    assert (everything["unknown"], everything["problem"]) == ([], "")


def test_no_secret_is_shown_in_either_form(tmp_path: Path) -> None:
    (tmp_path / "secret_key").write_text(SECRET)
    secrets = {
        "LOBBY_OLD_SECRET_KEYS": SECRET,
        "LOBBY_METRICS_TOKEN": SECRET,
        "DATABASE_URL": f"host=db.example user=lobby password='{SECRET} and more'",
        "REDIS_URL": f"redis://default:{SECRET}/with@signs@cache.example:6379/0",
        "LOBBY_EMAIL_URL": f"smtp://me:{SECRET}@mail.example:587?tls=yes",
    }

    plain, as_json = lobby_config(tmp_path, **secrets), lobby_config(tmp_path, "--json", **secrets)

    assert SECRET not in plain.stdout + plain.stderr + as_json.stdout + as_json.stderr
    assert "and more" not in as_json.stdout
    assert "LOBBY_OLD_SECRET_KEYS" in plain.stdout


def test_a_misspelt_variable_is_pointed_out_with_the_nearest_name(tmp_path: Path) -> None:
    done = lobby_config(tmp_path, LOBBY_RUN_PER_USER="3", LOBBY_METRICS_TOKEN_FIEL="x", LOBBY_QQQ="1")

    assert done.stderr.splitlines() == [
        "LOBBY_METRICS_TOKEN_FIEL is set, and nothing reads it. Did you mean LOBBY_METRICS_TOKEN_FILE?",
        "LOBBY_QQQ is set, and nothing reads it.",
        "LOBBY_RUN_PER_USER is set, and nothing reads it. Did you mean LOBBY_RUNS_PER_USER?",
    ]
    assert done.returncode == 0


@pytest.mark.parametrize(
    ("environment", "problem"),
    [
        ({"LOBBY_RUNS_PER_HOUR": "many"}, "LOBBY_RUNS_PER_HOUR must be a whole number, not 'many'"),
        ({"LOBBY_PRODUCTION": "yes"}, "LOBBY_SECRET_KEY (or LOBBY_SECRET_KEY_FILE) must be set in production"),
        ({"LOBBY_MODEL_FILE": "/none"}, "LOBBY_MODEL_FILE names /none, which can't be read: No such file or directory"),
    ],
)
def test_nonsense_is_named_and_the_rest_shown_all_the_same(
    tmp_path: Path, environment: dict[str, str], problem: str
) -> None:
    done = lobby_config(tmp_path, **environment)

    assert (done.returncode, done.stderr.strip()) == (1, problem)
    assert "LOBBY_FRAMES_PER_SECOND" in done.stdout


def test_looking_changes_nothing(tmp_path: Path) -> None:
    home = tmp_path / "home"

    assert told(home)[0]["LOBBY_SECRET_KEY"]["value"] == "not set"
    assert not home.exists()


def test_the_defaults_that_the_page_names_are_those_of_the_code(tmp_path: Path) -> None:
    """All that the settings read; "none" on the page, maybe with what follows from it, is nothing in the code."""
    code = (
        "import json, lobby.settings; from lobby import env;"
        "print(json.dumps({name: reading.default for name, reading in env.READ.items()}))"
    )
    clean = {name: value for name, value in os.environ.items() if name in KEPT}
    done = subprocess.run(
        [sys.executable, "-c", code],
        cwd=PROJECT,
        env=clean | {"LOBBY_HOME": str(tmp_path), "LOBBY_SECRET_KEY": SECRET},
        capture_output=True,
        text=True,
        check=True,
    )
    in_code = json.loads(done.stdout)
    on_page = {
        each.name: "" if each.default.split(":")[0] == "none" else each.default
        for each in config.known()
        if each.section != config.NOT_BY_HAND
    }
    compared = set(on_page) & set(in_code) - IN_WORDS
    assert {name: on_page[name] for name in compared} == {name: in_code[name] for name in compared}
    assert len(compared) > 20
