"""What a simulated agent finds in a prompt of debates.prompts, which is all it knows of a debate under way."""

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from debates.simulation.minds import Thought

Message = Mapping[str, Any]
ANSWERS = re.compile(r"<<<The possible answers\n(.*?)\n>>>", re.DOTALL)
LETTERS = re.compile(r"<<<The answers by letter\n(.*?)\n>>>", re.DOTALL)
LETTERED = re.compile(r"^([A-Z]): (.+)$", re.MULTILINE)
# What others hold, as round tables, "solutions only" and Delphi tell it.
HELD = re.compile(r"^(?:answers|- Agent [A-Z]): (.+)$", re.MULTILINE)
COUNTED = re.compile(r"^- (\d+) of \d+: (.+)$", re.MULTILINE)
CLAIM = re.compile(r"^claim (\d+): (.+)$", re.MULTILINE)
VOTED = re.compile(r"^Your last vote was for “(.+)”\.$", re.MULTILINE)
OWN = re.compile(r"My answer: (.+) \((\d+) % sure, (\w+)\)$")


def ending(thought: Thought, reason: str) -> str:
    """How a simulated speech ends, so that the ballot after it says the same."""
    return f"My answer: {thought.option} ({round(100 * thought.sure)} % sure, {reason})"


@dataclass(frozen=True, slots=True)
class Prompted:
    """`own`: what it said last, and why it had changed; `heard`: what the others hold, none in a blind round."""

    question: str
    options: tuple[str, ...]
    letters: Mapping[str, str]
    own: Thought | None
    reason: str
    voted: str
    heard: tuple[str, ...]
    claims: Mapping[int, str]


def read(messages: Sequence[Message]) -> Prompted:
    asked, task = _user(messages)[0], _user(messages)[-1]
    said = next((m["content"] for m in reversed(messages) if m["role"] == "assistant"), "")
    own = OWN.search(said)
    options = ANSWERS.search(asked)
    lettered = LETTERS.search(task)
    voted = VOTED.search(task)
    return Prompted(
        question=asked.removeprefix("Question: ").split("\n\n")[0],
        options=tuple(line.removeprefix("- ") for line in options[1].splitlines()) if options else (),
        letters=dict(LETTERED.findall(lettered[1])) if lettered else {},
        own=Thought(own[1], int(own[2]) / 100) if own else None,
        reason=own[3] if own else "none",
        voted=voted[1] if voted else "",
        heard=_heard(task),
        claims={int(number): text for number, text in CLAIM.findall(task)},
    )


def _user(messages: Sequence[Message]) -> list[str]:
    return [message["content"] for message in messages if message["role"] == "user"]


def _heard(task: str) -> tuple[str, ...]:
    counted = [option for count, option in COUNTED.findall(task) for _ in range(int(count))]
    return (*HELD.findall(task), *counted)
