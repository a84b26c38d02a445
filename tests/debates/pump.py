"""The engine in this process: runs are taken from the line and ended as a worker does, with what a script says.

Doorbells are not needed: `advance` is called after every end.
"""

import json
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import Any
from uuid import uuid4

from agents import runs
from agents.models import Agent, Run
from debates import launching, rounds, speeches, voting
from debates.launching import Place
from debates.models import Ballot, Debate, Probe, Speech
from tests.factories import alice, make_agent, make_host

Role = Agent.Role
VOTERS = ("analyst", "researcher", "quantifier", "skeptic", "pragmatist")
MODEL = "smollm2:135m"


@dataclass
class Script:
    """`votes`: a round's votes per string, a letter per voter in the order of their seats ("-" abstains, "!" says no
    JSON ever, "?" fails); the last string goes for all later rounds. `texts`: what a kind of speech says."""

    votes: Sequence[str] = ("AAAAA",)
    texts: dict[str, str] = field(default_factory=dict)
    confidence: int = 90
    judged: Sequence[str] = ("A",)
    cites: bool = False
    claim: str = ""
    probabilities: dict[str, float] | None = None

    def __call__(self, run: Run) -> dict[str, Any]:
        match run.purpose:
            case speeches.PURPOSE:
                return self._speak(Speech.objects.get(pk=run.subject))
            case voting.PURPOSE:
                return self._vote(Ballot.objects.get(pk=run.subject))
            case _:
                return self._probe(Probe.objects.get(pk=run.subject))

    def _speak(self, speech: Speech) -> dict[str, Any]:
        text = self.texts.get(speech.kind) or SPEECHES[speech.kind](speech)
        return {"status": "failed", "error": "The host is gone."} if text == "?" else {"text": text}

    def _vote(self, ballot: Ballot) -> dict[str, Any]:
        wanted = self._wanted(ballot)
        if wanted == "?":
            return {"status": "failed", "error": "The host is gone."}
        if wanted == "!":
            return {"text": "I would rather not say."}
        letter = next(
            letter for letter, option in ballot.letters.items() if option == (None if wanted == "-" else wanted)
        )
        return {"text": json.dumps(self._ballot(ballot, letter, wanted))}

    def _wanted(self, ballot: Ballot) -> str:
        if ballot.is_judgement:
            judged = Ballot.objects.filter(round__debate=ballot.round.debate_id, is_judgement=True).count()
            return self.judged[min(judged, len(self.judged)) - 1]
        voters = list(ballot.round.debate.seats.filter(votes=True).values_list("pk", flat=True))
        votes = self.votes[min(ballot.round.number, len(self.votes) - 1)]
        return votes[voters.index(ballot.seat_id)]

    def _ballot(self, ballot: Ballot, letter: str, wanted: str) -> dict[str, Any]:
        known = list(ballot.round.debate.claims.values_list("number", flat=True)) if self.cites else []
        said: dict[str, Any] = {
            "option": letter,
            "confidence": self.confidence,
            "reason": f"Because of {wanted}.",
            "claims": [{"text": self.claim or f"{ballot.seat.name} in {ballot.round.number}", "kind": "fact"}],
            "cited_claims": known,
            "change_reason": "new_evidence" if ballot.round.number else "none",
            "would_change_if": "Something else came up.",
        }
        if ballot.round.debate.rule == "ranked":
            said["ranking"] = [
                letter,
                *(other for other, option in ballot.letters.items() if option and other != letter),
            ]
        return said

    def _probe(self, probe: Probe) -> dict[str, Any]:
        return {"text": "A", "logprobs": [{"token": "A", "logprob": -0.1, "top_logprobs": []}]}


def _checks(speech: Speech) -> str:
    numbers = list(speech.round.debate.claims.values_list("number", flat=True))[:8]
    return json.dumps({"checks": [{"claim": n, "status": "supported", "note": "Known."} for n in numbers]})


def _ranking(speech: Speech) -> str:
    from debates import prompts

    return json.dumps({"ranking": sorted(prompts.ranking_letters(speech))})


SPEECHES: dict[str, Callable[[Speech], str]] = {
    Speech.Kind.ANSWER: lambda speech: f"{speech.seat.name} answers in round {speech.round.number}.",
    Speech.Kind.CHALLENGE: lambda _: "The leader forgets one thing.",
    Speech.Kind.CHECKS: _checks,
    Speech.Kind.OPTIONS: lambda _: json.dumps({"options": ["Wait", "Act now"]}),
    Speech.Kind.STATISTICS: lambda _: "Some hold this, some hold that.",
    Speech.Kind.RANKING: _ranking,
    Speech.Kind.VERDICT: lambda _: "The panel has decided as it has.",
}


def make_panel(*roles: str, models: Sequence[str] = (MODEL,)) -> list[Place]:
    """Agents of these roles, by default five voters, on a host that takes them."""
    make_host(models=tuple(models), max_parallel=8)
    chosen = roles or (*VOTERS, Role.DEVILS_ADVOCATE, Role.FACT_CHECKER, Role.MODERATOR)
    agents = [make_agent(role, role=role, name=Role(role).label, initials=role[:2]) for role in chosen]
    return [Place(agent, model=models[n % len(models)]) for n, agent in enumerate(agents)]


def launch(*, panel: Sequence[Place] | None = None, **asked: Any) -> Debate:
    asked = {"owner": asked.pop("owner", None) or alice(), "question": "Is it so?", "options": ["Yes", "No"], **asked}
    return launching.start(panel=panel or make_panel(), **asked)


def play(debate: Debate, script: Callable[[Run], dict[str, Any]] | None = None, *, most: int = 500) -> Debate:
    """Until nothing waits in line any more."""
    script = script or Script()
    rounds.advance(debate.pk)
    for _ in range(most):
        run = waiting(debate)
        if run is None:
            break
        end(run, script)
        rounds.advance(debate.pk)
    debate.refresh_from_db()
    return debate


def waiting(debate: Debate) -> Run | None:
    return Run.objects.queued().filter(owner=debate.owner).order_by("queued_at", "pk").first()


def end(run: Run, script: Callable[[Run], dict[str, Any]]) -> None:
    run.worker, run.attempt = uuid4(), 1
    Run.objects.filter(pk=run.pk).update(status="running", worker=run.worker, attempt=1)
    result = {"status": Run.Status.DONE, "prompt_tokens": 100, "output_tokens": 50, **script(run)}
    assert runs.finish(run, **result)


def kinds(debate: Debate) -> list[str]:
    return list(debate.rounds.values_list("kind", flat=True))
