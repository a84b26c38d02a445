import json
from dataclasses import fields, replace
from typing import Any

import pytest

from debates.consensus import EXPLANATIONS, BadBallot, Evaluation, RoundVotes, Vote, evaluate
from debates.consensus.evaluation import Abstention, Blind, Origin
from tests.debates.consensus.panels import ballots, course, held, mixed, settings


def evaluated(*rounds: str, challenge: int | None = None, **others: Any) -> Evaluation:
    return evaluate(course(*rounds, challenge=challenge), settings(**{"seats": len(rounds[0]), **others}))


def test_blind_vote_is_evaluated_with_every_number_apart() -> None:
    found = evaluated("BBBBBBAAA", rule="three-quarters")
    assert found.counts == {"A": 3, "B": 6}
    assert (found.ballots, found.leader, found.leader_since) == (9, "B", 0)
    assert found.ac == pytest.approx(0)
    assert found.chance == pytest.approx(0.5078, abs=5e-5)
    assert found.support == pytest.approx({"A": 0.45, "B": 0.55})
    assert found.n_eff == pytest.approx(9 / (1 + 8 * 0.45))
    assert (found.correlation, found.is_correlation_measured) == (0.45, False)
    assert (found.decision.winner, found.threshold) == (None, "6 of 9 hold B; 7 needed.")
    assert (found.sure, found.is_calibrated, found.tv, found.ordinal, found.ranking) == (9, False, None, None, None)
    assert (found.state, found.stop_reason, found.label.name) == ("none", None, None)


def test_tie_has_no_leader_no_chance_no_origin_and_no_winner() -> None:
    found = evaluated("AABB")
    assert (found.leader, found.leader_since, found.chance, found.origin, found.decision.winner) == (None,) * 5
    assert found.threshold == "A and B have equally many; a tie is no decision. 3 of 4 needed."


def test_threshold_says_for_how_many_rounds_it_has_held() -> None:
    assert evaluated("AAAAB", "AAAAB", "AAAAB", challenge=1).threshold == "4 of 5 hold A; 4 needed, held 2 of 2 rounds."
    assert evaluated("AAAAB", "AAAAB", challenge=1).threshold == "4 of 5 hold A; 4 needed, held 1 of 2 rounds."
    assert evaluated("AAAAA", "AAAAA", challenge=1).threshold == "5 of 5 hold A; 4 needed, held 1 of 1 rounds."


def test_abstentions_are_listed_with_their_reasons() -> None:
    votes = (*ballots("AAAA"), Vote(seat="s4", option=None, abstained="unparsed"))
    found = evaluate([RoundVotes(number=0, votes=votes)], settings())
    assert found.abstentions == (Abstention("s4", "unparsed"),)
    assert (found.ballots, found.counts) == (4, {"A": 4, "B": 0})


def test_everyone_abstaining_leaves_nothing_to_say_and_ends_it() -> None:
    found = evaluated("-----")
    assert (found.ac, found.support, found.verdict_confidence, found.leader, found.n_eff) == (None,) * 4 + (0,)
    assert (found.stop_reason, found.decision.winner, found.origin) == ("quorum_lost", None, None)


def test_verdict_confidence_is_of_the_seats_that_said_how_sure_they_are() -> None:
    silent: dict[int, Any] = {at: {"confidence": None} for at in (1, 2, 3, 4)}
    found = evaluate([held(0, "AAAAB", votes=silent)], settings())
    assert found.sure == 1
    assert found.verdict_confidence == pytest.approx({"A": 0.65, "B": 0.35})


def test_verdict_confidence_counts_related_models_as_fewer_votes() -> None:
    rounds = course("AAAAA")
    alike, apart = (evaluate(given, settings()).verdict_confidence for given in (rounds, mixed(rounds)))
    assert alike is not None
    assert apart is not None
    assert alike["A"] < apart["A"]


def test_measured_correlation_is_taken_and_said() -> None:
    found = evaluated("AAAAA", correlation=0.0)
    assert (found.n_eff, found.is_correlation_measured) == (5, True)
    assert found.correlation_words == "correlation 0.00, measured on settled debates"


def test_stances_get_their_own_agreement() -> None:
    assert evaluated("AAAEEE", options="ABCDE", is_ordinal=True).ordinal == pytest.approx(-1)
    assert evaluated("------", options="ABCDE", is_ordinal=True).ordinal is None


def test_rankings_get_their_own_agreement() -> None:
    votes = ballots("AAA", ranking=("A", "B", "C"))
    found = evaluate([RoundVotes(number=0, votes=votes)], settings("ABC", seats=3, rule="ranked"))
    assert (found.ranking, found.decision.winner) == (1, "A")


