import pytest

from debates.evaluation.items import Item
from debates.evaluation.results import (
    Cost,
    Flips,
    Honesty,
    Moved,
    Pair,
    abstentions,
    by_lot,
    cost,
    flips,
    forecasts_of_debates,
    forecasts_of_samples,
    forecasts_of_verdicts,
    hits,
    honesty,
    leader,
    pair,
    sample_share,
)
from tests.debates.evaluation.results_of import result, said


@pytest.mark.parametrize(("ballots", "ahead"), [("AAB", "A"), ("AABB", None), ("-AB", None), ("--", None), ("-B", "B")])
def test_the_leader_has_more_ballots_than_any_other(ballots: str, ahead: str | None) -> None:
    assert leader(said(ballots)) == ahead


def test_each_arm_answers_by_its_own_ballots() -> None:
    found = result("BAA", ["ABB", "ABC", "AAC"])
    assert [found.answer(arm) for arm in ("single", "blind", "vote", "debate")] == ["B", "B", "A", "A"]
    assert [found.is_right(arm) for arm in ("single", "blind", "vote", "debate")] == [False, False, True, True]


def test_a_tie_and_silence_are_not_right() -> None:
    found = [result("AB--", ["AB"]), result("--", []), result("-A", ["-"])]
    assert [hits(found, arm) for arm in ("single", "blind", "vote", "debate")] == [1, 0, 1, 0]
    assert [each.answer("single") for each in found] == ["A", None, None]


def test_pairs_count_questions_and_not_ballots() -> None:
    found = [result(rounds=["AAB", "AAA"]), result(rounds=["AAB", "ABB"]), result(rounds=["ABB", "AAB"])]
    assert pair(found, "blind", "debate") == Pair(both=1, only_first=1, only_second=1, neither=0)


def test_a_sample_is_right_as_often_on_the_mean_question() -> None:
    assert sample_share([result("AAAA"), result("AB"), result("BB--")]) == pytest.approx(0.5)


def test_by_lot_knows_how_many_options_there_are() -> None:
    two = Item(id="two", question="?", options=("A", "B"), answer="A")
    assert by_lot([result(), result(item=two)]) == pytest.approx(0.375)


def test_flips_are_counted_by_where_they_lead() -> None:
    moves = (Moved("A", "B", False), Moved("B", "A", True), Moved("B", "C", True), Moved("C", "A", False))
    found = flips([result(moves=moves), result()])
    assert found == Flips(to_right=2, from_right=1, between_wrong=1, evidenced=2)
    assert found.count == 4


def test_forecasts_leave_out_who_abstained_and_what_was_not_told() -> None:
    found = result(samples="AB-", rounds=["AAA", "AB-"], confidence=0.7)
    assert forecasts_of_samples([found], "stated") == [(0.8, True), (0.8, False)]
    assert forecasts_of_samples([found], "probed") == []
    assert forecasts_of_debates([found, result(rounds=[])], "stated") == [(0.8, True), (0.8, False)]
    assert forecasts_of_verdicts([found, result(), result(rounds=["AA"], confidence=0.9)]) == [
        (0.7, False),
        (0.9, True),
    ]


def test_honesty_of_a_confidence() -> None:
    told = honesty([(0.8, True), (0.8, False)])
    assert (told.count, told.mean, told.share) == (2, 0.8, 0.5)
    assert told.brier == pytest.approx(0.34)
    assert told.error == pytest.approx(0.3)
    assert honesty([]) == Honesty(0, None, None, None, None)


def test_costs_are_per_question_and_probes_in_all() -> None:
    found = [result(costs={"debate": Cost(10, 1000, 4, 3)}), result(costs={"debate": Cost(20, 3000, 8, 3)})]
    assert cost(found, "debate") == Cost(15, 2000, 6, 6)
    assert cost(found, "vote") == Cost()


def test_abstentions_are_counted_over_all_arms() -> None:
    assert abstentions([result("A-", ["-A", "AA"])]) == {"chosen": 2}
