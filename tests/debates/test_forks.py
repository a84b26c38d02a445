from collections.abc import Iterable

import pytest

from agents.errors import AgentDisabled
from agents.models import Agent
from debates.errors import BadDebate, CannotFork
from debates.exports import as_json, as_markdown
from debates.forks import fork
from debates.launching import Place
from debates.models import Ballot, Claim, Debate, Round, Seat, Speech
from debates.rounds import advance
from debates.verdicts import conclude
from tests.debates.pump import Script, launch, play
from tests.debates.rows import (
    add_run,
    figures,
    make_claim,
    make_debate,
    make_injection,
    make_round,
    make_speech,
    rescore,
)
from tests.factories import MODEL, alice, make_agent, make_host, make_user

pytestmark = pytest.mark.django_db


@pytest.fixture(autouse=True)
def host() -> None:
    make_host(models=(MODEL, "qwen2.5:3b"))


def agents(seats: Iterable[Seat]) -> list[Agent]:
    return [seat.agent for seat in seats if seat.agent]


def places(seats: Iterable[Seat]) -> list[Place]:
    return [Place(agent) for agent in agents(seats)]


def held(debate: Debate) -> list[tuple[int, str, str]]:
    """(round, seat's name, option or "-")."""
    rows = Ballot.objects.filter(round__debate=debate).order_by("round__number", "seat__position")
    return [(ballot.round.number, ballot.seat.name, ballot.option or "-") for ballot in rows]


def test_the_same_panel_goes_on_after_the_rounds_that_were_copied() -> None:
    debate = make_debate(votes=["AABB", "AAAB", "AAAA"], confidences=[[90, 80, None, 0], [1, 2, 3, 4], [5, 5, 5, 5]])
    before = held(debate)
    copy = fork(debate, after=1, owner=make_user("bob"))
    assert held(copy) == [row for row in before if row[0] <= 1]
    assert (copy.owner.get_username(), copy.parent, copy.forked_after) == ("bob", debate, 1)
    assert (copy.status, copy.stop_reason, copy.verdict, copy.right_option) == ("running", "", None, "")
    assert [speech.text for speech in Speech.objects.filter(round__debate=copy, round__number=1)] == [
        f"{seat.name} speaks in round 1." for seat in debate.seats.all()
    ]
    assert list(Ballot.objects.filter(round__debate=copy).values_list("confidence", flat=True)) == [
        90, 80, None, 0, 1, 2, 3, 4,
    ]  # fmt: skip
    assert held(debate) == before
    assert {seat.alias for seat in copy.seats.all()} == {seat.alias for seat in debate.seats.all()}


def test_what_was_copied_costs_the_fork_nothing() -> None:
    debate = make_debate(votes=["AAB", "AAA"])
    for speech in Speech.objects.filter(round__debate=debate).select_related("round__debate__owner", "seat__agent"):
        add_run(speech)
    Round.objects.update(started_at="2026-01-01T00:00Z", scored_at="2026-01-01T01:00Z")
    assert conclude(debate)["cost"] | {"seconds": 0} == {
        "calls": 6, "prompt_tokens": 600, "output_tokens": 300, "tokens": 900, "seconds": 0,
    }  # fmt: skip
    copy = fork(debate, after=1, owner=alice())
    assert conclude(copy)["cost"] == {
        "calls": 0, "prompt_tokens": 0, "output_tokens": 0, "tokens": 0, "seconds": 0,
    }  # fmt: skip


def test_what_stopped_the_parent_does_not_stop_the_fork() -> None:
    debate = make_debate(votes=["AAA", "AAA"], max_rounds=2)
    assert figures(debate, number=1)["stop_reason"] == "rounds"
    copy = fork(debate, after=1, owner=alice())
    assert figures(copy, number=1)["stop_reason"] is None
    assert copy.max_rounds == 3
    assert conclude(copy)["stop_words"] == "It is not over."


