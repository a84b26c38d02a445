"""What a debate will take, told before it starts: runs, tokens and minutes, from what the hosts were measured at.

It is counted out on the debate's course, held to its last round with every speech as long as allowed: a debate that is
decided sooner takes less. Runs of a step go to whichever slot is free first; seconds are those of the critical path.
"""

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from math import ceil
from statistics import median
from typing import Any

from django.db.models import F

from agents.hosts import capable
from agents.models import Agent, Host, Run
from debates.models import Debate, Round, Seat
from debates.prompts import claims, lists, oxford, peers, question, schemas, speeches, votes
from debates.prompts.ask import OWN_SPEECH
from debates.protocols import PROTOCOLS, STEPS_OF
from lobby.accounts.tokens import left_today

Role = Agent.Role
RECENT_RUNS = 20  # of each model
CHARACTERS = 4  # of a token, in English; other languages take more tokens for as many
INSTRUCTIONS = 900  # characters of the words around what was typed: role, task, form of the answer
BALLOT = 200  # tokens of a vote with its reason and claims
LIST = 150  # tokens of options, or of an order
CHECK = 40  # tokens of one claim checked
KNOWN_CLAIMS = claims.MOST_KNOWN * claims.LISTED  # characters
GUESSED_OPTIONS = schemas.MOST_OPTIONS + 1  # of an open question: those the Moderator may find, and "other"


@dataclass(frozen=True, slots=True)
class Call:
    """One run: who is asked, and the tokens read and written."""

    seat: Seat
    prompt: int
    output: int


Step = list[Call]  # at the same time, as far as there are slots


@dataclass(frozen=True, slots=True)
class Speed:
    """Of a model. `runs` it was measured in; 0: assumed."""

    tokens_per_second: float
    first_token: float  # seconds from the start of a run, reading the prompt included
    runs: int = 0

    def seconds(self, call: Call) -> float:
        return self.first_token + call.output / self.tokens_per_second


ASSUMED = Speed(tokens_per_second=20, first_token=2)


@dataclass(frozen=True, slots=True, kw_only=True)
class Estimate:
    """At most, unless a run has to be repeated. `least_tokens`: of round 0 alone, without which nothing starts."""

    rounds: int
    runs: int
    prompt_tokens: int
    output_tokens: int
    least_tokens: int
    slots: int  # how many seats can speak at the same time
    seconds: float
    is_measured: bool  # of every model
    basis: str
    left_today: int | None  # tokens of its owner's day; None: no limit

    @property
    def tokens(self) -> int:
        return self.prompt_tokens + self.output_tokens

    @property
    def minutes(self) -> int:
        return ceil(self.seconds / 60)


def estimate(debate: Debate, seats: Sequence[Seat]) -> Estimate:
    """Of a debate that need not be saved yet."""
    rounds = _rounds(debate, seats)
    steps = [step for round in rounds for step in round] + _conclusion(debate, seats)
    calls = [call for step in steps for call in step]
    models = sorted({call.seat.model for call in calls})
    speeds = speeds_of(models)
    places = _hosts(seats)
    return Estimate(
        rounds=len(rounds),
        runs=len(calls),
        prompt_tokens=sum(call.prompt for call in calls),
        output_tokens=sum(call.output for call in calls),
        least_tokens=_tokens(rounds[0]),
        slots=min(_slots(places.values()), len(seats)),
        seconds=round(sum(_makespan(step, places=places, speeds=speeds) for step in steps), 1),
        is_measured=all(speeds[model].runs for model in models),
        basis=_basis(models, speeds),
        left_today=left_today(debate.owner_id),
    )


def least_tokens(debate: Debate, seats: Sequence[Seat]) -> int:
    """What round 0 takes when every speech is as long as allowed."""
    return _tokens(_rounds(debate, seats)[0])


def _tokens(steps: Iterable[Step]) -> int:
    return sum(call.prompt + call.output for step in steps for call in step)


def _rounds(debate: Debate, seats: Sequence[Seat]) -> list[list[Step]]:
    return [
        [calls for step in STEPS_OF[kind] if (calls := list(_calls(step, debate, seats, is_first=number == 0)))]
        for number, kind in enumerate(_kinds(debate, seats))
    ]


def _kinds(debate: Debate, seats: Iterable[Seat]) -> Sequence[str]:
    course = PROTOCOLS[debate.protocol]
    if course.script:
        return course.script
    challenged = course.challenges if _silent(seats, Role.DEVILS_ADVOCATE) else 0
    return [course.first] + [course.then] * (debate.max_rounds - 1) + [Round.Kind.CHALLENGE] * challenged


def _conclusion(debate: Debate, seats: Sequence[Seat]) -> list[Step]:
    judged = debate.rule == "judge" and not PROTOCOLS[debate.protocol].script
    steps = [list(_calls(step, debate, seats)) for step in (["judge"] if judged else []) + ["verdict"]]
    return [step for step in steps if step]


