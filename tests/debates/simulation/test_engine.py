"""The mathematics of debates on panels whose quality is known. Expected figures: debates.md, worked independently."""

from collections import Counter
from random import Random
from statistics import mean

import pytest

from debates.consensus import RoundVotes, SettledDebate, agreement, chance_of_lead, counts_of, measured_correlation
from debates.simulation import Panel, expect, play
from debates.simulation.course import Table, share_right
from tests.debates.simulation.tolerances import assert_share

TRIALS = 2500


def blind_votes(panel: Panel, *, trials: int = TRIALS) -> list[tuple[str, RoundVotes]]:
    """(the right option, round 0) of so many questions."""
    tables = [Table(panel, f"question {number}", Random(f"question {number}")) for number in range(trials)]
    held = [table.blind() for table in tables]
    return [(table.right, votes) for table, votes in zip(tables, held, strict=True)]


def right_heads(panel: Panel, *, trials: int = TRIALS) -> list[int]:
    return [sum(vote.option == right for vote in held.votes) for right, held in blind_votes(panel, trials=trials)]


# Condorcet, correlation, chance


@pytest.mark.parametrize(("accuracy", "expected"), [(0.6, 0.7334), (0.7, 0.9012), (0.4, 0.2666)])
def test_a_majority_of_nine_independent_agents_is_right_as_often_as_condorcet_says(
    accuracy: float, expected: float
) -> None:
    heads = right_heads(Panel.of(9, accuracy=accuracy))
    assert_share(sum(heads), 9 * TRIALS, expected=accuracy)
    assert_share(sum(count > 4 for count in heads), TRIALS, expected=expected)


def test_correlated_agents_gain_little_from_their_number() -> None:
    heads = right_heads(Panel.of(9, accuracy=0.7, correlation=0.4375))
    assert_share(sum(count > 4 for count in heads), TRIALS, expected=0.7301)
    assert measured_correlation(SettledDebate(9, count) for count in heads) == pytest.approx(0.4375, abs=0.03)


def test_agents_that_are_all_the_same_are_one_vote() -> None:
    heads = right_heads(Panel.of(5, accuracy=0.6, correlation=1))
    assert set(heads) == {0, 5}
    assert_share(heads.count(5), TRIALS, expected=0.6)


def test_agents_of_different_accuracy_find_the_same_questions_hard() -> None:
    alike = Panel.of(3, accuracy=0.7, correlation=0.5)
    better = Panel.of(3, accuracy=0.9, correlation=0.5)
    mixed = Panel(agents=(*alike.agents, *better.agents), correlation=0.5)
    votes = [[vote.option == right for vote in held.votes] for right, held in blind_votes(mixed)]
    assert_share(sum(sum(seats[:3]) for seats in votes), TRIALS * 3, expected=0.7)
    hard = [seats for seats in votes if not any(seats[:3])]
    easy = [seats for seats in votes if all(seats[:3])]
    assert mean(sum(seats[3:]) / 3 for seats in hard) < 0.8
    assert mean(sum(seats[3:]) / 3 for seats in easy) > 0.95


@pytest.mark.parametrize(
    ("seats", "options", "lead", "expected"),
    [(9, 2, 6, 0.5078), (9, 2, 7, 0.1797), (9, 2, 8, 0.0391), (7, 3, 6, None), (5, 4, 4, None)],
)
def test_agents_that_answer_by_lot_lead_as_often_as_chance_says(
    seats: int, options: int, lead: int, expected: float | None
) -> None:
    votes = blind_votes(Panel.of(seats, accuracy=1 / options, options=options))
    leads = sum(max(Counter(vote.option for vote in held.votes).values()) >= lead for _, held in votes)
    assert_share(leads, TRIALS, expected=expected or chance_of_lead(seats, options=options, lead=lead))


# The martingale


def test_matching_beliefs_makes_a_panel_agree_and_no_more_right() -> None:
    panel, rounds = Panel.of(7, accuracy=0.65, correlation=0.2, options=3), 5
    agreements: list[list[float]] = [[] for _ in range(rounds)]
    shares: list[list[float]] = [[] for _ in range(rounds)]
    for number in range(600):
        table = Table(panel, f"martingale {number}", Random(f"martingale {number}"))
        held = table.blind()
        for at in range(rounds):
            held = table.exchange(held, is_challenge=False) if at else held
            agreements[at].append(agreement(counts_of(held.valid, options=table.options)) or 0.0)
            shares[at].append(share_right(held, table.right) or 0.0)
    agreed = [mean(values) for values in agreements]
    assert agreed == sorted(agreed)
    assert agreed[-1] > agreed[0] + 0.25
    for later in shares[1:]:
        gains = [after - before for before, after in zip(shares[0], later, strict=True)]
        error = (mean(gain * gain for gain in gains) / len(gains)) ** 0.5
        assert abs(mean(gains)) <= 4 * error


