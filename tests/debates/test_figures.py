"""What the panels draw of rows: each figure on a course whose answer is plain."""

from typing import Any

import pytest

from debates import figures
from debates.figures import Course
from debates.models import Ballot, Debate
from debates.shown import course_of, drawn
from tests.debates.rows import make_ballot, make_claim, make_debate, make_round, rescore

pytestmark = pytest.mark.django_db


def votes_of(debate: Debate, **until: int) -> tuple[Course, list[Any]]:
    course = course_of(debate, **until)
    return course, figures.votes_by_round(course)


def held(votes: list[Any]) -> list[str]:
    """A word per round, a letter per seat, as the rows were written."""
    return ["".join(vote.option.id if vote.option else "-" for vote in round.values()) for round in votes]


def test_votes_stand_as_they_were_cast() -> None:
    _, votes = votes_of(make_debate(votes=["AAB", "A-B", "AAA"]))
    assert held(votes) == ["AAB", "A-B", "AAA"]


def test_a_move_is_counted_from_the_last_option_that_was_held_over_abstentions() -> None:
    _, votes = votes_of(make_debate(votes=["AAB", "AA-", "AAA"]))
    moved = [vote.moved_from.id for round in votes for vote in round.values() if vote.moved_from]
    assert moved == ["B"]


def test_tally_has_the_blind_vote_and_the_last_side_by_side() -> None:
    course, votes = votes_of(make_debate(options=["x", "y", "z"], votes=["AABCB", "AAAAB"], right_option="B"))
    shown = [(tally.option.id, tally.blind, tally.now, tally.is_right) for tally in figures.tallies(course, votes)]
    assert shown == [("A", 2, 4, False), ("B", 2, 1, True), ("C", 1, 0, False)]
    assert figures.tallies(course, votes)[0].now_share == 80.0
    assert figures.needed_share(course) == 80.0


def test_matrix_is_symmetric_and_counts_rounds_in_which_both_voted() -> None:
    course, votes = votes_of(make_debate(votes=["AAB", "A-B", "AAA"]))
    words = [[pair.words if pair else "self" for pair in pairs] for _, pairs in figures.matrix(course, votes)]
    assert words == [["self", "2 of 2", "1 of 3"], ["2 of 2", "self", "1 of 2"], ["1 of 3", "1 of 2", "self"]]


def test_two_seats_that_both_abstained_do_not_agree() -> None:
    course, votes = votes_of(make_debate(votes=["--A"]))
    first = figures.matrix(course, votes)[0][1][1]
    assert first is not None
    assert (first.words, first.now) == ("–", None)


def test_moves_name_the_claims_they_cite_and_those_that_cite_nothing_are_marked() -> None:
    debate = make_debate(
        votes=["AABB", "AAAA"],
        ballots={
            (1, 2): {"cited": [1], "change_reason": "new_evidence"},
            (1, 3): {"change_reason": "majority_pressure"},
        },
    )
    make_claim(debate.rounds.get(number=0), debate.seats.all()[0])
    rescore(debate)
    shown = [(m.seat, m.source, m.target, m.claims, m.why, m.is_evidenced) for m in figures.moves(course_of(debate))]
    a, b = course_of(debate).options
    assert shown == [
        ("Quantifier", b, a, ["1"], "new evidence", True),
        ("Skeptic", b, a, [], "because of the majority", False),
    ]


def test_claims_know_who_cites_them_each_once() -> None:
    debate = make_debate(votes=["AAB", "AAB", "AAB"], ballots={(1, 1): {"cited": [1]}, (2, 1): {"cited": [1]}})
    make_claim(debate.rounds.get(number=0), debate.seats.all()[0])
    course, votes = votes_of(debate)
    quoted = figures.board(course, votes)[0]
    assert ([seat.name for seat in quoted.citing], quoted.option) == (["Researcher"], course.options[0])


def test_ballots_of_the_round_under_way_are_not_drawn() -> None:
    debate = make_debate(votes=["AAB"], status=Debate.Status.RUNNING)
    under_way = make_round(debate, step="ballot")
    for seat in debate.seats.all():
        make_ballot(under_way, seat, "B", cited=[1], reason="Zanzibar")
    shown = drawn(course_of(debate))
    assert [len(votes) for _, votes in shown["trajectory"]] == [1, 1, 1]
    assert "Zanzibar" not in str([vote.ballot.reason for vote in shown["now"]])


def test_an_earlier_moment_knows_nothing_of_what_came_later() -> None:
    debate = make_debate(votes=["AAB", "AAA"])
    make_claim(debate.rounds.get(number=1), debate.seats.all()[0])
    course, votes = votes_of(debate, until=0)
    assert (held(votes), course.claims, figures.moves(course), course.metrics["round"]) == (["AAB"], [], [], 0)


def test_before_the_first_vote_there_are_no_figures() -> None:
    shown = drawn(course_of(make_debate(seats=3)))
    assert (shown["now"], shown["moves"], shown["numbers"], shown["needed_share"]) == ([], [], [], None)


@pytest.mark.parametrize(
    ("stated", "measured", "apart"),
    [
        (90.0, {"A": 0.41, "B": 0.59}, True),
        (50.0, {"A": 0.41, "B": 0.59}, False),
        (90.0, None, False),
        (None, {"A": 0.1}, False),
    ],
)
def test_stated_and_measured_confidence_stay_apart_and_far_apart_ones_are_marked(
    stated: float | None, measured: dict[str, float] | None, apart: bool
) -> None:
    debate = make_debate(votes=["AAA"], ballots={(0, 0): {"confidence": stated, "measured": measured}})
    _, votes = votes_of(debate)
    vote = next(iter(votes[0].values()))
    assert vote.confidence == (None if stated is None else round(stated))
    assert vote.measured == (None if measured is None else round(measured["A"] * 100))
    assert vote.is_far_apart is apart


def test_no_confidence_is_not_the_same_as_none_at_all() -> None:
    debate = make_debate(votes=["AAA"], ballots={(0, 0): {"confidence": 0.0}, (0, 1): {"confidence": None}})
    _, votes = votes_of(debate)
    zero, none, eighty = votes[0].values()
    assert (zero.confidence, none.confidence) == (0, None)
    assert zero.opacity < none.opacity < eighty.opacity


def test_an_abstention_says_why() -> None:
    debate = make_debate(votes=["AA-"], ballots={(0, 2): {"abstention": "unparsed"}})
    _, votes = votes_of(debate)
    assert list(votes[0].values())[2].abstention == "its ballot could not be read"
    assert Ballot.objects.filter(status="abstained").count() == 1


def test_numbers_stand_apart_each_with_its_words() -> None:
    shown = drawn(course_of(make_debate(votes=["AAB", "AAA"])))["numbers"]
    assert [number["name"] for number in shown] == [
        "Agreement beyond chance",
        "The lead by chance",
        "Independent votes",
        "Support",
        "Verdict confidence",
        "Moved without evidence",
        "Movement",
    ]
    assert all(number["value"] and number["words"] for number in shown)
    assert shown[5]["value"] == "1 of 1"
