import uuid
from typing import Any

from django.conf import settings
from django.core.validators import MinLengthValidator
from django.db import models
from django.db.models.functions import Now

from agents.models import Agent, Run
from debates.querysets import DebateQuerySet


class Debate(models.Model):
    """One question before a panel. What it does next follows from its rows alone (debates/rounds.py)."""

    class Status(models.TextChoices):
        RUNNING = "running", "under way"
        PAUSED = "paused", "paused"
        ENDED = "ended", "ended"

    class Belief(models.TextChoices):
        STATED = "stated", "the confidence that a ballot states"
        MEASURED = "measured", "the model's own probabilities at the vote"
        PROBE = "probe", "the letter asked for in every order"

    id = models.UUIDField(primary_key=True, default=uuid.uuid4, editable=False)
    owner = models.ForeignKey(settings.AUTH_USER_MODEL, on_delete=models.CASCADE, related_name="debates")
    question = models.TextField(validators=[MinLengthValidator(1)])
    background = models.TextField(blank=True)
    # [{"id": "A", "text": "…"}]; empty until the Moderator has proposed them, where the question is open
    options = models.JSONField(default=list)
    is_open = models.BooleanField(default=False, help_text="The options are found after round 0.")
    reviews_options = models.BooleanField(default=False, help_text="Wait for the owner before round 1.")
    protocol = models.CharField(max_length=20)  # a key of debates.protocols.PROTOCOLS
    rule = models.CharField(max_length=20)  # a key of debates.consensus.RULES
    belief = models.CharField(max_length=10, choices=Belief, default=Belief.STATED)

    max_rounds = models.PositiveSmallIntegerField(default=3, help_text="Round 0 included; a challenge comes on top.")
    max_tokens = models.PositiveIntegerField(default=100_000, help_text="Prompts and answers of all runs together.")
    max_minutes = models.PositiveSmallIntegerField(default=60)
    speech_tokens = models.PositiveSmallIntegerField(default=300, help_text="The longest speech.")

    status = models.CharField(max_length=8, choices=Status, default=Status.RUNNING)
    pause_requested = models.BooleanField(default=False)
    pause_reason = models.CharField(max_length=200, blank=True)  # why it waits for its owner, in words
    challenges_asked = models.PositiveSmallIntegerField(default=0)  # by the owner, and not held yet
    stop_reason = models.CharField(max_length=24, blank=True)  # debates.consensus.StopReason
    conclusion = models.CharField(max_length=8, blank=True)  # after the last round: the step "judge" or "verdict"
    # What the panel decided, as it was when it ended: debates.verdicts.Verdict
    verdict = models.JSONField(null=True)
    summary = models.TextField(blank=True)  # the Moderator's words about it
    right_option = models.CharField(max_length=8, blank=True)  # settled: what turned out to be right
    settled_at = models.DateTimeField(null=True)

    parent = models.ForeignKey("self", null=True, on_delete=models.SET_NULL, related_name="forks")
    forked_after = models.PositiveSmallIntegerField(null=True)  # the parent's last round that was copied
    share_key = models.CharField(max_length=43, null=True, unique=True)  # noqa: DJ001  (unique, and often none)
    request_key = models.UUIDField(null=True)  # the page's own id of a start: a double click is one debate
    created_at = models.DateTimeField(db_default=Now())
    ended_at = models.DateTimeField(null=True)

    objects = DebateQuerySet.as_manager()

    class Meta:
        ordering = ["-created_at"]
        constraints = [models.UniqueConstraint(fields=["owner", "request_key"], name="one_debate_per_request")]
        indexes = [
            models.Index(fields=["owner", "-created_at"], name="debate_list"),
            models.Index(fields=["-created_at"], name="debate_by_age"),  # the admin's list
            models.Index(fields=["created_at"], condition=models.Q(status="running"), name="debate_running"),
            models.Index(fields=["-ended_at"], name="debate_by_end"),  # the dashboard's last day
        ]

    def __str__(self) -> str:
        return self.question[:80]

    @property
    def topic(self) -> str:
        return f"debate:{self.id}"

    @property
    def option_texts(self) -> dict[str, str]:
        """Option id → its text, in the order they were given."""
        return {option["id"]: option["text"] for option in self.options}


class Seat(models.Model):
    """A place on the panel. What the agent was when the debate began is kept here: later edits change nothing."""

    id = models.UUIDField(primary_key=True, default=uuid.uuid4, editable=False)
    debate = models.ForeignKey(Debate, on_delete=models.CASCADE, related_name="seats")
    agent = models.ForeignKey(Agent, null=True, on_delete=models.SET_NULL, related_name="seats")
    position = models.PositiveSmallIntegerField()
    alias = models.CharField(max_length=2)  # what the others are told: "A" for "Agent A"; drawn at the start
    name = models.CharField(max_length=80)
    role = models.CharField(max_length=20, choices=Agent.Role)
    initials = models.CharField(max_length=2)
    colour = models.CharField(max_length=7)
    model = models.CharField(max_length=120)
    system_prompt = models.TextField(blank=True)
    votes = models.BooleanField()
    side = models.CharField(max_length=8, blank=True)  # Oxford: the option id it was assigned to argue for

    class Meta:
        ordering = ["position"]
        constraints = [
            models.UniqueConstraint(fields=["debate", "position"], name="one_seat_per_position"),
            models.UniqueConstraint(fields=["debate", "name"], name="one_seat_per_name"),
        ]

    def __str__(self) -> str:
        return f"{self.name} ({self.model})"


