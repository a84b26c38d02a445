from collections.abc import Iterator

import pytest
from django.contrib.auth.models import User

from agents.models import Agent, Run
from debates.evaluation.arms import Arms, EvaluationFailed, Plan, result_of, share_out, wait_for_end
from debates.evaluation.items import Item
from debates.evaluation.results import Moved, Result
from debates.models import Ballot, Debate
from tests.debates.pump import launch, make_panel, play
from tests.debates.rows import make_debate
from tests.factories import make_agent, make_host
from tests.fake_ollama import FakeOllama
from tests.processes import worker_process

Role = Agent.Role
ITEM = Item(id="one", question="Is it so?", options=("No", "Yes"), answer="Yes")
MODEL = "fake:latest"


# Through a real worker


@pytest.fixture
def fake(transactional_db: None) -> Iterator[FakeOllama]:
    with FakeOllama([MODEL]) as server:
        server.script(tokens=20, votes="Yes")
        make_host(models=(MODEL,), base_url=server.url, max_parallel=8)
        for role in (Role.ANALYST, Role.SKEPTIC, Role.DEVILS_ADVOCATE, Role.FACT_CHECKER, Role.MODERATOR):
            make_agent(role=role, name=Role(role).label, model=MODEL)
        yield server


def test_the_vote_gets_as_many_calls_as_the_debate_took(fake: FakeOllama) -> None:
    arms = Arms(Plan(agents=3, speech_tokens=100))
    results: list[Result] = []
    with worker_process():
        assert arms.ask(ITEM, into=results) == ""
    (found,) = results
    debate, vote = found.costs["debate"], found.costs["vote"]
    assert debate.calls == 14  # blind and challenge round of three, the challenger and the checker
    assert (vote.calls, len(found.samples), found.costs["single"].calls) == (14, 7, 2)
    assert found.costs["blind"].calls == 6
    assert (debate.probes, vote.probes) == (0, 14)
    assert [found.is_right(arm) for arm in ("single", "blind", "vote", "debate")] == [True] * 4
    assert {said.probed is not None for said in found.samples} == {True}
    assert (found.decided, found.stop_reason, found.failed_runs) == ("Yes", "consensus", 0)
    assert arms.models == [MODEL]
    assert set(Debate.objects.values_list("right_option", flat=True)) == {""}
    arms.settle()
    assert set(Debate.objects.values_list("right_option", flat=True)) == {"B"}
    assert set(Debate.objects.values_list("owner__username", "owner__is_active")) == {("evaluation", False)}
    assert not User.objects.get(username="evaluation").has_usable_password()


# Plans


@pytest.mark.parametrize(
    ("figures", "words"),
    [
        ({"agents": 2}, "--agents: from 3 to 13"),
        ({"agents": 14}, "--agents: from 3 to 13"),
        ({"rounds": 1}, "--rounds: from 2 to 5, the blind one included"),
        ({"rounds": 6}, "--rounds: from 2 to 5, the blind one included"),
        ({"rule": "judge"}, "--rule: one of plurality, majority, two-thirds, three-quarters, unanimity, ranked"),
    ],
)
def test_a_plan_that_cannot_be_says_which_option_is_wrong(figures: dict[str, int], words: str) -> None:
    with pytest.raises(EvaluationFailed) as raised:
        Plan(**figures).check()  # type: ignore[arg-type]
    assert str(raised.value) == words


@pytest.mark.parametrize(
    ("samples", "votes"), [(1, [3]), (3, [3]), (15, [15]), (16, [8, 8]), (31, [11, 10, 10]), (45, [15] * 3)]
)
def test_samples_are_shared_out_over_panels_that_have_room(samples: int, votes: list[int]) -> None:
    assert share_out(samples) == votes


@pytest.mark.django_db
def test_without_anybody_to_vote_there_is_nothing_to_begin() -> None:
    make_agent(role=Role.MODERATOR)
    with pytest.raises(EvaluationFailed, match="No agent with a voter's role is switched on"):
        Arms(Plan())


@pytest.mark.django_db
def test_a_model_that_nobody_has_ends_it_at_once() -> None:
    make_panel()
    with pytest.raises(EvaluationFailed, match="No model host has the model gpt"):
        Arms(Plan(model="gpt")).ask(ITEM, into=[])


@pytest.mark.django_db
def test_a_question_that_cannot_be_debated_is_passed_over() -> None:
    make_panel()
    results: list[object] = []
    refusal = Arms(Plan(speech_tokens=5)).ask(ITEM, into=results)  # type: ignore[arg-type]
    assert (refusal, results) == ("The tokens of a speech: from 30 to 2,000.", [])


# Waiting


@pytest.mark.django_db
def test_where_no_worker_is_alive_it_says_so_and_stops_the_debate() -> None:
    debate = launch()
    with pytest.raises(EvaluationFailed, match="No worker has been alive for 0 s"):
        wait_for_end(debate, patience=0)
    debate.refresh_from_db()
    assert (debate.status, debate.stop_reason) == ("ended", "user")


@pytest.mark.django_db
def test_stopping_ends_the_debate_under_way_and_nothing_else() -> None:
    make_panel()
    arms = Arms(Plan())
    arms.stop()
    with pytest.raises(EvaluationFailed):
        wait_for_end(launch(panel=arms.voters), patience=0)
    assert not Run.objects.unfinished().exists()


# From rows


@pytest.mark.django_db
def test_a_result_says_in_words_what_the_rows_say_in_ids() -> None:
    debate = play(launch(options=["No", "Yes"], max_rounds=2, rule="plurality", question="Is it so?"))
    vote = make_debate(votes=["BA-"], options=("No", "Yes"), ballots={(0, 0): {"measured": {"A": 0.2, "B": 0.8}}})
    found = result_of(ITEM, debate=debate, votes=[vote], seed=1)
    assert [(said.option, said.stated, said.measured, said.why) for said in found.samples] == [
        ("Yes", 0.8, 0.8, ""),
        ("No", 0.8, None, ""),
        (None, None, None, "chosen"),
    ]
    assert {said.option for ballots in found.rounds for said in ballots} == {"No"}
    assert (found.decided, found.is_right("debate")) == ("No", False)
    assert found.confidence is not None


@pytest.mark.django_db
def test_moves_and_lost_quorums_are_told() -> None:
    debate = make_debate(votes=["AAB", "ABB"], options=("No", "Yes"))
    vote = make_debate(votes=["---"], options=("No", "Yes"), owner=debate.owner)
    found = result_of(ITEM, debate=debate, votes=[vote], seed=1)
    assert found.moves == (Moved("No", "Yes", False),)
    assert (found.answer("single"), found.answer("vote"), found.answer("debate")) == (None, None, "Yes")
    assert Ballot.objects.count() == 9