def test_a_new_panel_keeps_the_ballots_of_those_who_stay_and_the_words_and_claims_of_those_who_leave() -> None:
    debate = make_debate(votes=["AAB", "AAB"], silent=[Agent.Role.MODERATOR])
    analyst, researcher, quantifier, moderator = debate.seats.all()
    claim = make_claim(debate.rounds.get(number=0), quantifier)
    Ballot.objects.filter(seat=analyst, round__number=1).update(cited=[claim.number])
    make_speech(debate.rounds.get(number=1), moderator, kind=Speech.Kind.STATISTICS)
    newcomer = make_agent(name="Newcomer", role=Agent.Role.SKEPTIC)
    chair = make_agent(name="Chair", role=Agent.Role.MODERATOR)
    panel = [Place(newcomer), *places([analyst, researcher]), Place(chair)]
    copy = fork(rescore(debate), after=1, panel=panel, owner=alice())
    assert held(copy) == [(0, "Analyst", "A"), (0, "Researcher", "A"), (1, "Analyst", "A"), (1, "Researcher", "A")]
    seats = [(seat.position, seat.name, seat.votes, seat.role) for seat in copy.seats.all()]
    assert seats == [
        (0, "Newcomer", True, "skeptic"),
        (1, "Analyst", True, "analyst"),
        (2, "Researcher", True, "researcher"),
        (3, "Chair", False, "moderator"),
        (4, "Quantifier", False, "quantifier"),
        (5, "Moderator", False, "assistant"),
    ]
    assert len({seat.alias for seat in copy.seats.all()}) == 6
    assert copy.claims.get().by == "Quantifier"
    assert Speech.objects.filter(round__debate=copy, seat__name="Quantifier").count() == 2
    assert figures(copy, number=1)["counts"] == {"A": 2, "B": 0}


def test_the_same_agent_on_another_model_is_another_seat() -> None:
    debate = make_debate(votes=["AAAB"])
    seats = list(debate.seats.all())
    panel = [Place(agents(seats)[0], "qwen2.5:3b"), *places(seats[1:])]
    copy = fork(debate, after=0, panel=panel, owner=alice())
    assert held(copy) == [(0, "Researcher", "A"), (0, "Quantifier", "A"), (0, "Skeptic", "B")]
    assert copy.seats.get(position=0).model == "qwen2.5:3b"


def test_seats_of_one_agent_twice_go_on_each_in_its_own_place() -> None:
    debate = make_debate(votes=["ABA"])
    first, second, _ = debate.seats.all()
    second.agent = first.agent
    second.save()
    copy = fork(debate, after=0, owner=alice())
    assert held(copy) == [(0, "Analyst", "A"), (0, "Researcher", "B"), (0, "Quantifier", "A")]


def test_a_claim_checked_later_is_not_checked_yet() -> None:
    debate = make_debate(votes=["AAB", "AAB", "AAB"])
    first, second, third = debate.rounds.all()
    seat = debate.seats.get(position=0)
    for checked_in in (second, third):
        make_claim(first, seat, status=Claim.Status.REFUTED, note="Not so.", checked_in=checked_in)
    copy = fork(debate, after=1, owner=alice())
    kept, later = copy.claims.all()
    assert (kept.status, kept.note, kept.checked_in) == ("refuted", "Not so.", copy.rounds.get(number=1))
    assert (later.status, later.note, later.checked_in) == ("unchecked", "", None)


def test_a_ranking_names_the_seats_of_the_fork() -> None:
    debate = make_debate(votes=["AAB", "AAB", "AAB"])
    seats = list(debate.seats.all())
    ranking = [str(seats[2].pk), str(seats[1].pk)]
    make_speech(debate.rounds.get(number=1), seats[0], kind=Speech.Kind.RANKING, data=ranking)
    copy = fork(debate, after=1, owner=alice())
    data = Speech.objects.get(round__debate=copy, kind=Speech.Kind.RANKING).data
    assert data == [str(copy.seats.get(position=2).pk), str(copy.seats.get(position=1).pk)]


def test_the_end_of_the_parent_is_not_copied() -> None:
    debate = make_debate(votes=["AAB"], rule="judge", silent=[Agent.Role.MODERATOR])
    moderator = debate.seats.get(role=Agent.Role.MODERATOR)
    last = debate.rounds.get()
    Ballot.objects.create(round=last, seat=moderator, is_judgement=True, status="cast", option="B")
    make_speech(last, moderator, kind=Speech.Kind.VERDICT)
    copy = fork(debate, after=0, owner=alice())
    assert not Ballot.objects.filter(round__debate=copy, is_judgement=True).exists()
    assert not Speech.objects.filter(round__debate=copy, kind=Speech.Kind.VERDICT).exists()
    assert (conclude(debate)["option"], conclude(copy)["option"]) == ("B", None)


