from datetime import datetime
from typing import Annotated, Any, Literal
from uuid import UUID

from django.db.models import Q
from ninja import Field, FilterSchema
from pydantic import AfterValidator

from agents.models import Agent
from agents.seed import CHARACTERS
from debates import models
from debates.consensus import RULES
from debates.costs import Cost, spent
from debates.launching import (
    LEAST_OPTIONS,
    LONGEST_BACKGROUND,
    LONGEST_OPTION,
    LONGEST_QUESTION,
    MOST_SEATS,
    suggested_panel,
)
from debates.protocols import PROTOCOLS, Protocol
from debates.steps import MOST_OPTIONS
from debates.verdicts import conclude
from lobby.schema import Schema

BELIEFS = dict(models.Debate.Belief.choices)
SCORED = "scored"


def _protocol(slug: str) -> str:
    if slug and slug not in PROTOCOLS:
        raise ValueError(f"there is no protocol “{slug[:40]}”, but {', '.join(PROTOCOLS)}")
    return slug


def _rule(slug: str) -> str:
    if slug and slug not in RULES:
        raise ValueError(f"there is no rule “{slug[:40]}”, but {', '.join(RULES)}")
    return slug


Sought = Annotated[str, Field(max_length=200)]
ProtocolSlug = Annotated[str, AfterValidator(_protocol)]
RuleSlug = Annotated[str, AfterValidator(_rule)]
OptionText = Annotated[str, Field(max_length=LONGEST_OPTION)]
Options = Annotated[list[OptionText], Field(max_length=MOST_OPTIONS)]


class Place(Schema):
    """Who is to sit on a panel. The same agent may sit several times, best on different models."""

    agent: str = Field(max_length=50, description="Slug of the agent.")
    model: str = Field("", max_length=120, description="In place of the agent's own.")


Panel = Annotated[list[Place], Field(max_length=MOST_SEATS)]


class DebatePlan(Schema):
    """What a debate is to be; all but the question has a sensible default."""

    question: str = Field("", max_length=LONGEST_QUESTION)
    background: str = Field("", max_length=LONGEST_BACKGROUND, description="What all seats are to know beforehand.")
    options: Options = Field(
        [],
        description=f"{LEAST_OPTIONS} to {MOST_OPTIONS}; without any the Moderator proposes them after round 0.",
    )
    protocol: ProtocolSlug = "round-table"
    rule: RuleSlug = Field("", description="By default three-quarters, or the only one that goes with the protocol.")
    belief: models.Debate.Belief = models.Debate.Belief.STATED
    panel: Panel | None = Field(None, description="By default the suggested one.")
    max_rounds: int | None = Field(None, description="Round 0 included; by default as many as the protocol has.")
    max_tokens: int | None = Field(
        None, description="Prompts and answers of all runs together; by default 100,000, or your limit if that is less."
    )
    max_minutes: int = 60
    speech_tokens: int = Field(300, description="The longest speech.")
    reviews_options: bool = Field(False, description="Wait for you before round 1, if the options had to be found.")


class DebateStart(DebatePlan):
    question: str = Field(max_length=LONGEST_QUESTION)
    key: UUID | None = Field(None, description="Your own, random: asking twice with it makes one debate.")


class DebateFilter(FilterSchema):
    status: models.Debate.Status | None = None
    protocol: Sought = ""
    q: Sought = Field("", description="Words that all stand in the question, the background or the options.")

    def filter_protocol(self, value: str) -> Q:
        return Q(protocol=value) if value else Q()

    def filter_q(self, value: str) -> Q:
        found = Q()
        for word in value.split():
            found &= Q(question__icontains=word) | Q(background__icontains=word) | Q(options__icontains=word)
        return found


class Option(Schema):
    id: str
    text: str


