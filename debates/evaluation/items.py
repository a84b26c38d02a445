"""Questions with known answers, one JSON object per line."""

import json
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path
from random import Random
from typing import Any

SHIPPED = Path(__file__).with_name("questions.jsonl")
FEWEST, MOST = 2, 6  # options; the most that a debate takes
LONGEST_QUESTION, LONGEST_OPTION, LONGEST_BACKGROUND = 4_000, 200, 20_000  # characters, as debates have them
SHOWN = 5  # errors of a file told at once


class BadItems(ValueError):
    """A file of questions that cannot be used; its words name the lines."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Item:
    """`answer` is one of the options, word for word. `topic` and `level` only sort the report."""

    id: str
    question: str
    options: tuple[str, ...]
    answer: str
    background: str = ""
    topic: str = ""
    level: str = ""


def read_items(path: Path = SHIPPED) -> list[Item]:
    """Raises BadItems, with the number of each bad line and what is wrong with it."""
    try:
        text = path.read_text(encoding="utf-8")
    except OSError as error:
        raise BadItems(f"{path} can't be read: {error.strerror}") from error
    except UnicodeDecodeError as error:
        raise BadItems(f"{path} is no text in UTF-8 (byte {error.start:,})") from error
    items, problems = _read_lines(text.splitlines())
    if problems:
        more = f" (and {len(problems) - SHOWN} more)" if len(problems) > SHOWN else ""
        raise BadItems(f"{path}: {'; '.join(problems[:SHOWN])}{more}")
    if not items:
        raise BadItems(f"{path} holds no question")
    return items


def _read_lines(lines: Iterable[str]) -> tuple[list[Item], list[str]]:
    items, problems, seen = [], [], dict[str, int]()
    for number, line in enumerate(lines, start=1):
        if not line.strip():
            continue
        try:
            item = _read_new(line, seen=seen)
        except BadItems as problem:
            problems.append(f"line {number}: {problem}")
            continue
        seen[item.id] = number
        items.append(item)
    return items, problems


def _read_new(line: str, *, seen: Mapping[str, int]) -> Item:
    item = read_item(line)
    if item.id in seen:
        raise BadItems(f"the id “{item.id}” is that of line {seen[item.id]}")
    return item


def read_item(line: str) -> Item:
    """Raises BadItems."""
    try:
        found = json.loads(line)
    except (ValueError, RecursionError) as error:
        raise BadItems(f"no JSON ({getattr(error, 'msg', 'too deep')})") from error
    if not isinstance(found, dict):
        raise BadItems("no JSON object")
    if missing := [name for name in ("id", "question", "options", "answer") if name not in found]:
        raise BadItems(f"without {', '.join(missing)}")
    options = _options(found["options"])
    answer = _text(found["answer"], "answer", most=LONGEST_OPTION)
    if answer not in options:
        raise BadItems(f"the answer “{answer}” is none of the options")
    return Item(
        id=_text(str(found["id"]), "id", most=LONGEST_OPTION),
        question=_text(found["question"], "question", most=LONGEST_QUESTION),
        options=options,
        answer=answer,
        background=_text(found.get("background", ""), "background", most=LONGEST_BACKGROUND, may_be_empty=True),
        topic=str(found.get("topic", "")),
        level=str(found.get("level", "")),
    )


def _options(given: Any) -> tuple[str, ...]:
    if not isinstance(given, list) or not FEWEST <= len(given) <= MOST:
        raise BadItems(f"options must be a list of {FEWEST} to {MOST}")
    options = tuple(_text(option, "option", most=LONGEST_OPTION) for option in given)
    if len({option.casefold() for option in options}) < len(options):
        raise BadItems("an option is there twice")
    return options


def _text(given: Any, what: str, *, most: int, may_be_empty: bool = False) -> str:
    if not isinstance(given, str):
        raise BadItems(f"the {what} must be a text")
    text = given.strip()
    if not text and not may_be_empty:
        raise BadItems(f"the {what} is empty")
    if len(text) > most:
        raise BadItems(f"the {what} has {len(text):,} characters, {most:,} is the limit")
    return text


def choose(items: list[Item], *, limit: int | None, seed: int) -> list[Item]:
    """Some of them, drawn by the seed, in the order of the file."""
    if limit is None or limit >= len(items):
        return items
    drawn = set(Random(seed).sample(range(len(items)), limit))  # noqa: S311  (no secret)
    return [item for place, item in enumerate(items) if place in drawn]
