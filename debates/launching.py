"""A debate is launched: what was asked for is checked, the panel takes its seats, the first step is rung for."""

import random
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Required, TypedDict, Unpack
from uuid import UUID

from django.db import transaction

from agents.errors import AgentDisabled
from agents.hosts import hosts_of, resolve_model
from agents.limits import one_at_a_time
from agents.models import Agent
from debates import estimates, limits, tasks
from debates.consensus import RULES, SETTLED_BALLOTS
from debates.errors import BadDebate, BudgetTooSmall
from debates.events import say
from debates.models import Debate, Seat
from debates.protocols import LEAST_VOTERS, PROTOCOLS, Protocol
from debates.records import calibrations
from debates.steps import LETTERS, MOST_OPTIONS

Role = Agent.Role
VOTERS = (Role.ANALYST, Role.RESEARCHER, Role.QUANTIFIER, Role.SKEPTIC, Role.PRAGMATIST)
DEBATERS = (Role.ANALYST, Role.SKEPTIC)  # of two assigned sides
NON_VOTERS = (Role.DEVILS_ADVOCATE, Role.FACT_CHECKER, Role.MODERATOR)
LONGEST_QUESTION = 4_000
LONGEST_BACKGROUND = 20_000
LONGEST_OPTION = 200
MOST_SEATS = 15
MOST_TOKENS = 10_000_000
LEAST_OPTIONS = 2
ALIASES = "ABCDEFGHJKLMNOP"


@dataclass(frozen=True, slots=True)
class Place:
    """Who is to sit on the panel; `model` in place of the agent's own."""

    agent: Agent
    model: str = ""


def suggested_panel(protocol: str = "round-table") -> list[Place]:
    """The default panel: those of its roles that are switched on, in their order."""
    course = PROTOCOLS[protocol]
    roles = (*(DEBATERS if course.slug == "oxford" else VOTERS), *course.needs, *course.likes)
    agents = {agent.role: agent for agent in Agent.objects.filter(is_active=True, role__in=roles).order_by("-position")}
    return [Place(agents[role]) for role in dict.fromkeys(roles) if role in agents]


class Asked(TypedDict, total=False):
    """What its owner decides about a debate (see `draft`)."""

    question: Required[str]
    background: str
    options: Sequence[str]
    protocol: str
    rule: str
    belief: str
    panel: Sequence[Place] | None
    max_rounds: int | None
    max_tokens: int | None
    max_minutes: int
    speech_tokens: int
    reviews_options: bool


def start(*, owner: Any, key: UUID | None = None, **asked: Unpack[Asked]) -> Debate:
    """Begin a debate; the same key again gives the same one. Without options the question is open.

    Raises BadDebate, BudgetTooSmall, TooManyDebates, TokensUsedUp; AgentDisabled or ModelUnavailable for a seat that
    cannot speak.
    """
    if known := _known(owner, key):
        return known
    debate, seats = draft(owner=owner, **asked)
    debate.request_key = key
    _check_budget(debate, seats)
    with transaction.atomic():
        one_at_a_time(owner.pk)
        if known := _known(owner, key):
            return known
        limits.check(owner, least_tokens=estimates.least_tokens(debate, seats))
        return _save(debate, seats)


def _known(owner: Any, key: UUID | None) -> Debate | None:
    """What the same request began before."""
    return Debate.objects.filter(owner=owner, request_key=key).first() if key else None