def test_origin_is_of_the_winner_and_before_that_of_the_leader() -> None:
    assert evaluated("AAABB", "AAAAA").origin == Origin("A", 0.6, 1.0, 2, 2, 1.0)
    assert evaluated("AAABB").origin == Origin("A", 0.6, 0.6, 0, 0, 0.0)
    assert evaluated("AAABB", rule="judge", judged="B").origin == Origin("B", 0.4, 0.4, 0, 0, 0.0)


@pytest.mark.parametrize(
    ("rounds", "effect"),
    [
        (("AABBC", "AABBC"), "Neither the blind vote nor the debate decided."),
        (("AABBC", "AAABC"), "The blind vote decided nothing; the debate led to A."),
        (("AAABC", "AABBC"), "The blind vote chose A; after the debate there is no decision."),
        (("AAABC", "AAAAA"), "The debate changed nothing: the blind vote chose A, too."),
        (("AAABC", "BBBAC"), "The blind vote chose A; the debate turned it to B."),
    ],
)
def test_blind_vote_stays_beside_the_result(rounds: tuple[str, str], effect: str) -> None:
    assert evaluated(*rounds, options="ABC", rule="plurality").blind.effect == effect


def test_judgement_is_compared_with_what_the_panel_alone_would_have_chosen() -> None:
    found = evaluated("AAABB", rule="judge", judged="B")
    assert found.blind == Blind({"A": 3, "B": 2}, "A", "A", "The blind vote chose A; the debate turned it to B.")


def test_evaluation_survives_being_stored_as_json() -> None:
    found = evaluated("AAABB", "AAAAB", "AAAAB", challenge=2)
    stored = json.loads(json.dumps(found.as_dict()))
    assert set(stored) == {field.name for field in fields(found)} | {"stop_reason"}
    assert stored["flips"] == [
        {
            "seat": "s3",
            "round": 1,
            "source": "B",
            "target": "A",
            "change_reason": "none",
            "evidence": [],
            "is_evidenced": False,
        }
    ]
    assert stored["gates"][0] == {
        "id": "G1",
        "title": "Enough ballots",
        "is_passed": True,
        "words": "5 of 5 seats voted; 4 must.",
    }
    assert (stored["stop"], stored["stop_reason"], stored["label"]["name"]) == (None, None, "procedural")


def test_stored_evaluation_names_its_reason_to_stop() -> None:
    stored = evaluated("AAAAA", "AAAAA", challenge=1).as_dict()
    assert stored["stop_reason"] == stored["stop"]["reason"] == "consensus"


def test_every_number_is_explained_in_one_plain_sentence_and_none_is_a_score() -> None:
    assert set(EXPLANATIONS) >= {"heads", "ac", "support", "chance", "verdict_confidence", "label", "n_eff", "u", "tv"}
    for words in EXPLANATIONS.values():
        assert words.endswith(".")
        assert ". " not in words
    assert not [field.name for field in fields(Evaluation) if "score" in field.name]


@pytest.mark.parametrize(
    ("rounds", "options", "words"),
    [
        ([], "AB", "nothing to evaluate before round 0"),
        (course("AAA"), "A", "at least two options"),
        (course("AAA"), "ABA", "each of them once"),
        ([held(1, "AAA")], "AB", "from round 0 on"),
        ([held(0, "AAA"), held(2, "AAA")], "AB", "from round 0 on"),
        ([RoundVotes(number=0, votes=(*ballots("A"), *ballots("B")))], "AB", "two ballots in round 0"),
        (course("AAC"), "AB", "s2 names an option"),
        ([held(0, "AAA", votes={1: {"belief": {"C": 1.0}}})], "AB", "s1 names an option"),
        ([held(0, "AAA", votes={1: {"ranking": ("A", "C")}})], "AB", "s1 names an option"),
    ],
)
def test_contradictions_are_refused_rather_than_counted(rounds: list[RoundVotes], options: str, words: str) -> None:
    with pytest.raises(BadBallot, match=words):
        evaluate(rounds, settings(options, seats=3))


def test_fewer_voters_than_three_reach_no_quorum() -> None:
    assert evaluated("AA").stop_reason == "quorum_lost"


def test_evaluation_depends_on_nothing_but_what_is_given() -> None:
    rounds = course("AAABB", "AAAAB")
    assert evaluate(rounds, settings()) == evaluate([replace(given) for given in rounds], settings())
