"""What `lobby demo-data` says, and what it refuses."""

import os
from pathlib import Path

import pytest
from typer.testing import CliRunner

from lobby.backup import NotDone
from lobby.cli import app
from lobby.trials.demo_data import NOTHING, REAL, THERE, made, removed
from tests.factories import make_run


def silently(_: str) -> None:
    pass


def test_without_an_installation_it_says_how_to_get_one(tmp_path: Path) -> None:
    env = dict.fromkeys(name for name in os.environ if name.startswith("DATABASE_URL"))

    done = CliRunner().invoke(app, ["demo-data"], env={**env, "LOBBY_HOME": str(tmp_path)})

    assert (done.exit_code, done.stderr.strip()) == (1, NOTHING)


@pytest.mark.django_db
def test_what_was_made_is_said_and_taken_away_again() -> None:
    said = made(40, yes=False, doing=silently)
    with pytest.raises(NotDone) as again:
        made(40, yes=False, doing=silently)

    assert said.startswith("Made 200 users, 3 hosts, 7 agents, 40 runs, 2 conversations, 4 messages, 1 debate, ")
    assert str(again.value) == THERE
    assert removed(silently).startswith("Removed ")
    assert removed(silently) == "There is no demonstration data."


@pytest.mark.django_db
def test_among_real_questions_it_wants_a_yes() -> None:
    make_run()

    with pytest.raises(NotDone) as refused:
        made(40, yes=False, doing=silently)

    assert str(refused.value) == REAL
    assert made(40, yes=True, doing=silently).startswith("Made 200 users, ")