def test_stopped_by_the_engines_own_rules_it_gains_nothing_either() -> None:
    found = expect(Panel.of(5, accuracy=0.6), debates=250)
    first, last = found.curve.right[0], found.curve.right[-1]
    assert abs(last - first) < 0.07
    assert found.curve.agreement[-1] > found.curve.agreement[0] + 0.3
    assert found.curve.under_way[0] == 250 > found.curve.under_way[-1]


def test_seats_that_recognise_a_right_answer_make_the_panel_better() -> None:
    blind_panel = Panel.of(5, accuracy=0.6)
    seeing = Panel.of(5, accuracy=0.6, insight=0.6)
    without, found = expect(blind_panel, debates=150), expect(seeing, debates=150)
    assert found.single.value == without.single.value
    assert found.leader.hits > without.leader.hits + 25
    assert found.changed[False, True] > 3 * found.changed[True, False]


def test_stubborn_seats_end_where_they_began() -> None:
    found = expect(Panel.of(5, stubbornness=1), debates=80)
    assert found.flips == Counter()
    assert (found.leader.hits, found.rule.hits) == (found.blind_leader.hits, found.blind_rule.hits)
    assert found.labels["hollow"] == 0


# Labels


def test_a_panel_of_conformists_that_comes_together_is_hollow_and_never_robust() -> None:
    panel = Panel.of(9, accuracy=0.5, conformity=1)
    debates = [play(panel, question=f"conform {number}") for number in range(100)]
    gains = [debate for debate in debates if debate.end.origin and _gain(debate.end.origin) >= 0.3]
    assert len(gains) > 30
    assert {debate.end.label.name for debate in gains} == {"hollow"}
    moved = [debate for debate in debates if debate.end.flips]
    assert "robust" not in {debate.end.label.name for debate in moved}


def _gain(origin: object) -> float:
    return float(origin.converged_share - origin.independent_share)  # type: ignore[attr-defined]


def test_good_independent_seats_reach_robust_results() -> None:
    found = expect(Panel.of(9, accuracy=0.95), debates=60)
    assert found.labels["robust"] > 40
    assert found.labels["hollow"] == 0


# Failures


def test_ballots_fail_as_often_as_agents_do() -> None:
    votes = blind_votes(Panel.of(5, failure_rate=0.2), trials=1000)
    failed = [vote for _, held in votes for vote in held.votes if vote.option is None]
    assert_share(len(failed), 5000, expected=0.2)
    assert {vote.abstained for vote in failed} == {"run failed"}


def test_where_all_fail_the_quorum_is_lost_in_round_0() -> None:
    debate = play(Panel.of(5, failure_rate=1), question="anything")
    assert (debate.end.stop_reason, len(debate.rounds)) == ("quorum_lost", 1)
    found = expect(Panel.of(5, failure_rate=1), debates=5)
    assert (found.leader.hits, found.single.value, found.curve.right, found.brier) == (0, None, [0.0], None)


# Confidence


def test_calibrated_agents_are_right_as_often_as_they_say_and_overconfident_ones_are_not() -> None:
    def stated(overconfidence: float) -> list[tuple[float, bool]]:
        votes = blind_votes(Panel.of(5, accuracy=0.7, correlation=0.3, overconfidence=overconfidence))
        return [((v.confidence or 0) / 100, v.option == right) for right, held in votes for v in held.votes]

    honest, boasting, modest = stated(1), stated(3), stated(0.5)
    assert mean(sure for sure, _ in honest) == pytest.approx(0.7, abs=0.01)
    between = [is_right for sure, is_right in honest if 0.75 <= sure <= 0.85]
    assert mean(between) == pytest.approx(0.8, abs=0.03)
    assert mean(sure for sure, _ in boasting) == pytest.approx(0.9, abs=0.01)
    assert mean(sure for sure, _ in modest) < 0.55
    assert [is_right for _, is_right in boasting] == [is_right for _, is_right in honest]


# Course


def test_the_same_question_gives_the_same_debate() -> None:
    panel = Panel.of(5, correlation=0.3, conformity=0.2)
    assert play(panel, question="one") == play(panel, question="one")
    assert len({play(panel, question=f"{number}").rounds for number in range(5)}) == 5


def test_a_unanimous_blind_vote_is_challenged_before_it_is_a_consensus() -> None:
    debate = play(Panel.of(5, accuracy=1), question="easy")
    assert [held.is_challenge for held in debate.rounds] == [False, True]
    assert debate.end.stop_reason == "consensus"
    assert debate.rounds[1].evidence == {"challenge"}


def test_without_a_challenger_it_goes_on_to_its_last_round() -> None:
    debate = play(Panel.of(5, stubbornness=1), question="two sides", rounds=2, is_challenged=False)
    assert not any(held.is_challenge for held in debate.rounds)
    assert len(debate.rounds) == 2


def test_who_is_persuaded_cites_a_claim_that_was_new_to_it() -> None:
    debates = [play(Panel.of(5, accuracy=0.5), question=f"cite {number}", rounds=2) for number in range(60)]
    first = [flip for debate in debates for flip in debate.end.flips if flip.round == 1]
    assert len(first) > 30
    assert all(flip.is_evidenced for flip in first)
