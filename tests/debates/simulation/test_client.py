"""Simulated agents in whole debates of the real engine: real prompts in, ballots out, read by the real reader."""

import asyncio
import json
from collections.abc import Mapping
from typing import Any

import pytest

from agents.models import Run
from agents.ollama import BadRequest, Chunk, ModelFailed, ModelMissing
from debates.models import Ballot, Claim, Debate, Speech
from debates.simulation import SimulatedAgent
from debates.simulation.client import SimulatedClient
from tests.debates.pump import MODEL, launch, play

QUESTION = "Is it so?"
QUESTIONS = {QUESTION: "Yes"}


def simulated(seed: int = 1, *, correlation: float = 0.0, **agent: float) -> SimulatedClient:
    agents = {MODEL: SimulatedAgent(**agent)}
    return SimulatedClient(agents, answers=QUESTIONS, correlation=correlation, seed=seed)


async def chunks(client: SimulatedClient, **asked: Any) -> list[Chunk]:
    return [chunk async for chunk in client.chat(**{"model": MODEL, **asked})]


class Answering:
    """What ends a run in the pump: the client's chunks, put together as a worker does."""

    def __init__(self, client: SimulatedClient) -> None:
        self.client = client

    def __call__(self, run: Run) -> Mapping[str, Any]:
        asked = {"messages": run.messages, "format": run.format, "options": run.options}
        try:
            found = asyncio.run(chunks(self.client, model=run.model, top_logprobs=run.top_logprobs, **asked))
        except ModelFailed as error:
            return {"status": Run.Status.FAILED, "error": error.message}
        logprobs = [entry for chunk in found for entry in chunk.logprobs]
        return {"text": "".join(chunk.content for chunk in found), "logprobs": logprobs or None}


def hold(client: SimulatedClient, **asked: Any) -> Debate:
    return play(launch(question=QUESTION, **asked), Answering(client))  # type: ignore[arg-type]


def votes(debate: Debate, number: int) -> list[str]:
    ballots = Ballot.objects.filter(round__debate=debate, round__number=number).order_by("seat__position")
    return [debate.option_texts.get(ballot.option, "") for ballot in ballots]


# Whole debates


@pytest.mark.django_db
def test_agents_that_know_the_answer_come_to_a_consensus_on_it() -> None:
    debate = hold(simulated(accuracy=1))
    assert debate.stop_reason == "consensus"
    assert (debate.verdict or {})["text"] == "Yes"
    ballots = Ballot.objects.filter(round__debate=debate)
    assert {ballot.status for ballot in ballots} == {Ballot.Status.CAST}
    assert {ballot.repairs for ballot in ballots} == {0}
    assert {ballot.confidence for ballot in ballots} == {100}
    assert {(ballot.measured or {}).get("A", 0) > 0.99 for ballot in ballots} == {True}
    assert not Speech.objects.filter(status=Speech.Status.FAILED).exists()


@pytest.mark.django_db
def test_a_ballot_says_what_the_speech_before_it_said() -> None:
    debate = hold(simulated(3, accuracy=0.5, stubbornness=1), max_rounds=3)
    assert set(votes(debate, 0)) == {"Yes", "No"}
    assert votes(debate, 0) == votes(debate, 1) == votes(debate, 2)
    for ballot in Ballot.objects.filter(round__debate=debate).select_related("round"):
        speech = Speech.objects.get(round=ballot.round, seat=ballot.seat, kind="answer")
        assert f"My answer: {debate.option_texts[ballot.option]} (" in speech.text


@pytest.mark.django_db
@pytest.mark.parametrize(
    ("agent", "moves"),
    [({"insight": 1}, {("found_error_in_mine", True)}), ({"conformity": 1}, {("majority_pressure", False)})],
)
def test_who_is_persuaded_cites_what_persuaded_it_and_who_conforms_cites_nothing(
    agent: dict[str, float], moves: set[tuple[str, bool]]
) -> None:
    debate = hold(simulated(5, accuracy=0.5, **agent), max_rounds=2)
    assert {(flip["change_reason"], flip["is_evidenced"]) for flip in _flips(debate)} == moves
    assert Claim.objects.filter(debate=debate, text__startswith="Yes: ground number").exists()


def _flips(debate: Debate) -> list[dict[str, Any]]:
    last = debate.rounds.exclude(metrics=None).latest("number")
    return list(last.metrics["flips"]) if last.metrics else []


