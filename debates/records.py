"""Settling: what turned out to be right, and what that says of models, agents and panels.

Only a seat's last valid ballot counts, once per debate; ballots that a fork copied count where they were cast.
"""

from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass
from itertools import groupby, pairwise
from operator import itemgetter
from typing import Any, NamedTuple
from uuid import UUID

from django.db import connection, transaction
from django.db.models import F, Q, QuerySet
from django.http import HttpRequest
from django.utils import timezone

from debates import consensus
from debates.consensus import BeliefSource, SettledDebate, fit_isotonic, measured_correlation
from debates.errors import BadDebate, NotNow
from debates.events import DebateVerdict, say
from debates.models import Ballot, Calibration, Debate
from debates.settlements import Settlement, settlement
from debates.statistics import brier, wilson_interval
from lobby import audit

CALIBRATING = 0x64656261  # the advisory lock of whoever fits: two settles at once would each miss the other's ballots
TELLING = 200  # debates that a correlation is measured on
REVEALED = Q(round__step="scored")  # where a debate was stopped, ballots may be left that nobody has seen
NOT_COPIED = Q(round__debate__forked_after=None) | Q(round__number__gt=F("round__debate__forked_after"))


def settle(debate: Debate, *, option: str | None, request: HttpRequest | None = None) -> None:
    """Note which option was right (None: take that back), and calibrate its models anew. Raises NotNow, BadDebate."""
    with transaction.atomic():
        held = Debate.objects.select_for_update().get(pk=debate.pk)
        if held.status != Debate.Status.ENDED:
            raise NotNow("Only a debate that has ended can be settled. Stop it first, or wait for its end.")
        if option and option not in held.option_texts:
            raise BadDebate("This debate has no such option. Choose one of: " + ", ".join(held.option_texts) + ".")
        debate.right_option = held.right_option = option or ""
        debate.settled_at = held.settled_at = timezone.now() if option else None
        if held.verdict is not None:
            debate.verdict = held.verdict = {**held.verdict, "settled": _settled(held, held.verdict)}
        held.save(update_fields=["right_option", "settled_at", "verdict"])
        calibrate(held.seats.filter(votes=True).values_list("model", flat=True))
        actor = None if request else held.owner
        audit.record("debate.settled", request=request, actor=actor, subject=held, option=held.right_option)
        say(held.topic, DebateVerdict(type="debate.verdict"))


def _settled(debate: Debate, verdict: dict[str, Any]) -> Settlement | None:
    return settlement(
        right=debate.right_option,
        decided=verdict["option"],
        blind=verdict["blind"]["winner"],
        texts=debate.option_texts,
    )


def settled_ballots() -> QuerySet[Ballot]:
    return Ballot.objects.filter(
        NOT_COPIED, REVEALED, round__debate__right_option__gt="", status=Ballot.Status.CAST, is_judgement=False
    )


def calibrate(models: Iterable[str]) -> None:
    """Fit the curves of these models to their settled ballots; a model without any loses its row."""
    wanted = sorted(set(models))
    with transaction.atomic():
        with connection.cursor() as cursor:
            cursor.execute("SELECT pg_advisory_xact_lock(%s)", [CALIBRATING])
        fitted = [
            Calibration(model=model, ballots=len(ballots), fit=_fits(ballots), updated_at=timezone.now())
            for model, ballots in _last_ballots(wanted)
        ]
        Calibration.objects.filter(model__in=wanted).exclude(model__in=[row.model for row in fitted]).delete()
        Calibration.objects.bulk_create(
            fitted, update_conflicts=True, unique_fields=["model"], update_fields=["ballots", "fit", "updated_at"]
        )


class _Settled(NamedTuple):
    model: str
    option: str
    right: str
    confidence: float | None
    measured: dict[str, float] | None
    probed: dict[str, float] | None


def _last_ballots(models: list[str]) -> Iterator[tuple[str, list[_Settled]]]:
    columns = ("seat__model", "option", "round__debate__right_option", "confidence", "measured", "probed")
    last = settled_ballots().filter(seat__model__in=models).order_by("seat_id", "-round__number").distinct("seat_id")
    found = sorted((_Settled(*row) for row in last.values_list(*columns)), key=itemgetter(0))
    for model, ballots in groupby(found, key=itemgetter(0)):
        yield model, list(ballots)


# How sure a ballot was of the option it chose, 0–1, by each of the sources that a debate may believe.
SURE: Mapping[BeliefSource, Callable[[_Settled], float | None]] = {
    "stated": lambda ballot: None if ballot.confidence is None else ballot.confidence / 100,
    "measured": lambda ballot: (ballot.measured or {}).get(ballot.option),
    "probe": lambda ballot: (ballot.probed or {}).get(ballot.option),
}


def _fits(ballots: list[_Settled]) -> dict[str, Any]:
    """Belief source → consensus.Calibration.as_dict(), of the sources that any of the ballots has."""
    fits: dict[str, Any] = {}
    for source, sure in SURE.items():
        known = [(sure(ballot), ballot.option == ballot.right) for ballot in ballots]
        fit = fit_isotonic((confidence, is_right) for confidence, is_right in known if confidence is not None)
        if fit is not None:
            fits[source] = fit.as_dict()
    return fits


