import json

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from pytest_django import DjangoAssertNumQueries

from debates.consensus import EXPLANATIONS
from debates.models import Ballot, Calibration, Debate, Round, Speech
from debates.verdicts import STOPS, conclude
from tests.debates.rows import add_run, make_claim, make_debate, make_round, rescore

pytestmark = pytest.mark.django_db
MIXED = ("llama3.2:1b", "qwen2.5:3b", "gemma2:2b", "phi3:mini", "granite3:2b")


def test_a_majority_short_of_three_quarters_is_no_decision_and_says_what_is_missing() -> None:
    verdict = conclude(make_debate(votes=["AAABBBBBB"]))
    assert verdict["words"] == "6 of 9 hold “No”; the rule (3/4) needs 7: no decision."
    assert (verdict["decided"], verdict["option"], verdict["leader"], verdict["text"]) == (False, None, "B", "")
    assert (verdict["label"], verdict["label_words"]) == (None, ["Nothing was decided, so there is nothing to label."])


def test_enough_heads_decide() -> None:
    verdict = conclude(make_debate(votes=["AABBBBBBB"]))
    assert verdict["words"] == "7 of 9 hold “No”; the rule (3/4) needs 7: decided for “No”."
    assert (verdict["decided"], verdict["option"], verdict["text"]) == (True, "B", "No")


def test_a_tie_is_no_decision_and_names_who_shares_the_lead() -> None:
    verdict = conclude(make_debate(votes=["AABB"], rule="plurality"))
    assert verdict["words"] == "“Yes” and “No” have 2 of 4 each; the rule (plurality) needs 3: no decision."
    assert (verdict["decided"], verdict["leader"]) == (False, None)


def test_everyone_abstaining_is_no_decision() -> None:
    verdict = conclude(make_debate(votes=["----"]))
    assert verdict["words"] == "0 of 4 seats voted; 3 must. Thus no decision."
    assert verdict["confidence"]["words"] == "No ballot carries the confidence that this would need."
    assert verdict["blind"]["words"] == "There was no blind vote to compare with."
    assert [abstention["words"] for abstention in verdict["dissent"]["abstentions"]] == ["chose to abstain"] * 4


def test_before_the_first_barrier_nothing_is_concluded() -> None:
    debate = make_debate()
    make_round(debate, "AA.", step="ballot")
    verdict = conclude(debate)
    assert (verdict["round"], verdict["words"]) == (None, "No round is scored yet.")
    assert (verdict["ballots"], verdict["seats"], verdict["state"]) == (0, 3, "none")
    assert [(count["now"], count["blind"]) for count in verdict["counts"]] == [(0, 0), (0, 0)]
    assert verdict["dissent"] == {"positions": [], "flips": [], "abstentions": [], "failures": []}


def test_an_open_question_without_options_yet_is_told_as_well() -> None:
    verdict = conclude(make_debate(options=(), is_open=True))
    assert (verdict["counts"], verdict["words"]) == ([], "No round is scored yet.")


def test_a_round_under_way_does_not_show_in_what_stands() -> None:
    debate = make_debate(votes=["AAB"], status=Debate.Status.RUNNING)
    before = conclude(debate)
    make_round(debate, "BB.", step="ballot")
    after = conclude(debate)
    assert {**after, "cost": None} == {**before, "cost": None}


@pytest.mark.parametrize(
    ("votes", "effect", "words"),
    [
        (["AAAA", "AAAA"], "unchanged", "The debate changed nothing: the blind vote chose “Yes”, too."),
        (["AAAA", "BBBB"], "turned", "The blind vote chose “Yes”; the debate turned it to “No”."),
        (["AAAA", "AABB"], "undecided", "The blind vote chose “Yes”; the debate turned that into no decision."),
        (["AABB", "AAAA"], "decided", "The blind vote decided nothing; the debate led to “Yes”."),
        (["AABB", "BBAA"], "neither", "Neither the blind vote nor the debate decided."),
        (
            ["AAABB", "AABBB"],
            "neither",
            "Neither the blind vote nor the debate decided. The lead went from “Yes” to “No”.",
        ),
        (["AAAA"], "unchanged", "The blind vote is all there is so far."),
    ],
)
def test_the_blind_vote_is_told_beside_what_the_debate_made_of_it(votes: list[str], effect: str, words: str) -> None:
    verdict = conclude(make_debate(votes=votes))
    assert (verdict["blind"]["effect"], verdict["blind"]["words"]) == (effect, words)


