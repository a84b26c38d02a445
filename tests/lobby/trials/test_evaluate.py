"""`lobby evaluate` as a user starts it: it brings its own services, and asks the fake."""

import json
import os
import signal
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from threading import Thread

import pytest

from lobby.embedded.programs import PROJECT
from tests.fake_ollama import FakeOllama

pytestmark = pytest.mark.timeout(900)
# What the suite has for itself; an evaluation of its own begins without.
SUITES = ("DATABASE_URL", "REDIS_URL", "LOBBY_SECRET_KEY", "OLLAMA_HOST", "LOBBY_HOME")


@pytest.fixture
def fake() -> Iterator[FakeOllama]:
    with FakeOllama() as server:
        server.script(tokens=10, votes="Yes")
        yield server


@pytest.fixture
def questions(tmp_path: Path) -> Path:
    path = tmp_path / "questions.jsonl"
    asked = [
        {"id": number, "question": f"Is {number} a number?", "options": ["Yes", "No"], "answer": answer}
        for number, answer in enumerate(["Yes", "No", "Yes"])
    ]
    path.write_text("\n".join(map(json.dumps, asked)))
    return path


def begin(*words: str) -> "subprocess.Popen[str]":
    env = {name: value for name, value in os.environ.items() if name not in SUITES}
    command = [sys.executable, "-m", "lobby.cli", "evaluate", "--no-challenge", "--no-probe", *words]
    pipes = {"stdout": subprocess.PIPE, "stderr": subprocess.PIPE}
    return subprocess.Popen(command, cwd=PROJECT, env=env, text=True, **pipes)  # type: ignore[call-overload, no-any-return]


def figures(report: str, section: str) -> dict[str, list[str]]:
    part = report.split(f"### {section}\n")[1].split("\n\n")[0]
    rows = [[cell.strip() for cell in line.strip("|").split("|")] for line in part.splitlines() if line.startswith("|")]
    return {row[0]: row[1:] for row in rows[2:]}


def test_interrupted_it_reports_what_it_has_and_goes_on_from_there(
    fake: FakeOllama, questions: Path, tmp_path: Path
) -> None:
    kept = tmp_path / "kept.jsonl"
    words = ["--host", fake.url, "--data", str(questions), "--keep", str(kept), "--markdown"]
    fake.script(tokens=10, silence_after=2, containing="Is 1 a number?")  # the second question is not answered
    first = begin(*words)
    assert first.stderr is not None
    for line in first.stderr:
        if line.startswith("Question 2 of 3"):
            first.send_signal(signal.SIGINT)
            break
    read_on = Thread(target=first.stderr.read)  # so that it is not stopped by a full pipe
    read_on.start()
    partial = first.stdout.read() if first.stdout else ""
    assert first.wait() == 0
    read_on.join()
    first.stderr.close()
    if first.stdout:
        first.stdout.close()
    assert len(kept.read_text().splitlines()) == 1
    assert "- questions: 1 of 3 asked" in partial

    fake.script(tokens=10, votes="Yes")
    report, told = begin(*words).communicate()
    assert "Question 3 of 3" in told
    assert "Question 1 of 3" not in told
    assert "- questions: 3\n" in report
    assert f"at {fake.url}: fake:latest\n" in report
    found = figures(report, "Accuracy")
    assert {arm: row[0] for arm, row in found.items()} == {
        "by lot": "",
        "single answer": "2",
        "mean of all samples": "",
        "blind vote of the panel": "2",
        "vote at equal calls": "2",
        "debate": "2",
    }
    assert found["vote at equal calls"][4] == found["debate"][4]  # calls
    assert figures(report, "How it went")["runs that failed"] == ["0"]


def test_a_host_that_is_none_ends_it_in_one_line(questions: Path) -> None:
    out, told = (ended := begin("--host", "http://127.0.0.1:9", "--data", str(questions))).communicate()
    assert (ended.returncode, out) == (1, "")
    assert "OLLAMA_HOST: no Ollama answers at http://127.0.0.1:9" in told
    assert "Traceback" not in told


def test_a_model_that_the_host_lacks_ends_it_with_the_names_of_those_it_has(fake: FakeOllama, questions: Path) -> None:
    out, told = (ended := begin("--host", fake.url, "--model", "llama9", "--data", str(questions))).communicate()
    assert (ended.returncode, out) == (1, "")
    assert told.splitlines()[-1] == "No model host has the model llama9. There are: fake:latest."


def test_it_joins_an_installation_and_leaves_its_hosts_alone(questions: Path) -> None:
    command = [sys.executable, "-m", "lobby.cli", "evaluate", "--host", "http://127.0.0.1:9", "--data", str(questions)]
    done = subprocess.run(command, cwd=PROJECT, capture_output=True, text=True, check=False)
    assert done.returncode == 1
    assert done.stderr.splitlines()[-1] == (
        "--host is for an evaluation of its own; with DATABASE_URL the installation's hosts are asked"
    )