def _calls(step: str, debate: Debate, seats: Sequence[Seat], *, is_first: bool = False) -> Iterator[Call]:
    """The runs of a step; none where it has nothing to do."""
    asked, long = _asked(debate), debate.speech_tokens
    seen = 0 if is_first else peers.OVERALL + OWN_SPEECH
    voters, moderator = [seat for seat in seats if seat.votes], _silent(seats, Role.MODERATOR)
    match step:
        case "speech":
            speakers = [seat for seat in seats if seat.side] or voters
            yield from (_call(seat, asked + seen, output=long) for seat in speakers)
        case "ballot":
            known = 0 if is_first else KNOWN_CLAIMS
            yield from (_call(seat, asked + known + OWN_SPEECH, output=BALLOT) for seat in voters)
        case "probe" if debate.belief == Debate.Belief.PROBE:
            orders = len(debate.options) or GUESSED_OPTIONS
            yield from (_call(seat, asked + OWN_SPEECH, output=1) for seat in voters for _ in range(orders))
        case "options" if debate.is_open:
            yield from (_call(seat, asked + lists.SPEECHES, output=LIST) for seat in moderator)
        case "challenge":
            leading = speeches.LEADING_CLAIMS * speeches.LEADING_CLAIM
            yield from (_call(seat, asked + leading, output=long) for seat in _silent(seats, Role.DEVILS_ADVOCATE))
            checked, output = schemas.MOST_CHECKS * lists.CLAIM, schemas.MOST_CHECKS * CHECK
            yield from (_call(seat, asked + checked, output=output) for seat in _silent(seats, Role.FACT_CHECKER))
        case "statistics" | "verdict":
            yield from (_call(seat, asked + speeches.REASONS_OF_ALL, output=long) for seat in moderator)
        case "ranking":
            yield from (_call(seat, asked + lists.SPEECHES, output=LIST) for seat in voters)
        case "judge":
            yield from (_call(seat, asked + oxford.JUDGED, output=votes.JUDGEMENT_TOKENS) for seat in moderator)


def _silent(seats: Iterable[Seat], role: str) -> list[Seat]:
    """The one seat of a role without a vote, if there is one."""
    return [seat for seat in seats if seat.role == role and not seat.votes][:1]


def _asked(debate: Debate) -> int:
    """Characters of what every prompt begins with, besides the agent's own."""
    options = sum(len(text) for text in debate.option_texts.values())
    return INSTRUCTIONS + len(debate.question) + min(len(debate.background), question.BACKGROUND) + options


def _call(seat: Seat, characters: int, *, output: int) -> Call:
    return Call(seat, prompt=ceil((len(seat.system_prompt) + characters) / CHARACTERS), output=output)


def speeds_of(models: Iterable[str]) -> dict[str, Speed]:
    """Medians of each model's last runs, on whichever hosts; an assumption where there are none."""
    wanted = sorted(set(models))
    measured: dict[str, list[tuple[Any, float]]] = {}
    for model, speed, started, first in _recent(wanted):
        measured.setdefault(model, []).append((speed, (first - started).total_seconds()))
    return {model: _speed(measured.get(model, [])) for model in wanted}


def _recent(models: Sequence[str]) -> Iterable[Any]:
    """One query, of which each part reads no further than the index `run_speed` needs."""
    done = Run.objects.filter(status=Run.Status.DONE, tokens_per_second__gt=0, first_token_at__gte=F("started_at"))
    told = done.values_list("model", "tokens_per_second", "started_at", "first_token_at")
    parts: list[Any] = [told.filter(model=model).order_by("-finished_at")[:RECENT_RUNS] for model in models]
    return parts[0].union(*parts[1:], all=True) if parts else ()


def _speed(measured: list[tuple[Any, float]]) -> Speed:
    if not measured:
        return ASSUMED
    speeds, firsts = zip(*measured, strict=True)
    return Speed(median(speeds), median(firsts), runs=len(measured))


def _hosts(seats: Iterable[Seat]) -> dict[int, list[Host]]:
    """Seat's position → the enabled hosts that would take its runs."""
    hosts = list(Host.objects.enabled())
    return {seat.position: [host for host in hosts if _takes(host, seat)] for seat in seats}


def _takes(host: Host, seat: Seat) -> bool:
    wanted = seat.agent.host_id if seat.agent else None
    return wanted in (None, host.pk) and capable(host, seat.model)


def _slots(places: Iterable[list[Host]]) -> int:
    return sum({host.pk: host.max_parallel for hosts in places for host in hosts}.values())


def _makespan(step: Step, *, places: Mapping[int, list[Host]], speeds: Mapping[str, Speed]) -> float:
    """Seconds until the last run of a step is over: the longest first, each on the slot that is free soonest."""
    free = {host.pk: [0.0] * min(host.max_parallel, len(step)) for call in step for host in places[call.seat.position]}
    for seconds, position in sorted(((speeds[c.seat.model].seconds(c), c.seat.position) for c in step), reverse=True):
        slots = min((free[host.pk] for host in places[position]), key=min, default=[0.0])
        slots[slots.index(min(slots))] += seconds
    return max((max(slots) for slots in free.values()), default=0.0)


def _basis(models: Sequence[str], speeds: Mapping[str, Speed]) -> str:
    known = [_measured(model, speeds[model]) for model in models if speeds[model].runs]
    unknown = [model for model in models if not speeds[model].runs]
    words = [f"Measured: {'; '.join(known)}."] if known else []
    if unknown:
        words.append(
            f"Assumed, as nothing was measured yet of {', '.join(unknown)}: {ASSUMED.tokens_per_second:.0f} tokens a "
            f"second, the first after {ASSUMED.first_token:.0f} s."
        )
    return " ".join([*words, "At most, with every round held and every speech as long as allowed."])


def _measured(model: str, speed: Speed) -> str:
    runs = f"last {speed.runs} runs" if speed.runs > 1 else "last run"
    return f"{model} {speed.tokens_per_second:.0f} tokens a second, the first after {speed.first_token:.1f} s ({runs})"
