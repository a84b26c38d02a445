"""Results written short: a letter per ballot is its option, "-" an abstention; A is right."""

from collections.abc import Sequence
from typing import Any

from debates.evaluation.items import Item
from debates.evaluation.results import Result, Said

SURE = 0.8


def said(letters: str) -> tuple[Said, ...]:
    return tuple(Said(None, why="chosen") if letter == "-" else Said(letter, stated=SURE) for letter in letters)


def result(samples: str = "AAB", rounds: Sequence[str] = ("ABB", "AAB"), **fields: Any) -> Result:
    item = fields.pop("item", None) or Item(id="one", question="Which?", options=("A", "B", "C", "D"), answer="A")
    defaults: dict[str, Any] = {
        "item": item,
        "samples": said(samples),
        "chosen": 0,
        "rounds": tuple(said(letters) for letters in rounds),
        "decided": None,
        "confidence": None,
        "stop_reason": "rounds",
        "label": None,
    }
    return Result(**defaults | fields)