class Debate(Schema):
    """One question before a panel. A debate under way is followed on the topic `debate:<id>`."""

    id: UUID
    question: str
    options: list[Option]
    is_open: bool = Field(description="The options are found after round 0.")
    protocol: str
    rule: str
    belief: models.Debate.Belief
    max_rounds: int
    max_tokens: int
    max_minutes: int
    speech_tokens: int
    reviews_options: bool
    status: models.Debate.Status
    pause_requested: bool = Field(description="It pauses at the next barrier.")
    pause_reason: str = Field(description="Why it waits for you.")
    stop_reason: str
    winner: str | None = Field(description="Id of the option that was decided for; none: no decision, or not yet.")
    label: str | None = Field(description="robust, procedural or hollow: what the decision is worth.")
    right_option: str = Field(description="Settled: the option that turned out to be right.")
    settled_at: datetime | None
    parent: UUID | None = Field(None, alias="parent_id", description="It was forked from this debate …")
    forked_after: int | None = Field(description="… after this round.")
    is_shared: bool = Field(description="Whoever has the link may read it.")
    created_at: datetime
    ended_at: datetime | None

    @staticmethod
    def resolve_winner(debate: models.Debate) -> str | None:
        return (debate.verdict or {}).get("option")

    @staticmethod
    def resolve_label(debate: models.Debate) -> str | None:
        return (debate.verdict or {}).get("label")

    @staticmethod
    def resolve_is_shared(debate: models.Debate) -> bool:
        return debate.share_key is not None


class Debates(Schema):
    items: list[Debate]
    next: str | None


class Seat(Schema):
    id: UUID
    agent: str | None = Field(None, alias="agent.slug")
    position: int
    name: str
    alias: str = Field(description="What the others are told: “A” for “Agent A”.")
    role: str
    model: str
    votes: bool
    side: str = Field(description="Oxford: id of the option it argues for.")
    initials: str
    colour: str


class Speech(Schema):
    id: UUID
    seat: UUID = Field(alias="seat_id")
    kind: models.Speech.Kind
    status: models.Speech.Status
    run: UUID | None = Field(None, alias="run_id")
    text: str = Field(description="Once it is over; a ranking's once all are in.")
    html: str
    data: Any = Field(description="What was read from a text that is JSON.")
    error: str
    created_at: datetime
    ended_at: datetime | None


class Ballot(Schema):
    """A vote, once all of its round are in."""

    seat: UUID = Field(alias="seat_id")
    status: models.Ballot.Status
    is_judgement: bool
    option: str | None = Field(description="None: it abstained.")
    ranking: list[str]
    abstention: str = Field(description="Why: chosen, unparsed, or what failed.")
    confidence: float | None = Field(description="Stated, 0–100.")
    measured: dict[str, float] | None = Field(description="The model's own probabilities at the vote.")
    probed: dict[str, float] | None = Field(description="The same over all orders of the options.")
    reason: str
    cited: list[int] = Field(description="Numbers of claims.")
    change_reason: str
    would_change_if: str

    @staticmethod
    def resolve_option(ballot: models.Ballot) -> str | None:
        return ballot.option or None


class Round(Schema):
    number: int
    kind: models.Round.Kind
    step: str = Field(
        description="speech, options, challenge, statistics, ranking, ballot, probe, judge; scored: over."
    )
    started_at: datetime
    scored_at: datetime | None
    speeches: list[Speech]
    voted: list[UUID] = Field(description="Seats whose ballot is in.")
    ballots: list[Ballot] = Field(description="None before the round is scored: they are revealed together.")
    metrics: dict[str, Any] | None

    @staticmethod
    def resolve_speeches(round: models.Round) -> list[models.Speech]:
        """A ranking is a vote, too."""
        speeches = list(round.speeches.all())
        for speech in speeches:
            if speech.kind == models.Speech.Kind.RANKING and round.step != SCORED:
                speech.text, speech.html, speech.data = "", "", None
        return speeches

    @staticmethod
    def resolve_voted(round: models.Round) -> list[UUID]:
        return [ballot.seat_id for ballot in round.ballots.all() if ballot.status == models.Ballot.Status.CAST]

    @staticmethod
    def resolve_ballots(round: models.Round) -> list[models.Ballot]:
        return list(round.ballots.all()) if round.step == SCORED else []


class Claim(Schema):
    """A sentence that an answer rests on; ballots cite it by its number."""

    number: int
    seat: UUID | None = Field(None, alias="seat_id", description="None: evidence that the owner added.")
    round: int = Field(alias="round.number")
    option: str = Field(description="What its author held when it was made.")
    text: str
    kind: models.Claim.Kind
    status: models.Claim.Status
    note: str = Field(description="The Fact-Checker's reason.")


