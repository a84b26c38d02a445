"""The course of debates, with what every seat says scripted."""

import threading
from typing import Any

import pytest
from django.db import connection
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from agents.models import Host, Run
from debates import controls, rounds, voting
from debates.models import Ballot, Claim, Debate, Round, Speech
from tests.debates.pump import Role, Script, end, kinds, launch, make_panel, play, waiting
from tests.factories import make_agent

pytestmark = pytest.mark.django_db
Kind = Round.Kind


def test_a_round_table_answers_blind_exchanges_and_is_challenged() -> None:
    debate = play(launch(), Script(votes=["AABBA", "AAABA", "AAAAA"]))
    assert kinds(debate) == [Kind.BLIND, Kind.EXCHANGE, Kind.CHALLENGE, Kind.EXCHANGE]
    assert debate.stop_reason == "consensus"
    assert debate.status == Debate.Status.ENDED
    assert debate.verdict is not None
    assert debate.verdict["option"] == "A"
    assert debate.summary == "The panel has decided as it has."


def test_unanimous_from_the_beginning_is_challenged_at_once_and_then_a_consensus() -> None:
    debate = play(launch(), Script(votes=["AAAAA"]))
    assert kinds(debate) == [Kind.BLIND, Kind.CHALLENGE]
    assert debate.stop_reason == "consensus"


def test_a_panel_that_never_agrees_ends_with_its_rounds_and_without_a_decision() -> None:
    debate = play(launch(), Script(votes=["AABB-"]))
    assert kinds(debate) == [Kind.BLIND, Kind.EXCHANGE, Kind.EXCHANGE]
    assert debate.stop_reason in ("rounds", "stable_disagreement")
    assert debate.verdict is not None
    assert debate.verdict["option"] is None


@pytest.mark.parametrize(
    ("protocol", "course"),
    [
        ("blind-vote", ["blind"]),
        ("sparse-table", ["blind", "exchange", "challenge", "exchange"]),
        ("solutions-only", ["blind", "exchange", "exchange"]),
        ("delphi", ["blind", "delphi", "delphi"]),
        ("council", ["blind", "ranking"]),
        ("stress-test", ["blind", "challenge"]),
        ("oxford", ["opening", "rebuttal", "rebuttal", "closing"] * 2),
    ],
)
def test_each_protocol_takes_its_course_to_an_end(protocol: str, course: list[str]) -> None:
    debate = play(launch(protocol=protocol), Script(votes=["AABBA", "AAABA"]))
    assert kinds(debate) == course
    assert (debate.status, debate.conclusion) == (Debate.Status.ENDED, "")
    assert debate.verdict is not None
    assert not debate.rounds.exclude(step="scored").exists()


@pytest.mark.parametrize(("judged", "decided"), [(["A", "A"], "A"), (["A", "B"], None)])
def test_a_judgement_that_follows_the_side_is_none(judged: list[str], decided: str | None) -> None:
    debate = play(launch(protocol="oxford"), Script(judged=judged))
    assert debate.verdict is not None
    assert debate.verdict["option"] == decided


def test_a_judge_decides_after_the_last_round() -> None:
    debate = play(launch(protocol="solutions-only", rule="judge"), Script(votes=["AABBA"], judged=["B"]))
    assert debate.verdict is not None
    assert (debate.verdict["option"], debate.verdict["judged"] is not False) == ("B", True)
    assert not debate.rounds.get(number=0).ballots.filter(is_judgement=True).exists()


def test_ranked_ballots_decide_by_schulze() -> None:
    debate = play(launch(protocol="blind-vote", rule="ranked", options=["Yes", "No", "Later"]), Script(votes=["CCCBA"]))
    assert debate.verdict is not None
    assert debate.verdict["option"] == "C"


def test_the_options_of_an_open_question_are_found_after_all_have_spoken() -> None:
    debate = play(launch(options=[]), Script(votes=["AAABB"]))
    assert [option["text"] for option in debate.options] == ["Wait", "Act now", "Other"]
    assert debate.status == Debate.Status.ENDED


