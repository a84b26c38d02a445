"""What a debate has used so far."""

from dataclasses import dataclass

from django.db import connection
from django.db.models import QuerySet
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


# Of `runs_of`, and of the rounds. Asked after every round and of every debate every few seconds: as text, for it takes
# longer to compose than to answer.
SPENT = """
WITH held AS MATERIALIZED (SELECT id, started_at, scored_at FROM debates_round WHERE debate_id = %(debate)s),
     voted AS MATERIALIZED (SELECT id FROM debates_ballot WHERE round_id IN (SELECT id FROM held)),
     asked AS (SELECT id FROM debates_speech WHERE round_id IN (SELECT id FROM held)
               UNION ALL SELECT id FROM voted
               UNION ALL SELECT id FROM debates_probe WHERE ballot_id IN (SELECT id FROM voted))
SELECT count(*), COALESCE(sum(prompt_tokens), 0), COALESCE(sum(output_tokens), 0),
       (SELECT COALESCE(sum(extract(epoch FROM COALESCE(scored_at, %(now)s) - started_at)), 0)::float FROM held)
  FROM agents_run WHERE subject IN (SELECT id FROM asked)
"""


def spent(debate: Debate) -> Cost:
    now = debate.ended_at or timezone.now()
    with connection.cursor() as cursor:
        cursor.execute(SPENT, {"debate": debate.pk, "now": now})
        return Cost(*cursor.fetchone())