class Injection(Schema):
    id: UUID
    kind: models.Injection.Kind
    text: str
    created_at: datetime


class InjectionAsked(Schema):
    kind: models.Injection.Kind = models.Injection.Kind.EVIDENCE
    text: str = Field(description="At most 4,000 characters.")


class Spent(Schema):
    calls: int
    prompt_tokens: int
    output_tokens: int
    tokens: int
    seconds: float = Field(description="Of its rounds; what it waited for you is left out.")


class DebateInFull(Debate):
    background: str
    seats: list[Seat]
    rounds: list[Round]
    claims: list[Claim]
    injections: list[Injection]
    summary: str = Field(description="The Moderator's account of the verdict.")
    verdict: dict[str, Any] = Field(description="With the dissent. Under way: how things stand after the last round.")
    cost: Spent

    @staticmethod
    def resolve_verdict(debate: models.Debate) -> dict[str, Any]:
        return debate.verdict or dict(conclude(debate))

    @staticmethod
    def resolve_cost(debate: models.Debate) -> Cost:
        return spent(debate)


class NewOptions(Schema):
    options: Options


class Fork(Schema):
    after: int = Field(description="The last round that is kept.")
    panel: Panel | None = Field(None, description="By default the same.")


class Settlement(Schema):
    option: str | None = Field(max_length=8, description="Id of the option that was right; none: not known after all.")


class Share(Schema):
    url: str = Field(description="Whoever has it may read the debate, until it is taken back.")


class Events(Schema):
    items: list[dict[str, Any]] = Field(description="As on the topic, each with `at`.")


class EventsFilter(Schema):
    until: int | None = Field(None, description="The last round to tell of.")


class ExportForm(Schema):
    format: Literal["markdown", "json"] = "markdown"


class Estimate(Schema):
    """At most, unless a run has to be repeated."""

    rounds: int
    runs: int
    prompt_tokens: int
    output_tokens: int
    tokens: int
    least_tokens: int = Field(description="Of round 0 alone; a smaller budget is refused.")
    left_today: int | None = Field(
        description="Tokens that you may still use until 00:00 UTC; none: as many as you like."
    )
    slots: int = Field(description="How many seats can speak at the same time.")
    seconds: float
    minutes: int
    is_measured: bool = Field(description="Of every model; else some speed is assumed.")
    basis: str


class Choice(Schema):
    """A protocol, rule, belief or role, in words."""

    slug: str
    name: str
    words: str


class ProtocolChoice(Choice):
    rounds: int = Field(description="By default, round 0 included.")
    least: int
    most: int
    needs: list[str] = Field(description="Roles without a vote that must sit.")
    rule: str = Field(description="The only rule it goes with; empty: any.")
    options: int | None = Field(description="How many there must be.")
    panel: list[Place] = Field(description="The suggested one.")


class RoleChoice(Choice):
    votes: bool


class Choices(Schema):
    protocols: list[ProtocolChoice]
    rules: list[Choice]
    beliefs: list[Choice]
    roles: list[RoleChoice]


def choices() -> Choices:
    """One query for each protocol's panel."""
    return Choices(
        protocols=[_protocol_choice(course) for course in PROTOCOLS.values()],
        rules=[Choice(slug=slug, name=rule.title, words=rule.words) for slug, rule in RULES.items()],
        beliefs=[Choice(slug=source, name=source.capitalize(), words=words) for source, words in BELIEFS.items()],
        roles=[
            RoleChoice(slug=each.role, name=each.role.label, words=each.description, votes=each.votes)
            for each in CHARACTERS
            if each.role != Agent.Role.ASSISTANT
        ],
    )


def _protocol_choice(course: Protocol) -> ProtocolChoice:
    panel = [Place(agent=place.agent.slug, model=place.model) for place in suggested_panel(course.slug)]
    plain = ("slug", "name", "words", "rounds", "least", "most", "rule", "options")
    return ProtocolChoice(**{name: getattr(course, name) for name in plain}, needs=list(course.needs), panel=panel)
