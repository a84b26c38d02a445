from pathlib import Path
from xml.etree import ElementTree as ET

import pytest
from typer.testing import CliRunner

from lobby.cli import app

runner = CliRunner()


def lobby(*words: str) -> tuple[int, str, str]:
    """Exit code, output, and the words of what went wrong on one line."""
    done = runner.invoke(app, list(words))
    return done.exit_code, done.stdout, " ".join(done.stderr.split())


# simulate


def test_simulate_tells_what_to_expect_and_draws_it(tmp_path: Path) -> None:
    drawing = tmp_path / "rounds.svg"
    code, told, _ = lobby(
        *("simulate", "--agents", "5", "--accuracy", ".7", "--correlation", ".3", "--conformity", ".2"),
        *("--options", "2", "--rounds", "3", "--debates", "60", "--seed", "1", "--svg", str(drawing)),
    )
    assert code == 0
    assert told.startswith("60 debates, rule three-quarters, seed 1; 5 agents, 2 options, correlation 0.3, accuracy")
    titles = ["What to expect", "What the debates did", "Round by round"]
    assert [title for title in titles if title in told] == titles
    assert ET.parse(drawing).getroot().tag == "{http://www.w3.org/2000/svg}svg"


def test_simulate_says_the_same_for_the_same_seed() -> None:
    again = [lobby("simulate", "--debates", "30", "--seed", seed)[1] for seed in ("3", "3", "4")]
    assert again[0] == again[1] != again[2].replace("seed 4", "seed 3")


@pytest.mark.parametrize(
    ("words", "told"),
    [
        (["--agents", "2"], "agents: from 3 to 15, not 2"),
        (["--accuracy", "1.5"], "accuracy: from 0 to 1, not 1.5"),
        (["--rule", "judge"], "rule: one of plurality, majority, two-thirds, three-quarters, unanimity, not judge"),
        (["--debates", "0"], "debates: from 1 to 1,000,000, not 0"),
        (["--debates", "1", "--svg", "/no/such/place.svg"], "--svg: /no/such/place.svg can't be written: No such file"),
    ],
)
def test_simulate_refuses_what_cannot_be_in_one_line(words: list[str], told: str) -> None:
    code, _, said = lobby("simulate", *words)
    assert code == 1
    assert said.removeprefix("Simulating 1 debates ").startswith(told)


# evaluate, up to where it would start anything


@pytest.mark.parametrize(
    ("words", "told"),
    [
        (["--limit", "0"], "--limit: at least one question"),
        (["--data", "/no/such/file.jsonl"], "/no/such/file.jsonl can't be read: No such file or directory"),
    ],
)
def test_evaluate_refuses_what_cannot_be_in_one_line(words: list[str], told: str) -> None:
    code, out, said = lobby("evaluate", *words)
    assert (code, out, said) == (1, "", told)


def test_evaluate_names_the_bad_line_of_a_file(tmp_path: Path) -> None:
    path = tmp_path / "mine.jsonl"
    path.write_text('{"id": 1, "question": "?", "options": ["a", "b"], "answer": "c"}\n')
    code, _, said = lobby("evaluate", "--data", str(path))
    assert (code, said) == (1, f"{path}: line 1: the answer “c” is none of the options")


def test_evaluate_goes_on_from_no_other_file_than_its_own(tmp_path: Path) -> None:
    path = tmp_path / "other.jsonl"
    path.write_text("[]\n")
    code, _, said = lobby("evaluate", "--keep", str(path))
    assert code == 1
    assert said.startswith(f"{path} holds no results of an evaluation")
