"""What a debate says on its topic, `debate:<id>`, and to its owner, `user:<id>`.

The same events are made from the rows for whoever comes late, and for replays (debates/history.py); hearing one twice
changes nothing. Speeches' runs speak on the topic too (agents/events.py); ballots' runs are silent, so that nobody sees
a vote before the barrier.
"""

from collections.abc import Mapping
from functools import partial
from typing import Any, Literal, NotRequired, TypedDict

import structlog
from django.db import transaction
from redis.exceptions import RedisError

from lobby.live.streams import publish

log = structlog.get_logger()


class DebateState(TypedDict):
    type: Literal["debate.state"]
    status: str
    pausing: bool  # at the next barrier
    pause_reason: str
    stop_reason: str


class DebateRound(TypedDict):
    """A round has come to another step: speech, ballot, …, scored."""

    type: Literal["debate.round"]
    round: int
    kind: str
    step: str


class DebateSpeech(TypedDict):
    """A speech begins (`waiting`, then its run streams), or is over."""

    type: Literal["debate.speech"]
    speech: str
    round: int
    seat: str
    kind: str
    status: str
    run: str | None
    text: NotRequired[str]  # once it is over; only from the rows, the live one has streamed
    error: NotRequired[str]


class DebateVoted(TypedDict):
    """A seat has voted; not for what."""

    type: Literal["debate.voted"]
    round: int
    seat: str


class DebateBallot(TypedDict):
    """A round's ballots and claims, all at once: the page fetches its figures anew."""

    type: Literal["debate.ballot"]
    round: int
    ballots: list[dict[str, Any]]


class DebateScore(TypedDict):
    type: Literal["debate.score"]
    round: int


class DebateClaims(TypedDict):
    """The Fact-Checker has labelled claims."""

    type: Literal["debate.claims"]
    round: int
    claims: list[int]


class DebateOptions(TypedDict):
    type: Literal["debate.options"]
    options: list[dict[str, str]]


class DebateInjection(TypedDict):
    type: Literal["debate.injection"]
    kind: str
    text: str


class DebateVerdict(TypedDict):
    """There is a verdict, or its Moderator's words: the page fetches its figures anew."""

    type: Literal["debate.verdict"]


class DebateListed(TypedDict):
    """For the lists of its owner."""

    type: Literal["debate.listed"]
    debate: str
    change: Literal["started", "changed", "ended", "deleted"]


DebateEvent = (
    DebateState
    | DebateRound
    | DebateSpeech
    | DebateVoted
    | DebateBallot
    | DebateScore
    | DebateClaims
    | DebateOptions
    | DebateInjection
    | DebateVerdict
)


def say(topic: str, event: Mapping[str, object]) -> None:
    """Once the rows are committed."""
    transaction.on_commit(partial(_say, topic, event))


def _say(topic: str, event: Mapping[str, object]) -> None:
    try:
        publish(topic, event)
    except RedisError as error:  # the rows are right; a page that attaches again sees them
        log.warning("event_not_heard", topic=topic, type=event["type"], error=str(error))