def draft(  # noqa: PLR0913  (what its owner decides)
    *,
    owner: Any,
    question: str,
    background: str = "",
    options: Sequence[str] = (),
    protocol: str = "round-table",
    rule: str = "",
    belief: str = Debate.Belief.STATED,
    panel: Sequence[Place] | None = None,
    max_rounds: int | None = None,
    max_tokens: int | None = None,
    max_minutes: int = 60,
    speech_tokens: int = 300,
    reviews_options: bool = False,
) -> tuple[Debate, list[Seat]]:
    """The rows of a debate that could be begun, not saved.

    Raises BadDebate, DebateTooLarge, AgentDisabled, ModelUnavailable.
    """
    course = _protocol(protocol)
    debate = Debate(
        owner=owner,
        question=_text(question, "question", most=LONGEST_QUESTION),
        background=_text(background, "background", most=LONGEST_BACKGROUND, may_be_empty=True),
        options=name_options(options) if options else [],
        is_open=not options,
        reviews_options=reviews_options,
        protocol=course.slug,
        rule=rule or course.rule or "three-quarters",
        belief=_belief(belief),
        max_rounds=_rounds(max_rounds, course),
        max_tokens=_within(limits.usual_tokens(owner) if max_tokens is None else max_tokens, "tokens", 1, MOST_TOKENS),
        max_minutes=_within(max_minutes, "minutes", 1, 24 * 60),
        speech_tokens=_within(speech_tokens, "tokens of a speech", 30, 2_000),
    )
    seats = take_seats(debate, suggested_panel(protocol) if panel is None else panel)
    check_panel(debate, course, seats)
    limits.check_size(owner, seats=len(seats), tokens=debate.max_tokens)
    return debate, seats


def _save(debate: Debate, seats: list[Seat]) -> Debate:
    debate.save(force_insert=True)
    Seat.objects.bulk_create(seats)
    say(f"user:{debate.owner_id}", {"type": "debate.listed", "debate": str(debate.pk), "change": "started"})
    tasks.ring(debate.pk)
    return debate


def _protocol(slug: str) -> Protocol:
    if slug not in PROTOCOLS:
        raise BadDebate(f"There is no protocol “{slug[:40]}”. There are: {', '.join(PROTOCOLS)}.")
    return PROTOCOLS[slug]


def _belief(source: str) -> str:
    if source not in Debate.Belief.values:
        raise BadDebate(f"Belief is one of {', '.join(Debate.Belief.values)}.")
    return source


def _text(text: str, what: str, *, most: int, may_be_empty: bool = False) -> str:
    clean = text.strip()
    if not clean and not may_be_empty:
        raise BadDebate(f"Type the {what}.")
    if len(clean) > most:
        raise BadDebate(f"The {what} has {len(clean):,} characters; {most:,} is the limit.")
    return clean


def name_options(texts: Sequence[str]) -> list[dict[str, str]]:
    """With ids, in the order given. Raises BadDebate."""
    clean = [_text(text, "option", most=LONGEST_OPTION) for text in texts]
    if not LEAST_OPTIONS <= len(clean) <= MOST_OPTIONS:
        raise BadDebate(
            f"A question has {LEAST_OPTIONS} to {MOST_OPTIONS} options, or none: then the Moderator finds them."
        )
    twice = [text for text, count in Counter(text.casefold() for text in clean).items() if count > 1]
    if twice:
        raise BadDebate(f"The option “{twice[0]}” is there twice.")
    return [{"id": id, "text": text} for id, text in zip(LETTERS, clean, strict=False)]


def _rounds(wanted: int | None, course: Protocol) -> int:
    if wanted is None:
        return course.rounds
    if not course.least <= wanted <= course.most:
        few = str(course.least) if course.least == course.most else f"{course.least} to {course.most}"
        raise BadDebate(f"{course.name} takes {few} rounds, round 0 included.")
    return wanted


def _within(number: int, what: str, least: int, most: int) -> int:
    if not least <= number <= most:
        raise BadDebate(f"The {what}: from {least:,} to {most:,}.")
    return number


def take_seats(debate: Debate, panel: Sequence[Place]) -> list[Seat]:
    """The panel as rows that are not saved yet. Raises BadDebate, AgentDisabled, ModelUnavailable."""
    if not 1 <= len(panel) <= MOST_SEATS:
        raise BadDebate(f"A panel has up to {MOST_SEATS} seats.")
    names: Counter[str] = Counter()
    aliases = random.SystemRandom().sample(ALIASES, len(ALIASES))  # so that a letter tells nothing about its seat
    seats = []
    for position, place in enumerate(panel):
        names[place.agent.name] += 1
        number = names[place.agent.name]
        name = place.agent.name if number == 1 else f"{place.agent.name[:76]} {number}"
        seats.append(_seat(debate, place, position=position, name=name, alias=aliases[position]))
    _take_sides(debate, seats)
    return seats


