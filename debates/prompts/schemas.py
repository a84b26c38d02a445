"""JSON schemas of structured answers. `required` names the properties in the order in which they are to be written.

That order matters: a vote comes first. Postgres keeps none for keys, so whoever sends a schema restores it
(agents/generation.py).
"""

from collections.abc import Iterable
from typing import Any, get_args

from debates.consensus import ChangeReason
from debates.models import Claim

MOST_CLAIMS = 3
TEXT = 280  # characters
NOTE, ASKED_NOTE = 200, 160  # kept, and asked for: eight of them have to fit
MOST_CHECKS = 8
MOST_OPTIONS = 5
OPTION = 120
KINDS = [str(kind) for kind in Claim.Kind.values]
LABELS = [str(status) for status in Claim.Status.values if status != Claim.Status.UNCHECKED]
CHANGE_REASONS: list[str] = list(get_args(ChangeReason))


def record(**properties: Any) -> dict[str, Any]:
    return {
        "type": "object",
        "properties": properties,
        "required": list(properties),
        "additionalProperties": False,
    }


def text(most: int = TEXT) -> dict[str, Any]:
    return {"type": "string", "maxLength": most}


def choice(values: Iterable[Any]) -> dict[str, Any]:
    return {"enum": list(values)}


def several(items: Any, *, most: int, least: int = 0) -> dict[str, Any]:
    return {"type": "array", "items": items, "minItems": least, "maxItems": most}


CONFIDENCE = {"type": "integer", "minimum": 0, "maximum": 100}
CLAIM = record(text=text(), kind=choice(KINDS))


def ballot(*, letters: Iterable[str], ranked: Iterable[str], claims: Iterable[int], is_blind: bool) -> dict[str, Any]:
    """`letters` are offered, `ranked` are to be put in order (none: no ranking), `claims` may be cited."""
    order, known = list(ranked), list(claims)
    properties = {
        "option": choice(letters),
        **({"ranking": several(choice(order), least=len(order), most=len(order))} if order else {}),
        "confidence": CONFIDENCE,
        "reason": text(),
        "claims": several(CLAIM, most=MOST_CLAIMS),
        "cited_claims": several(choice(known) if known else {"type": "integer"}, most=min(5, len(known))),
        "change_reason": choice(["none"] if is_blind else CHANGE_REASONS),
        "would_change_if": text(),
    }
    return record(**properties)


def judgement(*, letters: Iterable[str]) -> dict[str, Any]:
    return record(option=choice(letters), confidence=CONFIDENCE, reason=text(), would_change_if=text())


def checks(claims: Iterable[int]) -> dict[str, Any]:
    known = list(claims)
    number = choice(known) if known else {"type": "integer"}
    check = record(claim=number, status=choice(LABELS), note=text(ASKED_NOTE))
    return record(checks=several(check, least=min(1, len(known)), most=len(known)))


def options() -> dict[str, Any]:
    return record(options=several(text(OPTION), least=2, most=MOST_OPTIONS))


def ranking(letters: Iterable[str]) -> dict[str, Any]:
    order = list(letters)
    return record(ranking=several(choice(order), least=len(order), most=len(order)))
