"""Ballots of the fake: valid by the schema that a request asks for, and for the answer that its script names."""

import re
from collections.abc import Mapping
from typing import Any
from zlib import crc32

LETTERED = re.compile(r"^([A-Z]): (.+)$", re.MULTILINE)  # "B: Wait", as ballots' prompts list the answers


def letter_of(answer: str, request: Mapping[str, Any]) -> str:
    """By which letter the newest message that offers `answer` does so. Raises LookupError."""
    for message in reversed(request["messages"]):
        offered: dict[str, str] = {words: letter for letter, words in LETTERED.findall(message.get("content") or "")}
        if answer in offered:
            return offered[answer]
    raise LookupError(f"no message offers {answer!r}")


def ballot(schema: Mapping[str, Any], request: Mapping[str, Any], *, answer: str) -> dict[str, Any]:
    """What only ballots have, where the schema asks for it: a claim that no other prompt gets, all it may cite."""
    letter, asked = letter_of(answer, request), schema["properties"]
    seed = crc32("".join(message.get("content") or "" for message in request["messages"]).encode())
    found: dict[str, Any] = {
        "option": letter,
        "ranking": [letter, *(other for other in _choices(asked.get("ranking")) if other != letter)],
        "confidence": 80,
        "claims": [{"text": f"Claim {seed:08x} speaks for {answer}", "kind": "fact"}],
        "cited_claims": _choices(asked.get("cited_claims")),
    }
    return {name: value for name, value in found.items() if name in asked}


def _choices(array: Mapping[str, Any] | None) -> list[Any]:
    """As many as may stand in the array."""
    return [] if array is None else array["items"].get("enum", [])[: array["maxItems"]]


def cut(text: str, *, tokens: int) -> list[str]:
    """Into that many tokens, of which the letter of a ballot is one."""
    head, letter, rest = re.match(r'(\{"option":")?([A-Z](?="))?(.*)', text, re.DOTALL).groups("")  # type: ignore[union-attr]
    first = [part for part in (head, letter) if part]
    pieces = max(1, min(tokens - len(first), len(rest)))
    edges = [len(rest) * number // pieces for number in range(pieces + 1)]
    return first + [rest[start:end] for start, end in zip(edges, edges[1:], strict=False)]