def test_what_was_put_before_all_by_then_is_known_to_the_fork() -> None:
    debate = make_debate(votes=["AAB"])
    make_injection(debate, text="It rusts.")
    Round.objects.create(debate=debate, number=1, kind="exchange", step="speech")
    make_injection(debate, text="It was painted.")
    copy = fork(debate, after=0, owner=alice())
    assert [injection.text for injection in copy.injections.all()] == ["It rusts."]


def test_a_round_under_way_cannot_be_forked_after() -> None:
    debate = make_debate(votes=["AAB", "AAB"], status=Debate.Status.RUNNING)
    make_round(debate, "AA.", step="ballot")
    with pytest.raises(CannotFork, match=r"^Round 2 is not over\. Fork after one of: 0, 1\.$"):
        fork(debate, after=2, owner=alice())


def test_a_debate_without_a_whole_round_cannot_be_forked() -> None:
    with pytest.raises(CannotFork, match="No round of this debate is over yet"):
        fork(make_debate(), after=0, owner=alice())


def test_nothing_comes_after_a_blind_vote() -> None:
    debate = make_debate(votes=["AAB"], protocol="blind-vote")
    with pytest.raises(CannotFork, match="Nothing comes after round 0 of Blind vote"):
        fork(debate, after=0, owner=alice())


def test_a_panel_of_two_voters_is_too_small() -> None:
    debate = make_debate(votes=["AAB"])
    panel = places(debate.seats.all())[:2]
    with pytest.raises(BadDebate, match="2 of the seats have a vote, and 3 is the least"):
        fork(debate, after=0, panel=panel, owner=alice())
    assert Debate.objects.count() == 1


def test_a_panel_of_strangers_is_a_new_debate() -> None:
    with pytest.raises(CannotFork, match="nothing would go on"):
        fork(
            make_debate(votes=["AAB"]), after=0, panel=[Place(make_agent(role="analyst")) for _ in "123"], owner=alice()
        )


def test_a_fork_goes_on_with_the_next_round() -> None:
    copy = fork(make_debate(votes=["AABB", "AAAB"]), after=0, owner=alice())
    advance(copy.pk)
    assert [(held.number, held.kind, held.step) for held in copy.rounds.all()] == [
        (0, "blind", "scored"),
        (1, "exchange", "speech"),
    ]
    assert [speech.status for speech in Speech.objects.filter(round__debate=copy, round__number=1)] == ["waiting"] * 4


def test_a_newcomer_speaks_and_a_seat_that_left_does_not() -> None:
    debate = make_debate(votes=["AABB"])
    newcomer = make_agent(name="Newcomer", role=Agent.Role.SKEPTIC)
    copy = fork(debate, after=0, panel=[*places(debate.seats.all())[:3], Place(newcomer)], owner=alice())
    advance(copy.pk)
    speaking = Speech.objects.filter(round__debate=copy, round__number=1).order_by("seat__position")
    assert [speech.seat.name for speech in speaking] == ["Analyst", "Researcher", "Quantifier", "Newcomer"]


def test_a_newcomer_of_the_same_name_gets_another() -> None:
    debate = make_debate(votes=["AABB"])
    twin = make_agent(name="Skeptic", role=Agent.Role.SKEPTIC)
    copy = fork(debate, after=0, panel=[*places(debate.seats.all())[:3], Place(twin)], owner=alice())
    assert [seat.name for seat in copy.seats.all()] == ["Analyst", "Researcher", "Quantifier", "Skeptic 2", "Skeptic"]


