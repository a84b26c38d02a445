"""JSON answers of agents: one object and nothing guessed. Ballots are read in debates/ballots.py, the others here."""

import json
from collections.abc import Mapping
from typing import Any, NoReturn

from debates.prompts.fences import clean, clip
from debates.prompts.schemas import LABELS, MOST_CHECKS, MOST_OPTIONS, NOTE, OPTION

LONGEST = 50_000  # characters; what is longer is none of the answers asked for
LEAST_OPTIONS = 2
OTHER = {"other", "others", "none of these", "something else"}


class Unreadable(ValueError):
    """The answer is not what was asked for; its words say why, fit for the prompt that asks again."""


def one_object(text: str) -> dict[str, Any]:
    """The only JSON object in a text, which may stand in a code fence or between words. Raises Unreadable.

    A first brace that begins no whole object is an error, whatever comes later: what stands inside of an answer that
    was cut off is no answer.
    """
    start = text.find("{")
    if start < 0:
        raise Unreadable("There is no JSON object in it.")
    if len(text) > LONGEST:
        raise Unreadable("It is far too long.")
    found, end = _decoded(text, start)
    if "{" in text[end:]:
        raise Unreadable("There is more than one JSON object in it.")
    return found


def _decoded(text: str, start: int) -> tuple[dict[str, Any], int]:
    try:
        return DECODER.raw_decode(text, start)
    except Unreadable:
        raise
    except json.JSONDecodeError as error:
        raise Unreadable(f"It is no whole JSON object: {error.msg} at character {error.pos}.") from error
    except (ValueError, RecursionError) as error:  # a number of thousands of digits, a thousand brackets
        raise Unreadable("It is no JSON object that can be read.") from error


def _without_repeats(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    found = dict(pairs)
    if len(found) < len(pairs):
        raise Unreadable("A name stands twice in the same JSON object.")
    return found


def _refuse_constant(name: str) -> NoReturn:
    raise Unreadable(f"{name} is no number.")


DECODER = json.JSONDecoder(object_pairs_hook=_without_repeats, parse_constant=_refuse_constant)


def list_in(found: Mapping[str, Any], name: str) -> list[Any]:
    """A list that may be left out. Raises Unreadable."""
    value = found.get(name, [])
    if not isinstance(value, list):
        raise Unreadable(f'"{name}" must be a list.')
    return value


def text_in(found: Mapping[str, Any], name: str, *, most: int) -> str:
    """Cleaned and cut; empty where it is left out. Raises Unreadable."""
    value = found.get(name, "")
    if not isinstance(value, str):
        raise Unreadable(f'"{name}" must be a text.')
    return clip(clean(value), most=most)


def choice_in(found: Mapping[str, Any], name: str, choices: list[str]) -> str:
    """Raises Unreadable."""
    value = found.get(name)
    if not isinstance(value, str) or value not in choices:
        raise Unreadable(f'"{name}" must be one of: {", ".join(choices)}.')
    return value


def whole_number(value: Any) -> int | None:
    """3 and 3.0 are 3; true, "3" and 3.5 are no whole numbers."""
    if isinstance(value, bool) or not isinstance(value, int | float):
        return None
    return int(value) if value == value // 1 else None


def read_checks(text: str, known: set[int]) -> list[dict[str, Any]]:
    """[{"claim": number, "status": "supported" | "refuted" | "unverifiable", "note"}], each claim once.

    Labels of claims that nobody asked about are dropped. Raises Unreadable, also when none is left.
    """
    found: dict[int, dict[str, Any]] = {}
    for check in list_in(one_object(text), "checks"):
        if not isinstance(check, dict):
            raise Unreadable('Each of the "checks" must be an object.')
        number = whole_number(check.get("claim"))
        if number is None:
            raise Unreadable('"claim" must be the number of a claim.')
        status, note = choice_in(check, "status", LABELS), text_in(check, "note", most=NOTE)
        label = {"claim": number, "status": status, "note": note}
        if found.setdefault(number, label)["status"] != status:
            raise Unreadable(f"Claim {number} has two labels that contradict each other.")
    labels = [label for number, label in found.items() if number in known][:MOST_CHECKS]
    if known and not labels:
        raise Unreadable("It labels none of the claims.")
    return labels


def read_options(text: str) -> list[str]:
    """Two to five distinct answers; "other" is not among them. Raises Unreadable."""
    found: dict[str, str] = {}
    for option in list_in(one_object(text), "options"):
        if not isinstance(option, str):
            raise Unreadable('Each of the "options" must be a text.')
        told = clip(" ".join(clean(option).split()), most=OPTION)
        if any(map(str.isalnum, told)):
            found.setdefault(told.casefold().rstrip(".!"), told)
    answers = [told for plain, told in found.items() if plain not in OTHER][:MOST_OPTIONS]
    if len(answers) < LEAST_OPTIONS:
        raise Unreadable("There must be at least two different answers.")
    return answers


def read_ranking(text: str, letters: dict[str, str]) -> list[str]:
    """The values of `letters` (ids of seats), the best first, all of them. Raises Unreadable."""
    order = ranked(list_in(one_object(text), "ranking"), list(letters))
    if len(order) < len(letters):
        raise Unreadable(f"Each of the letters {', '.join(letters)} must stand in the ranking once.")
    return [letters[letter] for letter in order]


def ranked(order: list[Any], letters: list[str]) -> list[str]:
    """Raises Unreadable: a letter that was not offered, or one that stands twice."""
    found = [letter.strip().upper() if isinstance(letter, str) else None for letter in order]
    named = [letter for letter in found if letter in letters]
    if len(named) < len(order):
        raise Unreadable(f"Rank the letters {', '.join(letters)} and nothing else.")
    if len(set(named)) < len(named):
        raise Unreadable("A letter stands twice in the ranking.")
    return [str(letter) for letter in named]
