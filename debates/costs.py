"""What a debate has used so far."""

from dataclasses import dataclass

from django.db.models import Count, QuerySet, Sum
from django.utils import timezone

from agents.models import Run
from debates.models import Ballot, Debate, Probe, Speech


@dataclass(frozen=True, slots=True)
class Cost:
    calls: int
    prompt_tokens: int
    output_tokens: int
    seconds: float  # of its rounds; what it waited for its owner between them is left out

    @property
    def tokens(self) -> int:
        return self.prompt_tokens + self.output_tokens


def runs_of(debate: Debate) -> QuerySet[Run]:
    """All of them, repairs included: each works for one of the debate's speeches, ballots or probes."""
    speeches = Speech.objects.filter(round__debate=debate).order_by().values("pk")
    ballots = Ballot.objects.filter(round__debate=debate).order_by().values("pk")
    probes = Probe.objects.filter(ballot__round__debate=debate).order_by().values("pk")
    return Run.objects.filter(subject__in=speeches.union(ballots, probes))  # three INs would read all runs there are


def spent(debate: Debate) -> Cost:
    found = runs_of(debate).aggregate(calls=Count("pk"), prompt=Sum("prompt_tokens"), output=Sum("output_tokens"))
    return Cost(found["calls"], found["prompt"] or 0, found["output"] or 0, _seconds(debate))


def _seconds(debate: Debate) -> float:
    now = debate.ended_at or timezone.now()
    spans = debate.rounds.values_list("started_at", "scored_at")
    return float(sum(((end or now) - start).total_seconds() for start, end in spans))