def test_a_stress_test_goes_on_with_its_challenge_and_with_nothing_after_it() -> None:
    silent = [Agent.Role.DEVILS_ADVOCATE]
    kinds = ["blind", "challenge"]
    debate = make_debate(votes=["AAB", "AAB"], kinds=kinds, protocol="stress-test", max_rounds=1, silent=silent)
    copy = fork(debate, after=0, owner=alice())
    advance(copy.pk)
    assert [held.kind for held in copy.rounds.all()] == ["blind", "challenge"]
    with pytest.raises(CannotFork, match="Nothing comes after round 1 of Stress test"):
        fork(debate, after=1, owner=alice())


def test_a_council_goes_on_with_the_ranking_and_with_nothing_after_it() -> None:
    silent = [Agent.Role.MODERATOR]
    debate = make_debate(votes=["AAB", "AAB"], kinds=["blind", "ranking"], protocol="council", silent=silent)
    copy = fork(debate, after=0, owner=alice())
    advance(copy.pk)
    assert [held.kind for held in copy.rounds.all()] == ["blind", "ranking"]
    with pytest.raises(CannotFork, match="Nothing comes after round 1 of Council"):
        fork(debate, after=1, owner=alice())


def oxford() -> Debate:
    debate = make_debate(protocol="oxford", rule="judge", max_rounds=8, seats=2, silent=[Agent.Role.MODERATOR])
    for seat, side in zip(debate.seats.all(), "AB", strict=False):
        seat.side, seat.votes = side, False
        seat.save()
    for kind in ("opening", "rebuttal", "rebuttal", "closing"):
        held = make_round(debate, kind=kind)
        for seat in debate.seats.exclude(side=""):
            make_speech(held, seat)
    judge = debate.seats.get(role=Agent.Role.MODERATOR)
    Ballot.objects.create(round=held, seat=judge, is_judgement=True, status="cast", option="B")
    return debate


def test_an_oxford_debate_keeps_its_sides_and_the_judgement_of_its_first_leg() -> None:
    copy = fork(oxford(), after=3, owner=alice())
    assert [seat.side for seat in copy.seats.all()] == ["A", "B", ""]
    assert held(copy) == [(3, "Moderator", "B")]
    advance(copy.pk)
    assert copy.rounds.get(number=4).kind == "opening"


def test_debaters_of_an_oxford_debate_cannot_be_changed() -> None:
    debate = oxford()
    analyst, _, moderator = agents(debate.seats.all())
    panel = [Place(analyst), Place(make_agent(role="skeptic")), Place(moderator)]
    with pytest.raises(CannotFork, match="goes on with the debaters it began with"):
        fork(debate, after=0, panel=panel, owner=alice())


def test_a_seat_whose_agent_is_gone_cannot_go_on() -> None:
    debate = make_debate(votes=["AAB"])
    agents(debate.seats.all())[1].delete()
    with pytest.raises(AgentDisabled, match="The agent of Researcher is gone"):
        fork(debate, after=0, owner=alice())


def test_a_played_debate_is_forked_with_a_newcomer_and_played_to_another_end() -> None:
    debate = play(launch(), Script(votes=["AAABB", "AAAAB", "AAAAA"]))
    old = list(debate.seats.order_by("position"))
    newcomer = make_agent("newcomer", name="Newcomer", role=Agent.Role.SPECIALIST)
    panel = [*places(old[:4]), Place(newcomer), *places(old[5:])]
    copy = play(fork(debate, after=1, panel=panel, owner=alice()), Script(votes=["", "", "BBBBB"]))
    assert (debate.verdict or {})["option"] == "A"
    assert (copy.status, (copy.verdict or {})["option"]) == ("ended", "B")
    assert held(copy)[:8] == [row for row in held(debate)[:10] if row[1] != "Pragmatist"]
    assert [name for number, name, _ in held(copy) if number == 2] == [
        "Analyst", "Researcher", "Quantifier", "Skeptic", "Newcomer",
    ]  # fmt: skip
    verdict = conclude(copy)
    assert [count["blind"] for count in verdict["counts"]] == [3, 1]
    assert all(flip["round"] == 2 for flip in verdict["dissent"]["flips"] if flip["target"] == "B")
    numbers = list(copy.claims.values_list("number", flat=True))
    assert numbers == list(range(1, len(numbers) + 1))
    assert as_json(copy)["forked_after"] == 1
    assert "A fork: up to round 1 it is another debate's." in as_markdown(copy).splitlines()