class Round(models.Model):
    """A part of a debate: steps one after the other, each ended by a barrier."""

    class Kind(models.TextChoices):
        BLIND = "blind", "blind"
        EXCHANGE = "exchange", "exchange"
        CHALLENGE = "challenge", "challenge"
        DELPHI = "delphi", "statistics"
        RANKING = "ranking", "ranking"
        OPENING = "opening", "opening"
        REBUTTAL = "rebuttal", "rebuttal"
        CLOSING = "closing", "closing"

    id = models.UUIDField(primary_key=True, default=uuid.uuid4, editable=False)
    debate = models.ForeignKey(Debate, on_delete=models.CASCADE, related_name="rounds")
    number = models.PositiveSmallIntegerField()
    kind = models.CharField(max_length=10, choices=Kind)
    step = models.CharField(max_length=12)  # one of debates.protocols.STEPS_OF; "scored" when it is over
    metrics = models.JSONField(null=True)  # debates.consensus.Evaluation.as_dict()
    started_at = models.DateTimeField(db_default=Now())
    scored_at = models.DateTimeField(null=True)

    class Meta:
        ordering = ["number"]
        constraints = [models.UniqueConstraint(fields=["debate", "number"], name="one_round_per_number")]

    def __str__(self) -> str:
        return f"round {self.number} ({self.kind})"


class Speech(models.Model):
    """What a seat says aloud in one step: an answer, a challenge, checks of claims, options found, a summary."""

    class Kind(models.TextChoices):
        ANSWER = "answer", "answer"
        CHALLENGE = "challenge", "challenge"  # the Devil's Advocate against the leader
        CHECKS = "checks", "checks of claims"  # the Fact-Checker's labels, as JSON
        OPTIONS = "options", "options"  # the Moderator's proposal for an open question, as JSON
        STATISTICS = "statistics", "statistics"  # Delphi: reasons gathered by the Moderator
        RANKING = "ranking", "ranking"  # Council: the others' answers, the best first, as JSON
        VERDICT = "verdict", "verdict"  # the Moderator's account of the decision

    class Status(models.TextChoices):
        WAITING = "waiting", "in the making"
        DONE = "done", "done"
        FAILED = "failed", "failed"  # `error` says why; a text that came before stays

    id = models.UUIDField(primary_key=True, default=uuid.uuid4, editable=False)
    round = models.ForeignKey(Round, on_delete=models.CASCADE, related_name="speeches")
    seat = models.ForeignKey(Seat, on_delete=models.CASCADE, related_name="speeches")
    kind = models.CharField(max_length=10, choices=Kind, default=Kind.ANSWER)
    status = models.CharField(max_length=8, choices=Status, default=Status.WAITING)
    run = models.ForeignKey(Run, null=True, on_delete=models.SET_NULL, related_name="+")
    text = models.TextField(blank=True)
    html = models.TextField(blank=True)
    data = models.JSONField(null=True)  # what was read from a text that is JSON
    repairs = models.PositiveSmallIntegerField(default=0)
    error = models.TextField(blank=True)
    created_at = models.DateTimeField(db_default=Now())
    ended_at = models.DateTimeField(null=True)

    class Meta:
        ordering = ["created_at", "seat__position"]
        constraints = [models.UniqueConstraint(fields=["round", "seat", "kind"], name="one_speech_per_kind")]

    def __str__(self) -> str:
        return f"{self.kind} of {self.seat_id}"

    @property
    def reference(self) -> str:
        """What the logs know its failure by."""
        return self.run.request_id if self.run and self.status == self.Status.FAILED else ""


