"""JSON answers of agents that are no ballots: checks of claims, options found, rankings."""

from typing import Any


class Unreadable(ValueError):
    """The answer is not what was asked for; its words say why, fit for the prompt that asks again."""


def read_checks(text: str, known: set[int]) -> list[dict[str, Any]]:
    """[{"claim": number, "status": "supported" | "refuted" | "unverifiable", "note"}], each claim once. Raises
    Unreadable."""
    raise NotImplementedError


def read_options(text: str) -> list[str]:
    """Two to five distinct answers; "other" is not among them. Raises Unreadable."""
    raise NotImplementedError


def read_ranking(text: str, letters: dict[str, str]) -> list[str]:
    """The values of `letters` (ids of seats), the best first. Raises Unreadable."""
    raise NotImplementedError