def _seat(debate: Debate, place: Place, *, position: int, name: str, alias: str) -> Seat:
    agent = place.agent
    if not agent.is_active:
        raise AgentDisabled(f"{agent.name} is switched off. Choose another agent.")
    if not agent.votes and agent.role not in NON_VOTERS:
        raise BadDebate(f"{agent.name} has no vote and no part in a debate. An admin can give it a vote.")
    return Seat(
        debate=debate,
        agent=agent,
        position=position,
        alias=alias,
        name=name,
        role=agent.role,
        initials=agent.initials,
        colour=agent.colour,
        model=resolve_model(agent, hosts=hosts_of(agent), wanted=place.model),
        system_prompt=agent.system_prompt,
        votes=agent.role not in NON_VOTERS,
    )


def _take_sides(debate: Debate, seats: list[Seat]) -> None:
    """Two assigned sides, in turn; who argues for a side has no vote."""
    if debate.protocol != "oxford" or len(debate.options) != LEAST_OPTIONS:
        return
    for turn, seat in enumerate(seat for seat in seats if seat.votes):
        seat.side, seat.votes = debate.options[turn % 2]["id"], False


def check_panel(debate: Debate, course: Protocol, seats: list[Seat]) -> None:
    _check_rule(debate, course, seats)
    if course.options and len(debate.options) != course.options:
        raise BadDebate(f"{course.name} sets {course.options} sides against each other: type exactly two options.")
    roles = {seat.role for seat in seats if not seat.votes}
    needed = {*course.needs, *([Role.MODERATOR] if debate.is_open or debate.rule == "judge" else [])}
    if missing := sorted(Role(role).label for role in needed - roles):
        raise BadDebate(f"This debate needs a seat for: {', '.join(missing)}.")
    _check_heads(course, seats)


def _check_heads(course: Protocol, seats: list[Seat]) -> None:
    if course.slug == "oxford":
        if len({seat.side for seat in seats if seat.side}) < LEAST_OPTIONS:
            raise BadDebate("Oxford needs at least two debaters, one for each side.")
        return
    voters = sum(seat.votes for seat in seats)
    if voters < LEAST_VOTERS:
        raise BadDebate(
            f"{voters} of the seats have a vote, and {LEAST_VOTERS} is the least: with fewer no majority means "
            "anything. Add voters; a blind vote of three is the smallest debate there is."
        )


def _check_rule(debate: Debate, course: Protocol, seats: list[Seat]) -> None:
    if debate.rule not in RULES:
        raise BadDebate(f"There is no rule “{debate.rule[:40]}”. There are: {', '.join(RULES)}.")
    if course.rule and debate.rule != course.rule:
        raise BadDebate(f"{course.name} is decided by its judge.")
    models = {seat.model for seat in seats if seat.votes}
    fitted = {model for model, fit in calibrations(models).items() if fit.is_enough}
    if debate.rule == "confidence-weighted" and (short := sorted(models - fitted)):
        raise BadDebate(
            f"Weighing by confidence is locked until each model has {SETTLED_BALLOTS} settled ballots. "
            f"Short of it: {', '.join(short)}."
        )


def _check_budget(debate: Debate, seats: list[Seat]) -> None:
    """Said before the start: a budget that would not last for the blind vote."""
    least = estimates.least_tokens(debate, seats)
    if debate.max_tokens < least:
        raise BudgetTooSmall(
            f"Round 0 alone takes about {least:,} tokens with this panel; the budget is {debate.max_tokens:,}. "
            "Raise it, or take a smaller panel, shorter speeches or less background."
        )