def test_options_can_be_looked_at_and_edited_before_anybody_votes() -> None:
    debate = play(launch(options=[], reviews_options=True))
    assert (debate.status, debate.pause_reason) == ("paused", "Look at the options, then resume.")
    controls.set_options(debate, ["Stay", "Go"])
    controls.resume(debate)
    debate = play(debate)
    assert [option["text"] for option in debate.options] == ["Stay", "Go"]
    assert debate.status == Debate.Status.ENDED


def test_options_that_nobody_could_find_are_asked_of_the_owner() -> None:
    debate = play(launch(options=[]), Script(texts={Speech.Kind.OPTIONS: "none at all"}))
    assert debate.status == Debate.Status.PAUSED
    assert debate.pause_reason.startswith("The Moderator named no options")
    controls.set_options(debate, ["Stay", "Go"])
    controls.resume(debate)
    assert play(debate).status == Debate.Status.ENDED


def test_nobody_s_ballot_is_known_before_the_barrier() -> None:
    debate = launch()
    rounds.advance(debate.pk)
    script = Script()
    while not Ballot.objects.filter(status=Ballot.Status.CAST).exists():
        run = waiting(debate)
        assert run is not None
        end(run, script)
        rounds.advance(debate.pk)
    assert debate.rounds.get().metrics is None
    assert not Claim.objects.exists()


def test_doorbells_in_any_number_and_order_lead_to_one_next_step() -> None:
    debate = launch()
    script = Script()
    while True:
        for _ in range(3):
            rounds.advance(debate.pk)
        before = (Speech.objects.count(), Ballot.objects.count(), Run.objects.count(), Round.objects.count())
        rounds.sweep()
        assert (Speech.objects.count(), Ballot.objects.count(), Run.objects.count(), Round.objects.count()) == before
        run = waiting(debate)
        if run is None:
            break
        end(run, script)
    debate.refresh_from_db()
    assert debate.status == Debate.Status.ENDED


