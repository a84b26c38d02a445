import pytest

from debates.dissent import Dissent, dissent
from debates.models import Ballot, Claim, Debate
from tests.debates.rows import make_claim, make_debate, make_round, rescore

pytestmark = pytest.mark.django_db
OPTIONS = ("Yes", "No", "Later")


def report(debate: Debate, *, winner: str | None = None) -> Dissent:
    return dissent(rescore(debate), winner=winner)


def change(debate: Debate, *, round: int, seat: int, **fields: object) -> None:
    Ballot.objects.filter(round__debate=debate, round__number=round, seat__position=seat).update(**fields)


def test_each_losing_option_says_who_holds_it_and_since_when() -> None:
    found = report(make_debate(votes=["ABACA", "ABAB-", "ABABB"], options=OPTIONS), winner="A")
    assert [position["text"] for position in found["positions"]] == ["No"]
    holders = [(holder["name"], holder["since"]) for holder in found["positions"][0]["holders"]]
    assert holders == [("Researcher", 0), ("Skeptic", 1), ("Pragmatist", 2)]
    researcher = found["positions"][0]["holders"][0]
    assert (researcher["role"], researcher["model"], researcher["alias"]) == ("Researcher", "smollm2:135m", "B")
    assert researcher["would_change_if"] == "Somebody showed Researcher the figures."
    assert researcher["reason"] == "Researcher finds B right."


def test_abstaining_in_between_does_not_begin_a_new_conviction() -> None:
    found = report(make_debate(votes=["AAB", "AA-", "AAB"]), winner="A")
    assert found["positions"][0]["holders"][0]["since"] == 0


def test_coming_back_does() -> None:
    found = report(make_debate(votes=["AAB", "AAA", "AAB"]), winner="A")
    assert found["positions"][0]["holders"][0]["since"] == 2


def test_where_nothing_was_decided_every_option_held_is_told_the_most_held_first() -> None:
    found = report(make_debate(votes=["CAABBB"], options=OPTIONS))
    assert [(position["option"], len(position["holders"])) for position in found["positions"]] == [
        ("B", 3),
        ("A", 2),
        ("C", 1),
    ]


def test_the_strongest_claim_is_the_most_cited_and_no_author_cites_for_itself() -> None:
    debate = make_debate(votes=["AABB", "AABB"])
    first, second = debate.rounds.all()
    cited = make_claim(first, debate.seats.get(position=2), status=Claim.Status.SUPPORTED, note="In the report.")
    make_claim(second, debate.seats.get(position=3))
    make_claim(second, debate.seats.get(position=0))
    change(debate, round=1, seat=0, cited=[cited.number])
    change(debate, round=1, seat=3, cited=[cited.number, 2])
    strongest = report(debate, winner="A")["positions"][0]["strongest"]
    assert strongest == {
        "number": 1,
        "text": "Claim number 1.",
        "kind": "fact",
        "status": "supported",
        "status_words": "supported",
        "note": "In the report.",
        "by": "Quantifier",
        "round": 0,
        "cited_by": 2,
    }


def test_of_claims_cited_alike_the_newest_is_the_strongest() -> None:
    debate = make_debate(votes=["AAB", "AAB"])
    for held in debate.rounds.all():
        make_claim(held, debate.seats.get(position=2))
    strongest = report(debate, winner="A")["positions"][0]["strongest"]
    assert strongest and strongest["number"] == 2


def test_an_option_without_claims_has_no_strongest() -> None:
    assert report(make_debate(votes=["AAB"]), winner="A")["positions"][0]["strongest"] is None


def test_a_refuted_claim_stands_unanswered_until_its_author_answers() -> None:
    debate = make_debate(votes=["AAB", "AAB"])
    first, second = debate.rounds.all()
    author = debate.seats.get(position=2)
    make_claim(first, author, status=Claim.Status.REFUTED, checked_in=second)
    unanswered = report(debate, winner="A")["positions"][0]["unanswered"]
    assert [critique["words"] for critique in unanswered] == ["Claim 1 of Quantifier stands refuted."]
    make_claim(second, author)
    assert report(debate, winner="A")["positions"][0]["unanswered"] == []


def test_a_claim_that_moved_a_seat_away_is_unanswered_while_no_holder_takes_it_up() -> None:
    debate = make_debate(votes=["ABB", "AAB", "AAB"])
    claim = make_claim(debate.rounds.get(number=0), debate.seats.get(position=0))
    change(debate, round=1, seat=1, cited=[claim.number], change_reason="new_evidence")
    unanswered = report(debate, winner="A")["positions"][0]["unanswered"]
    assert [critique["words"] for critique in unanswered] == [
        "Claim 1 moved Researcher away; nobody here has taken it up."
    ]
    change(debate, round=2, seat=2, cited=[claim.number])
    assert report(debate, winner="A")["positions"][0]["unanswered"] == []


@pytest.mark.parametrize(
    ("cited", "reason", "is_evidenced", "words"),
    [
        ([1], "new_evidence", True, "Researcher: “No” → “Yes”, cites claim 1."),
        ([1, 2], "new_evidence", True, "Researcher: “No” → “Yes”, cites claims 1, 2."),
        ([1], "majority_pressure", False, "Researcher: “No” → “Yes”, because of the majority."),
        ([3], "new_evidence", False, "Researcher: “No” → “Yes”, cites nothing new to it."),
        ([], "found_error_in_mine", False, "Researcher: “No” → “Yes”, cites nothing."),
    ],
)
def test_who_moved_is_told_with_the_claims_that_were_new_to_it(
    cited: list[int], reason: str, is_evidenced: bool, words: str
) -> None:
    debate = make_debate(votes=["ABB", "AAB"])
    for seat in (0, 2, 1):  # the third is the mover's own
        make_claim(debate.rounds.get(number=0), debate.seats.get(position=seat))
    change(debate, round=1, seat=1, cited=cited, change_reason=reason)
    (flip,) = report(debate)["flips"]
    assert (flip["round"], flip["source"], flip["target"], flip["cited"]) == (1, "B", "A", cited)
    assert (flip["change_reason"], flip["is_evidenced"], flip["words"]) == (reason, is_evidenced, words)


def test_rounds_go_by_the_numbers_of_the_debate_where_some_have_no_ballots() -> None:
    debate = make_debate(votes=["ABB"])
    make_round(debate, kind="opening")
    make_round(debate, "AAB")
    (flip,) = report(debate)["flips"]
    assert (flip["round"], flip["name"]) == (2, "Researcher")


def test_abstentions_are_told_with_their_reasons() -> None:
    debate = make_debate(votes=["AB-", "A--"])
    change(debate, round=1, seat=1, abstention="unparsed")
    change(debate, round=1, seat=2, abstention="Its host went away.")
    assert [(each["round"], each["name"], each["words"]) for each in report(debate)["abstentions"]] == [
        (0, "Quantifier", "chose to abstain"),
        (1, "Researcher", "no valid ballot could be read"),
        (1, "Quantifier", "Its host went away."),
    ]


def test_nothing_of_a_round_under_way_is_told() -> None:
    debate = make_debate(votes=["AAB"], status=Debate.Status.RUNNING)
    held = make_round(debate, "BB-", step="ballot")
    make_claim(held, debate.seats.get(position=0))
    found = dissent(debate, winner="B")
    assert [position["option"] for position in found["positions"]] == ["A"]
    assert (found["positions"][0]["strongest"], found["abstentions"], found["flips"]) == (None, [], [])