def test_heads_are_counted_now_and_blind() -> None:
    verdict = conclude(make_debate(votes=["AABBC", "AAABC"], options=("Yes", "No", "Later")))
    assert [(count["text"], count["now"], count["blind"]) for count in verdict["counts"]] == [
        ("Yes", 3, 2),
        ("No", 1, 2),
        ("Later", 1, 1),
    ]


@pytest.mark.parametrize(
    ("right", "effect", "is_right"),
    [("A", "hurt", False), ("B", "helped", True), ("C", "kept_wrong", False), ("", None, None)],
)
def test_a_settled_debate_helped_or_hurt(right: str, effect: str | None, is_right: bool | None) -> None:
    debate = make_debate(votes=["AAAA", "BBBB"], options=("Yes", "No", "Later"), right_option=right)
    settled = conclude(debate)["settled"]
    assert (settled and settled["effect"], settled and settled["is_right"]) == (effect or None, is_right)


def test_both_right_helped_nobody() -> None:
    settled = conclude(make_debate(votes=["AAAA", "AAAA"], right_option="A"))["settled"]
    assert settled and settled["words"] == "“Yes” was right: the blind vote and the debate both found it."


def test_five_seats_of_one_model_are_less_than_two_votes() -> None:
    worth = conclude(make_debate(votes=["AAAAB"]))["worth"]
    assert worth["same_model"] == "Same model ×5 ≈ 1.8 independent votes"
    assert worth["words"] == "5 ballots ≈ 1.8 independent votes (correlation 0.45, assumed for one model)"


def test_seats_of_several_models_carry_no_such_warning() -> None:
    worth = conclude(make_debate(votes=["AAAAB"], models=MIXED))["worth"]
    assert (worth["same_model"], worth["is_measured"]) == ("", False)
    assert (
        worth["words"] == "5 ballots ≈ 3.1 independent votes (correlation 0.15, assumed for models of several families)"
    )


def test_confidence_says_that_it_is_uncalibrated_and_capped() -> None:
    confidence = conclude(make_debate(votes=["AAAAAAAAA"], models=MIXED, confidences=98.0))["confidence"]
    assert confidence["of"] == "A"
    assert confidence["value"] == pytest.approx(0.95)
    assert (confidence["is_capped"], confidence["is_calibrated"]) == (True, False)
    assert confidence["words"] == (
        "95%, uncalibrated, capped at 95%: how much these models' confidence is worth has not been measured."
    )


def test_confidence_of_calibrated_models_is_not_capped() -> None:
    fit = {"stated": {"ballots": 60, "confidences": [0.5, 0.98], "shares": [0.5, 0.98]}}
    Calibration.objects.create(model="one", ballots=60, fit=fit)
    confidence = conclude(make_debate(votes=["AAAAAAAAA"], models=["one"], confidences=98.0))["confidence"]
    assert (confidence["is_capped"], confidence["is_calibrated"]) == (False, True)
    assert confidence["value"] and confidence["value"] > 0.95
    assert confidence["words"].endswith("calibrated on settled debates.")


def test_numbers_stay_apart() -> None:
    verdict = conclude(make_debate(votes=["AAAAAAABB"], models=["one"]))
    assert verdict["ac"] == pytest.approx(0.2222, abs=1e-4)
    assert verdict["chance"] == pytest.approx(0.1797, abs=1e-4)
    assert sum(verdict["support"].values()) == pytest.approx(1)
    assert verdict["explanations"] == EXPLANATIONS


def test_what_it_cost_counts_repairs_and_the_seconds_of_its_rounds() -> None:
    debate = make_debate(votes=["AAB"])
    ballot = Ballot.objects.filter(round__debate=debate).select_related("round__debate__owner", "seat__agent")[0]
    add_run(ballot)
    add_run(ballot)
    Round.objects.update(started_at="2026-01-01T00:00Z", scored_at="2026-01-01T00:00:30Z")
    assert conclude(debate)["cost"] == {
        "calls": 2,
        "prompt_tokens": 200,
        "output_tokens": 100,
        "tokens": 300,
        "seconds": 30.0,
    }


def test_the_stop_is_told_in_the_words_of_who_found_it() -> None:
    verdict = conclude(make_debate(votes=["AAB", "ABB"], max_rounds=2, stop_reason="rounds"))
    assert verdict["stop_words"] == "The rounds agreed on are over."
    assert conclude(make_debate(votes=["AAB"], stop_reason="user"))["stop_words"] == STOPS["user"]


def test_words_name_options_by_their_texts_and_long_ones_shortened() -> None:
    long = "because it rusts " * 8
    verdict = conclude(make_debate(votes=["AAAA"], options=(long, "No")))
    assert verdict["words"].startswith("4 of 4 hold “because it rusts because it rusts because it rusts because…”")
    heads = next(gate for gate in verdict["gates"] if gate["id"] == "G2")
    assert heads["words"].startswith("4 of 4 hold “because")