@pytest.mark.django_db(transaction=True)
def test_finishers_at_the_same_moment_take_one_next_step() -> None:
    debate = launch()
    rounds.advance(debate.pk)
    while run := waiting(debate):
        end(run, Script())

    def come() -> None:
        rounds.advance(debate.pk)
        connection.close()

    threads = [threading.Thread(target=come) for _ in range(6)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert Ballot.objects.count() == 5
    assert Run.objects.filter(purpose=voting.PURPOSE).count() == 5


def test_a_process_that_dies_within_a_step_has_done_nothing_and_the_next_goes_on(
    django_assert_num_queries: Any,
) -> None:
    debate = launch()
    script = Script(votes=["AABBA", "AAABA", "AAAAA"])
    steps_seen: list[tuple[int, str]] = []
    for _ in range(200):
        before = _rows()
        with pytest.raises(Died), DieAtTheEnd():
            rounds.advance(debate.pk)
        assert _rows() == before
        rounds.advance(debate.pk)
        last = debate.rounds.last()
        if last and (not steps_seen or steps_seen[-1] != (last.number, last.step)):
            steps_seen.append((last.number, last.step))
        run = waiting(debate)
        if run is None:
            break
        end(run, script)
    debate.refresh_from_db()
    assert debate.status == Debate.Status.ENDED
    assert [step for number, step in steps_seen if number == 0] == ["speech", "ballot"]


class Died(BaseException):
    """kill -9, as far as the transaction is concerned."""


class DieAtTheEnd:
    """The last statement of the outermost transaction is never its commit."""

    def __enter__(self) -> None:
        self._savepoint = connection.savepoint_commit
        self._depth = len(connection.savepoint_ids)

        def commit(sid: str) -> None:
            if len(connection.savepoint_ids) == self._depth:
                connection.savepoint_rollback(sid)
                raise Died
            self._savepoint(sid)

        connection.savepoint_commit = commit  # type: ignore[method-assign]

    def __exit__(self, *_: object) -> None:
        connection.savepoint_commit = self._savepoint  # type: ignore[method-assign]


def _rows() -> tuple[int, ...]:
    return tuple(model.objects.count() for model in (Round, Speech, Ballot, Claim, Run))


def test_invalid_json_from_every_seat_is_asked_for_once_more_and_then_an_abstention() -> None:
    debate = play(launch(), Script(votes=["!!!!!"]))
    assert debate.stop_reason == "quorum_lost"
    assert set(Ballot.objects.values_list("status", "abstention", "option", "repairs")) == {
        ("abstained", "unparsed", "", 1)
    }
    assert Run.objects.filter(purpose=voting.PURPOSE).count() == 10


def test_everyone_abstaining_loses_the_quorum_and_keeps_the_text() -> None:
    debate = play(launch(), Script(votes=["-----"]))
    assert debate.stop_reason == "quorum_lost"
    assert Speech.objects.filter(kind=Speech.Kind.ANSWER, text__contains="answers in round 0").count() == 5


def test_a_seat_whose_run_fails_abstains_and_the_others_go_on() -> None:
    debate = play(launch(), Script(votes=["AAAA?"]))
    assert debate.verdict is not None
    assert debate.verdict["option"] == "A"
    failed = Ballot.objects.filter(status=Ballot.Status.ABSTAINED).first()
    assert failed is not None
    assert "The host is gone." in failed.abstention


def test_a_seat_that_could_not_speak_does_not_vote() -> None:
    debate = launch(protocol="blind-vote")

    def say(run: Run) -> dict[str, Any]:
        speech = Speech.objects.filter(pk=run.subject, seat__position=0, kind="answer").exists()
        return {"status": "failed", "error": "The host is gone."} if speech else Script()(run)

    play(debate, say)
    ballot = debate.rounds.get().ballots.get(seat__position=0)
    assert ballot.abstention == "Its speech failed: The host is gone."


def test_no_host_left_in_the_middle_ends_for_want_of_a_quorum_with_all_text() -> None:
    debate = launch()
    rounds.advance(debate.pk)
    while (run := waiting(debate)) and run.purpose == "debate.speech":
        end(run, Script())
    Host.objects.all().delete()
    debate = play(debate)
    assert debate.stop_reason == "quorum_lost"
    assert Speech.objects.filter(status="done").count() == 5


def test_a_tie_at_every_round_is_never_a_decision() -> None:
    panel = make_panel("analyst", "researcher", "quantifier", "skeptic", Role.MODERATOR, Role.DEVILS_ADVOCATE)
    debate = play(launch(panel=panel, rule="plurality"), Script(votes=["AABB", "ABAB", "BABA"]))
    assert debate.verdict is not None
    assert debate.verdict["option"] is None


def test_a_spent_budget_ends_it_after_the_round() -> None:
    debate = launch(max_tokens=100_000)
    Debate.objects.update(max_tokens=1500)
    debate = play(debate, Script(votes=["AABBA"]))
    assert (debate.stop_reason, kinds(debate)) == ("budget", ["blind"])


def test_out_of_time_it_ends_where_it_is() -> None:
    debate = launch()
    rounds.advance(debate.pk)
    Round.objects.update(started_at="2020-01-01T00:00Z")
    rounds.sweep()
    debate.refresh_from_db()
    assert (debate.status, debate.stop_reason) == ("ended", "budget")


def test_a_late_result_changes_nothing() -> None:
    debate = launch()
    rounds.advance(debate.pk)
    late = waiting(debate)
    assert late is not None
    controls.stop(debate)
    debate.refresh_from_db()
    end(late, Script())
    rounds.advance(debate.pk)
    assert set(Speech.objects.values_list("status", "text")) == {("failed", "")}
    assert debate.stop_reason == "user"


def test_the_claims_of_a_round_are_numbered_and_can_be_cited_from_the_next_on() -> None:
    debate = play(launch(max_rounds=2), Script(votes=["AABBA"], cites=True))
    assert list(debate.claims.values_list("number", "round__number")) == [(n, (n - 1) // 5) for n in range(1, 11)]
    assert [ballot.cited for ballot in Ballot.objects.filter(round__number=1)] == [[1, 2, 3, 4, 5]] * 5


def test_a_claim_that_was_made_before_is_a_citation_of_it() -> None:
    debate = play(launch(max_rounds=2), Script(votes=["AABBA"], claim="It, has been MEASURED."))
    assert list(debate.claims.values_list("number", "seat__name")) == [(1, "Analyst")]
    assert [ballot.cited for ballot in Ballot.objects.filter(round__number=0)] == [[], [1], [1], [1], [1]]


def test_who_is_moved_by_the_challenge_can_cite_it() -> None:
    debate = play(launch(), Script(votes=["AAAAA", "BBAAA"], cites=True))
    case = debate.claims.get(seat__role=Role.DEVILS_ADVOCATE)
    assert case.text == "The leader forgets one thing."
    moved = debate.rounds.get(kind=Kind.CHALLENGE).ballots.first()
    assert moved is not None
    assert case.number in moved.cited
    metrics = debate.rounds.get(kind=Kind.CHALLENGE).metrics
    assert metrics is not None
    assert [flip["is_evidenced"] for flip in metrics["flips"]] == [True, True]


def test_the_fact_checker_labels_claims() -> None:
    debate = play(launch(), Script(votes=["AAAAA"]))
    assert set(debate.claims.filter(round__number=0).values_list("status", flat=True)) == {"supported"}


@settings(max_examples=15, deadline=None, suppress_health_check=list(HealthCheck))
@given(votes=st.lists(st.text(alphabet="AB-?!", min_size=5, max_size=5), min_size=1, max_size=5))
def test_whatever_the_seats_do_a_debate_ends(votes: list[str]) -> None:
    Debate.objects.all().delete()
    Host.objects.all().delete()
    from agents.models import Agent

    Agent.objects.all().delete()
    debate = play(launch(), Script(votes=votes))
    assert debate.status == Debate.Status.ENDED
    assert debate.stop_reason
    assert not Run.objects.unfinished().exists()


def test_on_one_slot_seats_take_turns_model_by_model_the_loaded_one_first() -> None:
    panel = make_panel("analyst", "skeptic", "quantifier", "pragmatist", models=("a:1b", "b:2b"))
    Host.objects.update(loaded={"b:2b": 4096})
    rounds.advance(launch(panel=panel).pk)
    waiting_models = Run.objects.order_by("queued_at").values_list("model", flat=True)
    assert list(waiting_models) == ["b:2b", "b:2b", "a:1b", "a:1b"]


def test_a_seat_may_sit_twice_on_other_models() -> None:
    panel = make_panel("analyst", models=("a:1b", "b:2b"))
    debate = launch(panel=[*panel, *panel, *panel], protocol="blind-vote")
    assert [seat.name for seat in debate.seats.all()] == ["Analyst", "Analyst 2", "Analyst 3"]


def test_only_who_is_told_to_thinks_and_never_over_a_ballot() -> None:
    panel = make_panel()
    panel[0].agent.think = True
    panel[0].agent.save()
    play(launch(panel=panel, protocol="blind-vote"))
    thinking = Run.objects.filter(think=True)
    assert [(run.purpose, run.options["num_predict"]) for run in thinking] == [("debate.speech", 2300)]
    assert set(Run.objects.exclude(think=True).values_list("think", flat=True)) == {False}


def test_an_agent_edited_later_changes_nothing_for_its_seat() -> None:
    debate = launch()
    seat = debate.seats.get(position=0)
    assert seat.agent is not None
    seat.agent.system_prompt = "Say nothing."
    seat.agent.save()
    make_agent()
    rounds.advance(debate.pk)
    assert "Say nothing." not in str(Run.objects.values_list("messages", flat=True))
