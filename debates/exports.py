"""A debate as a file, with everything that may be told of it: of a round under way, nothing but that it is.

The JSON is version 1: fields may be added to it; one that changes its meaning raises the number.
"""

import json
from dataclasses import dataclass
from typing import Any, Literal

from django.http import HttpRequest
from django.utils.text import slugify

from debates.consensus import RULES
from debates.models import Ballot, Claim, Debate, Injection, Round, Seat, Speech
from debates.protocols import PROTOCOLS
from debates.revealed import reveal
from debates.transcript import as_markdown
from debates.verdicts import conclude
from lobby import audit

__all__ = ["Export", "as_json", "as_markdown", "export"]

VERSION = 1
Form = Literal["markdown", "json"]
CONTENT_TYPES = {"markdown": "text/markdown; charset=utf-8", "json": "application/json"}


@dataclass(frozen=True, slots=True)
class Export:
    filename: str
    content_type: str
    body: str


def export(debate: Debate, *, form: Form, request: HttpRequest | None = None) -> Export:
    """The file to hand out; that it was handed out stands in the audit trail."""
    body = as_markdown(debate) if form == "markdown" else json.dumps(as_json(debate), ensure_ascii=False, indent=2)
    actor = None if request else debate.owner
    audit.record("debate.exported", request=request, actor=actor, subject=debate, form=form)
    suffix = "md" if form == "markdown" else "json"
    name = slugify(debate.question)[:60].strip("-") or "debate"
    return Export(filename=f"{name}.{suffix}", content_type=CONTENT_TYPES[form], body=body)


def as_json(debate: Debate) -> dict[str, Any]:
    """Plain JSON types. Ids are those of the rows; rounds and claims go by their numbers."""
    seen = reveal(debate)
    return {
        "version": VERSION,
        "id": str(debate.pk),
        "question": debate.question,
        "background": debate.background,
        "options": debate.options,
        "is_open": debate.is_open,
        "protocol": {"slug": debate.protocol, "name": PROTOCOLS[debate.protocol].name},
        "rule": {"slug": debate.rule, "title": RULES[debate.rule].title, "words": RULES[debate.rule].words},
        "belief": debate.belief,
        "limits": {
            "rounds": debate.max_rounds,
            "tokens": debate.max_tokens,
            "minutes": debate.max_minutes,
            "speech_tokens": debate.speech_tokens,
        },
        "status": debate.status,
        "stop_reason": debate.stop_reason,
        "created_at": debate.created_at.isoformat(),
        "ended_at": debate.ended_at.isoformat() if debate.ended_at else None,
        "parent": str(debate.parent_id) if debate.parent_id else None,
        "forked_after": debate.forked_after,
        "seats": [_seat(seat) for seat in seen.seats],
        "rounds": [_round(round) for round in seen.rounds],
        "broken_off": [_broken_off(round) for round in seen.broken_off],
        "claims": [_claim(claim) for claim in seen.claims],
        "injections": [_injection(injection) for injection in debate.injections.all()],
        "summary": debate.summary,
        "verdict": conclude(debate),
        "settled": {"option": debate.right_option, "at": debate.settled_at.isoformat()} if debate.settled_at else None,
    }


def _seat(seat: Seat) -> dict[str, Any]:
    return {
        "id": str(seat.pk),
        "position": seat.position,
        "name": seat.name,
        "alias": seat.alias,
        "role": seat.role,
        "model": seat.model,
        "votes": seat.votes,
        "side": seat.side or None,
    }


def _round(round: Round) -> dict[str, Any]:
    return {
        "number": round.number,
        "kind": round.kind,
        "scored_at": round.scored_at.isoformat() if round.scored_at else None,
        "speeches": [_speech(speech) for speech in round.speeches.all()],
        "ballots": [_ballot(ballot) for ballot in round.ballots.all()],
        "metrics": round.metrics,
    }


def _broken_off(round: Round) -> dict[str, Any]:
    """What had been said; votes nobody has seen stay unseen."""
    speeches = [_speech(speech) for speech in round.speeches.all()]
    return {"number": round.number, "kind": round.kind, "speeches": speeches}


def _speech(speech: Speech) -> dict[str, Any]:
    return {
        "seat": str(speech.seat_id),
        "kind": speech.kind,
        "status": speech.status,
        "text": speech.text,
        "data": speech.data,
        "error": speech.error or None,
    }


def _ballot(ballot: Ballot) -> dict[str, Any]:
    return {
        "seat": str(ballot.seat_id),
        "status": ballot.status,
        "abstention": ballot.abstention or None,
        "is_judgement": ballot.is_judgement,
        "letters": ballot.letters,
        "option": ballot.option or None,
        "ranking": ballot.ranking,
        "confidence": ballot.confidence,
        "measured": ballot.measured,
        "probed": ballot.probed,
        "reason": ballot.reason,
        "cited_claims": ballot.cited,
        "change_reason": ballot.change_reason or None,
        "would_change_if": ballot.would_change_if,
        "repairs": ballot.repairs,
    }


def _claim(claim: Claim) -> dict[str, Any]:
    return {
        "number": claim.number,
        "seat": str(claim.seat_id) if claim.seat_id else None,
        "round": claim.round.number,
        "option": claim.option or None,
        "text": claim.text,
        "kind": claim.kind,
        "status": claim.status,
        "note": claim.note,
        "checked_in": claim.checked_in.number if claim.checked_in else None,
    }


def _injection(injection: Injection) -> dict[str, Any]:
    return {"kind": injection.kind, "text": injection.text, "created_at": injection.created_at.isoformat()}
