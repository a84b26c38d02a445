"""What `lobby up` starts, what the docs tell and what the containers run are the same commands."""

import json
import re
import shlex
import sys
from pathlib import Path

import pytest
import yaml

from lobby.embedded import programs

PROJECT = programs.PROJECT


def documented() -> dict[str, list[str]]:
    """The indented commands of docs/operating.md by name."""
    text = (PROJECT / "docs" / "operating.md").read_text()
    return {name: shlex.split(line) for name, line in re.findall(r"^    ([a-z -]+): (python .+)$", text, re.MULTILINE)}


def composed() -> dict[str, list[str]]:
    services = yaml.safe_load((PROJECT / "docker" / "compose.yaml").read_text())["services"]
    ours = {name: service for name, service in services.items() if "build" in service}
    return {name: shlex.split(service["command"]) for name, service in ours.items() if "command" in service}


def of_the_image() -> list[str]:
    text = (PROJECT / "docker" / "Dockerfile").read_text().replace("\\\n", "")
    command: list[str] = json.loads(text[text.index("CMD ") + len("CMD ") :])
    return command


@pytest.mark.parametrize(
    ("name", "started"),
    [
        ("web", programs.web(host="0.0.0.0", port=8000)),
        ("worker", programs.worker(name="one")[:-2]),  # without the name, which tells the workers of one machine apart
        ("beat", programs.beat(schedule=Path("/tmp/schedule"))),
    ],
)
def test_the_docs_tell_what_up_starts(name: str, started: list[str]) -> None:
    assert documented()[name] == ["python", *started[1:]]
    assert started[0] == sys.executable


def test_containers_run_what_the_docs_tell() -> None:
    told, run = documented(), composed()
    assert (run["first-run"], run["worker"], run["beat"]) == (told["first run"], told["worker"], told["beat"])
    assert of_the_image() == told["web"]
