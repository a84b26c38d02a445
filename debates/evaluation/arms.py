"""Ask a question of every arm, through the engine that debates of people run on.

The debate goes first. The vote then gets as many independent samples as its calls pay for: a sample is a seat of a
blind vote, which speaks and votes (two calls) and sees nobody. The single answer is one of these samples.
"""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import timedelta
from itertools import cycle, islice
from random import Random
from time import monotonic, sleep
from typing import Any

from django.contrib.auth.hashers import make_password
from django.contrib.auth.models import User
from django.db.models import Max, Min, Q, QuerySet
from django.db.models.functions import Now

from agents.errors import AgentDisabled, ModelUnavailable, Refused
from agents.leases import LEASE_SECONDS
from agents.models import Run, Worker
from debates import controls, launching
from debates.consensus import RULES
from debates.costs import runs_of
from debates.errors import NotNow
from debates.evaluation.items import Item
from debates.evaluation.results import Arm, Cost, Moved, Result, Said
from debates.launching import MOST_SEATS, NON_VOTERS, Place, suggested_panel
from debates.models import Ballot, Debate
from debates.protocols import CHALLENGERS, LEAST_VOTERS, MOST_ROUNDS
from debates.records import settle
from debates.voting import PROBE_PURPOSE

OWNER = "evaluation"
CALLS_OF_A_SAMPLE = 2
LOOK = 0.2  # seconds between looks at the rows
WITHOUT_WORKER = 60.0  # seconds, before it is said that nobody works
MOST_TOKENS = 10_000_000
UNFIT = ("judge", "confidence-weighted")  # these need a Moderator, or a calibration that may not be there
MOST_AGENTS = MOST_SEATS - 2  # the challengers sit too


class EvaluationFailed(Exception):
    """It cannot go on, or begin; the words are for the user."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Plan:
    """How the arms are held. `rounds` with round 0; a challenge comes on top. `has_probes`: in the vote's ballots."""

    agents: int = 3
    rounds: int = 2
    rule: str = "three-quarters"
    model: str = ""
    speech_tokens: int = 300
    is_challenged: bool = True
    has_probes: bool = True
    seed: int = 1

    @property
    def words(self) -> str:
        challenged = "with" if self.is_challenged else "without"
        return (
            f"{self.agents} voters, {self.rounds} rounds, {challenged} challenge, rule {self.rule}, "
            f"speeches of {self.speech_tokens} tokens at most, seed {self.seed}"
        )

    def check(self) -> None:
        if not LEAST_VOTERS <= self.agents <= MOST_AGENTS:
            raise EvaluationFailed(f"--agents: from {LEAST_VOTERS} to {MOST_AGENTS}")
        if self.rule not in RULES or self.rule in UNFIT:
            raise EvaluationFailed(f"--rule: one of {', '.join(rule for rule in RULES if rule not in UNFIT)}")
        if not 2 <= self.rounds <= MOST_ROUNDS:  # noqa: PLR2004  (one alone is the blind vote)
            raise EvaluationFailed(f"--rounds: from 2 to {MOST_ROUNDS}, the blind one included")