def calibrations(models: Iterable[str], *, belief: BeliefSource = "stated") -> dict[str, consensus.Calibration]:
    """For `consensus.Settings`; also fits that stand on too few ballots to be used (`is_enough`)."""
    rows = Calibration.objects.filter(model__in=set(models))
    return {row.model: consensus.Calibration.from_dict(row.fit[belief]) for row in rows if belief in row.fit}


# (blind ballots, right ones) of the newest settled debates whose voters had these models, and no others. As text, for
# it takes longer to compose than to answer.
BLIND_VOTES = """
WITH alike AS (
       SELECT id, right_option FROM debates_debate AS debate
        WHERE right_option > '' AND forked_after IS NULL
          AND %(models)s::text[] = (SELECT array_agg(DISTINCT model::text COLLATE "C") FROM debates_seat
                                     WHERE debate_id = debate.id AND votes)
        ORDER BY settled_at DESC LIMIT %(most)s)
SELECT count(*), count(*) FILTER (WHERE option = right_option)
  FROM alike
  JOIN debates_round AS round ON round.debate_id = alike.id AND number = 0 AND step = 'scored'
  JOIN debates_ballot AS ballot ON round_id = round.id AND ballot.status = 'cast' AND NOT is_judgement
 GROUP BY alike.id
"""


def panel_correlation(models: Iterable[str]) -> float | None:
    """ρ between the blind votes of panels of exactly these models, from at least 30 settled debates; else None.

    The newest of them tell enough; it is asked for after every round, however many there are.
    """
    with connection.cursor() as cursor:
        cursor.execute(BLIND_VOTES, {"models": sorted(set(models)), "most": TELLING})
        return measured_correlation(SettledDebate(*row) for row in cursor.fetchall())


@dataclass(frozen=True, slots=True)
class TrackRecord:
    """Of an agent, or of a model, over settled debates: one ballot per seat and debate, its last.

    `sure` of them stated a confidence, which `brier` judges: 0 is best, .25 what "50 %" always gets. Blind ballots are
    those of round 0. Flips count every move of a seat to the right option, and away from it.
    """

    ballots: int = 0
    hits: int = 0
    blind_ballots: int = 0
    blind_hits: int = 0
    sure: int = 0
    brier: float | None = None
    flips_to_right: int = 0
    flips_from_right: int = 0

    @property
    def hit_rate(self) -> float | None:
        return self.hits / self.ballots if self.ballots else None

    @property
    def interval(self) -> tuple[float, float]:
        """95 % (Wilson) of the hit rate."""
        return wilson_interval(self.hits, self.ballots)


NO_RECORD = TrackRecord()


class _Cast(NamedTuple):
    of: Any
    seat: UUID
    number: int
    is_own: bool  # not copied by a fork
    is_right: bool
    confidence: float | None


def records_by_agent(agents: Iterable[UUID] | None = None) -> dict[UUID, TrackRecord]:
    """Agent's id → its record, of those that have one; of all agents when none are named. One query."""
    return _records("seat__agent_id", only=agents)


def records_by_model(models: Iterable[str] | None = None) -> dict[str, TrackRecord]:
    """Model → its record, of those that have one; of all models when none are named. One query."""
    return _records("seat__model", only=models)


def _records(column: str, *, only: Iterable[Any] | None) -> dict[Any, TrackRecord]:
    cast = Ballot.objects.filter(
        REVEALED, round__debate__right_option__gt="", status=Ballot.Status.CAST, is_judgement=False
    )
    cast = cast.filter(**{f"{column}__isnull": False} if only is None else {f"{column}__in": list(only)})
    rows = cast.order_by(column, "seat_id", "round__number").values_list(
        column, "seat_id", "round__number", "round__debate__forked_after", "option", "round__debate__right_option",
        "confidence",
    )  # fmt: skip
    ballots = (
        _Cast(of, seat, number, copied is None or number > copied, option == right, confidence)
        for of, seat, number, copied, option, right, confidence in rows.iterator(chunk_size=5000)
    )
    return {of: record for of, held in groupby(ballots, key=itemgetter(0)) if (record := _record(held)).ballots}


def _record(ballots: Iterable[_Cast]) -> TrackRecord:
    seats = [list(cast) for _, cast in groupby(ballots, key=itemgetter(1))]
    last = [cast[-1] for cast in seats if cast[-1].is_own]
    blind = [cast[0] for cast in seats if cast[0].is_own and cast[0].number == 0]
    moves = [(before.is_right, after.is_right) for cast in seats for before, after in pairwise(cast) if after.is_own]
    sure = [(ballot.confidence / 100, ballot.is_right) for ballot in last if ballot.confidence is not None]
    return TrackRecord(
        ballots=len(last),
        hits=sum(ballot.is_right for ballot in last),
        blind_ballots=len(blind),
        blind_hits=sum(ballot.is_right for ballot in blind),
        sure=len(sure),
        brier=brier(sure),
        flips_to_right=moves.count((False, True)),
        flips_from_right=moves.count((True, False)),
    )