class Ballot(models.Model):
    """A seat's private vote at the end of a round; shown to nobody before all of the round are in."""

    class Status(models.TextChoices):
        WAITING = "waiting", "in the making"
        CAST = "cast", "cast"
        ABSTAINED = "abstained", "abstained"

    id = models.UUIDField(primary_key=True, default=uuid.uuid4, editable=False)
    round = models.ForeignKey(Round, on_delete=models.CASCADE, related_name="ballots")
    seat = models.ForeignKey(Seat, on_delete=models.CASCADE, related_name="ballots")
    status = models.CharField(max_length=9, choices=Status, default=Status.WAITING)
    run = models.ForeignKey(Run, null=True, on_delete=models.SET_NULL, related_name="+")
    repairs = models.PositiveSmallIntegerField(default=0)
    letters = models.JSONField(default=dict)  # {"A": option id, …, "D": null}; null: abstain. Shuffled per seat
    abstention = models.CharField(max_length=200, blank=True)  # why: "chosen", "unparsed", or what failed

    is_judgement = models.BooleanField(default=False)  # of the judge, where the rule has one: no vote of the panel
    option = models.CharField(max_length=8, blank=True)
    ranking = models.JSONField(default=list)  # option ids, the best first, where the rule asks for it
    confidence = models.FloatField(null=True)  # stated, 0–100; none is not 0
    reason = models.TextField(blank=True)
    claims = models.JSONField(default=list)  # as written: [{"text", "kind"}]; rows of Claim from the barrier on
    cited = models.JSONField(default=list)  # numbers of claims
    change_reason = models.CharField(max_length=24, blank=True)
    would_change_if = models.TextField(blank=True)
    measured = models.JSONField(null=True)  # {option id: probability} at the letter's token; none: not to be had
    probed = models.JSONField(null=True)  # {option id: probability} over all orders of the letters
    error = models.TextField(blank=True)

    class Meta:
        ordering = ["round__number", "seat__position"]
        constraints = [models.UniqueConstraint(fields=["round", "seat"], name="one_ballot_per_round")]

    def __str__(self) -> str:
        return f"{self.seat_id}: {self.option or self.abstention}"

    @property
    def is_failed(self) -> bool:
        """It abstained, and did not choose to."""
        return self.status == self.Status.ABSTAINED and self.abstention not in ("", "chosen")

    @property
    def reference(self) -> str:
        """What the logs know its failure by."""
        return self.run.request_id if self.run and self.is_failed else ""


class Probe(models.Model):
    """One question for the letter alone, with the options in one of their cyclic orders."""

    id = models.UUIDField(primary_key=True, default=uuid.uuid4, editable=False)
    ballot = models.ForeignKey(Ballot, on_delete=models.CASCADE, related_name="probes")
    shift = models.PositiveSmallIntegerField()
    letters = models.JSONField()  # {"A": option id, …}
    is_over = models.BooleanField(default=False)
    belief = models.JSONField(null=True)  # {option id: probability}; none: the host gives none
    run = models.ForeignKey(Run, null=True, on_delete=models.SET_NULL, related_name="+")

    class Meta:
        ordering = ["shift"]
        constraints = [models.UniqueConstraint(fields=["ballot", "shift"], name="one_probe_per_shift")]

    def __str__(self) -> str:
        return f"probe {self.shift}"


class Claim(models.Model):
    """A sentence that an answer rests on; ballots cite it by its number."""

    class Kind(models.TextChoices):
        FACT = "fact", "fact"
        INFERENCE = "inference", "inference"
        VALUE = "value", "value"

    class Status(models.TextChoices):
        UNCHECKED = "unchecked", "not checked"
        SUPPORTED = "supported", "supported"
        REFUTED = "refuted", "refuted"
        UNVERIFIABLE = "unverifiable", "cannot be verified"

    id = models.UUIDField(primary_key=True, default=uuid.uuid4, editable=False)
    debate = models.ForeignKey(Debate, on_delete=models.CASCADE, related_name="claims")
    number = models.PositiveSmallIntegerField()
    # None: evidence that the owner put before all
    seat = models.ForeignKey(Seat, null=True, on_delete=models.CASCADE, related_name="claims")
    round = models.ForeignKey(Round, on_delete=models.CASCADE, related_name="claims")
    option = models.CharField(max_length=8, blank=True)  # what its author held when it was made
    text = models.TextField()
    kind = models.CharField(max_length=10, choices=Kind)
    status = models.CharField(max_length=12, choices=Status, default=Status.UNCHECKED)
    note = models.TextField(blank=True)  # the Fact-Checker's reason
    checked_in = models.ForeignKey(Round, null=True, on_delete=models.SET_NULL, related_name="+")

    class Meta:
        ordering = ["number"]
        constraints = [models.UniqueConstraint(fields=["debate", "number"], name="one_claim_per_number")]

    def __str__(self) -> str:
        return f"{self.number}. {self.text[:60]}"

    @property
    def by(self) -> str:
        return self.seat.name if self.seat else "whoever asked"

    @property
    def is_a_voters(self) -> bool:
        """What the challenger says or the owner adds is read before the vote of its round; a voter's claim is not."""
        return self.seat is not None and self.seat.votes


class Injection(models.Model):
    """Evidence or a question that the owner puts before all seats."""

    class Kind(models.TextChoices):
        EVIDENCE = "evidence", "evidence"
        QUESTION = "question", "question"

    id = models.UUIDField(primary_key=True, default=uuid.uuid4, editable=False)
    debate = models.ForeignKey(Debate, on_delete=models.CASCADE, related_name="injections")
    kind = models.CharField(max_length=10, choices=Kind)
    text = models.TextField()
    created_at = models.DateTimeField(db_default=Now())

    class Meta:
        ordering = ["created_at"]

    def __str__(self) -> str:
        return self.text[:60]


class Calibration(models.Model):
    """What a model's stated confidence has been worth, from settled ballots (isotonic fit)."""

    model = models.CharField(max_length=120, primary_key=True)
    ballots = models.PositiveIntegerField()
    fit: Any = models.JSONField()  # {"stated", "measured", "probe": debates.consensus.Calibration.as_dict()}
    updated_at = models.DateTimeField(db_default=Now())

    def __str__(self) -> str:
        return f"{self.model}: {self.ballots} settled ballots"