class Arms:
    """Asks questions one after the other. `stop` cuts off what is under way."""

    def __init__(self, plan: Plan) -> None:
        plan.check()
        self.plan = plan
        self.owner, _ = User.objects.get_or_create(
            username=OWNER, defaults={"is_active": False, "password": make_password(None)}
        )
        self.voters, self.challengers = _seats(plan)
        self.models: list[str] = []  # that have answered
        self.held: list[tuple[Debate, str]] = []  # with the id of the right option; of whole results alone
        self._under_way: Debate | None = None

    def ask(self, item: Item, *, into: list[Result]) -> str:
        """Adds its result, or says why the question cannot be debated. Raises EvaluationFailed where nothing can be."""
        try:
            into.append(self._ask(item))
        except (ModelUnavailable, AgentDisabled) as refusal:
            raise EvaluationFailed(refusal.message) from refusal
        except Refused as refusal:
            return refusal.message
        return ""

    def _ask(self, item: Item) -> Result:
        debate = self._hold(item, panel=[*_seated(self.voters, self.plan.agents), *self.challengers], **self._debate())
        votes = [self._sample(item, seats) for seats in share_out(runs_of(debate).count() // CALLS_OF_A_SAMPLE)]
        for held in (debate, *votes):
            self.held.append((held, _option_id(held, item.answer)))
        return result_of(item, debate=debate, votes=votes, seed=self.plan.seed)

    def stop(self) -> None:
        if self._under_way is not None:
            try:
                controls.stop(self._under_way)
            except NotNow:
                return  # it has ended by itself

    def settle(self) -> None:
        """Last of all, so that every question was judged by the same calibration."""
        for debate, right in self.held:
            settle(debate, option=right)

    def _debate(self) -> dict[str, Any]:
        return {"protocol": "round-table", "rule": self.plan.rule, "max_rounds": self.plan.rounds}

    def _sample(self, item: Item, seats: int) -> Debate:
        belief = Debate.Belief.PROBE if self.plan.has_probes else Debate.Belief.STATED
        panel = _seated(self.voters, seats)
        return self._hold(item, panel=panel, protocol="blind-vote", rule="plurality", belief=belief)

    def _hold(self, item: Item, **asked: Any) -> Debate:
        debate = launching.start(
            owner=self.owner,
            question=item.question,
            background=item.background,
            options=list(item.options),
            speech_tokens=self.plan.speech_tokens,
            max_tokens=MOST_TOKENS,
            **asked,
        )
        self._under_way = debate
        wait_for_end(debate)
        self._under_way = None
        models = debate.seats.order_by("model").values_list("model", flat=True).distinct()
        self.models = sorted({*self.models, *models})
        return debate


def _seats(plan: Plan) -> tuple[list[Place], list[Place]]:
    suggested = [Place(place.agent, plan.model) for place in suggested_panel("round-table")]
    voters = [place for place in suggested if place.agent.role not in NON_VOTERS]
    if not voters:
        raise EvaluationFailed("No agent with a voter's role is switched on")
    challengers = [place for place in suggested if place.agent.role in CHALLENGERS]
    return voters, challengers if plan.is_challenged else []


def _seated(voters: Sequence[Place], seats: int) -> list[Place]:
    return list(islice(cycle(voters), seats))


def share_out(samples: int) -> list[int]:
    """Over blind votes that a panel has room for, as evenly as can be; three at least."""
    samples = max(samples, LEAST_VOTERS)
    votes = -(-samples // MOST_SEATS)
    return [samples // votes + (place < samples % votes) for place in range(votes)]


def wait_for_end(debate: Debate, *, patience: float = WITHOUT_WORKER) -> None:
    """Until it has ended. Raises EvaluationFailed after `patience` seconds without any worker alive."""
    seen = monotonic()
    while True:
        debate.refresh_from_db()
        if debate.status == Debate.Status.ENDED:
            return
        if Worker.objects.filter(seen_at__gt=Now() - timedelta(seconds=LEASE_SECONDS)).exists():
            seen = monotonic()
        if monotonic() - seen > patience:
            controls.stop(debate)
            raise EvaluationFailed(f"No worker has been alive for {patience:.0f} s: start one, or see its log")
        sleep(LOOK)


def result_of(item: Item, *, debate: Debate, votes: Sequence[Debate], seed: int) -> Result:
    """From the rows of debates that have ended."""
    samples = tuple(said for vote in votes for said in _ballots(vote, 0))
    metrics = _metrics(debate)
    winner, leading = (debate.verdict or {}).get("option"), metrics.get("leader")
    return Result(
        item=item,
        samples=samples,
        chosen=Random(f"{seed}:{item.id}").randrange(len(samples)),  # noqa: S311  (no secret)
        rounds=tuple(_ballots(debate, number) for number in _scored(debate)),
        decided=debate.option_texts.get(winner or ""),
        confidence=(metrics.get("verdict_confidence") or {}).get(leading),
        stop_reason=debate.stop_reason,
        label=(debate.verdict or {}).get("label"),
        moves=tuple(_moves(debate, metrics)),
        costs=_costs(debate, votes, samples=len(samples)),
        failed_runs=_failed([debate, *votes]),
    )


def _metrics(debate: Debate) -> dict[str, Any]:
    """Of its last scored round."""
    last = debate.rounds.exclude(metrics=None).order_by("number").last()
    return last.metrics if last and last.metrics else {}


def _scored(debate: Debate) -> list[int]:
    return list(debate.rounds.exclude(metrics=None).order_by("number").values_list("number", flat=True))


def _ballots(debate: Debate, number: int) -> tuple[Said, ...]:
    ballots = Ballot.objects.filter(round__debate=debate, round__number=number, is_judgement=False)
    return tuple(_said(ballot, debate.option_texts) for ballot in ballots.order_by("seat__position"))


def _said(ballot: Ballot, texts: dict[str, str]) -> Said:
    if ballot.status != Ballot.Status.CAST:
        return Said(None, why=ballot.abstention or "not cast")
    return Said(
        option=texts[ballot.option],
        stated=None if ballot.confidence is None else ballot.confidence / 100,
        measured=(ballot.measured or {}).get(ballot.option),
        probed=(ballot.probed or {}).get(ballot.option),
    )


def _moves(debate: Debate, metrics: dict[str, Any]) -> Iterable[Moved]:
    texts = debate.option_texts
    for flip in metrics.get("flips", ()):
        yield Moved(texts[flip["source"]], texts[flip["target"]], flip["is_evidenced"])


def _costs(debate: Debate, votes: Sequence[Debate], *, samples: int) -> dict[Arm, Cost]:
    vote = sum((_cost([runs_of(each)]) for each in votes), Cost())
    blind = Q(subject__in=debate.rounds.filter(number=0).values("speeches")) | Q(
        subject__in=debate.rounds.filter(number=0).values("ballots")
    )
    return {
        "single": Cost(vote.calls / samples, vote.tokens / samples, _alone(votes) / samples),
        "blind": _cost([runs_of(debate).filter(blind)]),
        "vote": vote,
        "debate": _cost([runs_of(debate)]),
    }


def _cost(found: Iterable[QuerySet[Run]]) -> Cost:
    total = Cost()
    for runs in found:
        asked = runs.exclude(purpose=PROBE_PURPOSE)
        span = asked.aggregate(begin=Min("queued_at"), end=Max("finished_at"))
        seconds = (span["end"] - span["begin"]).total_seconds() if span["begin"] and span["end"] else 0.0
        tokens = sum((run.prompt_tokens or 0) + (run.output_tokens or 0) for run in asked)
        total += Cost(asked.count(), tokens, seconds, runs.count() - asked.count())
    return total


def _alone(votes: Sequence[Debate]) -> float:
    """Seconds that the hosts worked at the samples, each by itself."""
    asked = [run for vote in votes for run in runs_of(vote).exclude(purpose=PROBE_PURPOSE)]
    spans = [(run.finished_at - run.started_at).total_seconds() for run in asked if run.started_at and run.finished_at]
    return sum(spans)


def _failed(debates: Sequence[Debate]) -> int:
    return sum(runs_of(debate).exclude(status=Run.Status.DONE).count() for debate in debates)


def _option_id(debate: Debate, text: str) -> str:
    return next(id for id, option in debate.option_texts.items() if option == text)