@pytest.mark.django_db
@pytest.mark.parametrize("protocol", ["solutions-only", "delphi", "sparse-table", "council"])
def test_every_way_of_telling_what_others_hold_is_understood(protocol: str) -> None:
    debate = hold(simulated(5, accuracy=0.5, insight=1), protocol=protocol)
    assert set(votes(debate, 0)) == {"Yes", "No"}
    assert {ballot.abstention for ballot in Ballot.objects.filter(round__debate=debate)} == {""}
    if protocol != "council":  # whose seats rank instead of speaking again
        assert votes(debate, 1).count("Yes") > votes(debate, 0).count("Yes")


@pytest.mark.django_db
def test_probes_find_its_belief_whatever_letter_stands_first() -> None:
    debate = hold(simulated(accuracy=0.8, overconfidence=5), protocol="blind-vote", belief="probe")
    for ballot in Ballot.objects.filter(round__debate=debate):
        assert ballot.probed is not None
        assert ballot.measured is not None
        assert ballot.probed[ballot.option] == pytest.approx(ballot.measured[ballot.option], abs=0.02)
        assert (ballot.confidence or 0) / 100 >= ballot.measured[ballot.option] - 0.01


@pytest.mark.django_db
def test_agents_that_fail_make_seats_abstain() -> None:
    debate = hold(simulated(failure_rate=1))
    assert debate.stop_reason == "quorum_lost"
    assert votes(debate, 0) == [""] * 5


# The interface


BALLOT = {
    "type": "object",
    "properties": {"option": {"enum": ["A", "B", "C"]}, "confidence": {"type": "integer"}},
    "required": ["option", "confidence"],
}


def prompt(question: str = QUESTION) -> list[dict[str, str]]:
    asked = f"Question: {question}\n\n<<<The possible answers\n- Yes\n- No\n>>>\n\n"
    lettered = "<<<The answers by letter\nA: No\nB: none of these: I abstain\nC: Yes\n>>>\n\nVote."
    return [{"role": "system", "content": "You vote."}, {"role": "user", "content": asked + lettered}]


async def test_a_reply_comes_word_by_word_and_ends_with_what_it_took() -> None:
    found = await chunks(simulated(accuracy=1), messages=prompt())
    assert [chunk.done for chunk in found] == [False] * (len(found) - 1) + [True]
    assert "".join(chunk.content for chunk in found).strip().endswith("My answer: Yes (100 % sure, none)")
    stats = found[-1].stats
    assert stats is not None
    assert stats.output_tokens == len(found) - 1


async def test_a_ballot_fills_in_what_its_schema_asks_for_and_no_more() -> None:
    found = await chunks(simulated(accuracy=1), messages=prompt(), format=BALLOT)
    assert json.loads("".join(chunk.content for chunk in found)) == {"option": "C", "confidence": 100}
    assert [chunk.logprobs for chunk in found] == [()] * 4
    told = await chunks(simulated(accuracy=1), messages=prompt(), format=BALLOT, top_logprobs=20)
    assert [len(chunk.logprobs) for chunk in told] == [1, 1, 1, 0]
    assert {rival["token"] for rival in told[1].logprobs[0]["top_logprobs"]} == {"A", "C"}


async def test_the_same_seed_gives_the_same_replies() -> None:
    first, again = simulated(7, accuracy=0.5), simulated(7, accuracy=0.5)
    asked = [await chunks(first, messages=prompt()) for _ in range(10)]
    assert [await chunks(again, messages=prompt()) for _ in range(10)] == asked
    assert len({chunk.content for reply in asked for chunk in reply if chunk.content in ("Yes ", "No ")}) == 2


async def test_latency_comes_before_the_first_token() -> None:
    begun = asyncio.get_running_loop().time()
    await chunks(simulated(latency=0.05), messages=prompt())
    assert asyncio.get_running_loop().time() - begun >= 0.05


async def test_what_it_cannot_answer_is_an_error_of_the_client() -> None:
    with pytest.raises(ModelMissing) as missing:
        await chunks(simulated(), model="llama3", messages=prompt())
    assert missing.value.available == [MODEL]
    with pytest.raises(BadRequest, match="No simulated agent knows what is right of: Is it otherwise"):
        await chunks(simulated(), messages=prompt("Is it otherwise?"))
    with pytest.raises(ModelFailed):
        await chunks(simulated(failure_rate=1), messages=prompt())