def test_a_judge_is_flagged_and_its_reason_told() -> None:
    debate = make_debate(votes=["AAB"], rule="judge", silent=["moderator"])
    waiting = conclude(debate)
    moderator = debate.seats.get(role="moderator")
    Ballot.objects.create(
        round=debate.rounds.get(), seat=moderator, is_judgement=True, status="cast", option="B", reason="It is unsafe."
    )
    verdict = conclude(debate)
    assert not waiting["decided"]
    assert verdict["words"] == "The judge chose “No”."
    assert verdict["judged"]
    assert verdict["judged_words"] == (
        f"One judge decided, not the panel. Moderator ({moderator.model}): It is unsafe."
    )
    assert (verdict["label"], verdict["label_words"][-1]) == ("procedural", "One judge decided, not the panel.")
    assert [position["option"] for position in verdict["dissent"]["positions"]] == ["A"]


def test_an_oxford_debate_has_no_blind_vote_and_its_judge_must_stay_with_its_choice() -> None:
    debate = make_debate(protocol="oxford", rule="judge", silent=["moderator"], seats=2, status="ended")
    debate.seats.exclude(role="moderator").update(votes=False, side="A")
    moderator = debate.seats.get(role="moderator")
    for option in "AB":
        held = make_round(debate, kind=Round.Kind.CLOSING)
        Ballot.objects.create(round=held, seat=moderator, is_judgement=True, status="cast", option=option)
    verdict = conclude(debate)
    assert (verdict["decided"], verdict["blind"]["effect"]) == (False, "none")
    assert verdict["words"].startswith("No judgement:")
    Ballot.objects.filter(is_judgement=True).update(option="A")
    assert conclude(debate)["words"] == "The judge chose “Yes”."


def test_a_ranking_decides_without_counting_heads() -> None:
    orders = {"A": ["A", "B"], "B": ["B", "A"]}
    ballots = {(0, at): {"ranking": orders[letter]} for at, letter in enumerate("AAAB")}
    verdict = conclude(make_debate(votes=["AAAB"], rule="ranked", ballots=ballots))
    assert verdict["words"] == ("No option beats “Yes” in 4 rankings. Thus decided for “Yes”.")


def test_the_verdict_is_plain_json() -> None:
    debate = make_debate(votes=["AAB-B", "AABBB", "ABBBB"], silent=["devils-advocate", "moderator"])
    make_claim(debate.rounds.get(number=0), debate.seats.get(position=2))
    verdict = dict(conclude(rescore(debate)))
    assert json.loads(json.dumps(verdict)) == verdict


def test_more_seats_and_rounds_take_no_more_queries(django_assert_num_queries: DjangoAssertNumQueries) -> None:
    few, many = make_debate(votes=["AAB"]), make_debate(votes=["AABABAB", "AABABAA", "ABBABAB", "BBBABAB"])
    for held in many.rounds.all():
        for seat in many.seats.all():
            make_claim(held, seat)
    for debate in (few, many):
        fresh = Debate.objects.get(pk=debate.pk)
        with django_assert_num_queries(7):
            conclude(fresh)


@settings(max_examples=25, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(
    rounds=st.integers(3, 6).flatmap(
        lambda seats: st.lists(st.text("ABC-", min_size=seats, max_size=seats), min_size=1, max_size=3)
    )
)
def test_whatever_is_voted_a_verdict_follows_from_the_heads(rounds: list[str]) -> None:
    verdict = conclude(make_debate(votes=rounds, options=("Yes", "No", "Later")))
    assert {count["option"]: count["now"] for count in verdict["counts"]} == {
        letter: rounds[-1].count(letter) for letter in "ABC"
    }
    assert verdict["decided"] == (verdict["option"] is not None) == (verdict["label"] is not None)
    held = {position["option"] for position in verdict["dissent"]["positions"]}
    assert held == set(rounds[-1]) - {"-", verdict["option"]}
    seats = sum(len(position["holders"]) for position in verdict["dissent"]["positions"])
    assert seats == sum(letter not in ("-", verdict["option"]) for letter in rounds[-1])
    Debate.objects.all().delete()


def test_failed_speeches_are_told() -> None:
    debate = make_debate(votes=["AAB"])
    speech = Speech.objects.filter(round__debate=debate).first()
    assert speech
    Speech.objects.filter(pk=speech.pk).update(status="failed", error="The host went away.")
    assert [(failure["name"], failure["error"]) for failure in conclude(debate)["dissent"]["failures"]] == [
        (speech.seat.name, "The host went away.")
    ]
