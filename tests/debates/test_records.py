from collections.abc import Iterator
from dataclasses import replace
from itertools import cycle, islice

import pytest
from django.db import connection
from django.test import RequestFactory
from django.test.utils import CaptureQueriesContext
from django.utils import timezone

from debates.consensus import measured_correlation
from debates.consensus.chance import SettledDebate
from debates.errors import BadDebate, NotNow
from debates.forks import fork
from debates.models import Ballot, Calibration, Debate, Round, Seat
from debates.records import (
    NO_RECORD,
    TrackRecord,
    calibrate,
    calibrations,
    panel_correlation,
    records_by_agent,
    records_by_model,
    settle,
)
from debates.verdicts import conclude
from monitoring.models import AuditEvent
from tests.debates.rows import make_debate, make_round, score
from tests.factories import MODEL, alice, make_agent, make_host, make_user

pytestmark = pytest.mark.django_db


def settled(*votes: str, right: str = "A", **fields: object) -> Debate:
    """Settled without its models being calibrated."""
    return make_debate(votes=votes, right_option=right, settled_at=timezone.now(), **fields)  # type: ignore[arg-type]


def many_settled(debates: int, *, models: tuple[str, ...], votes: str) -> None:
    """As many debates with one blind ballot per letter, written in bulk; A is right."""
    owner, agent, now = alice(), make_agent(), timezone.now()
    fields = {"protocol": "blind-vote", "rule": "plurality", "status": "ended", "right_option": "A", "settled_at": now}
    options = [{"id": "A", "text": "Yes"}, {"id": "B", "text": "No"}]
    held = Debate.objects.bulk_create(
        Debate(owner=owner, question="Is it?", options=options, **fields) for _ in range(debates)
    )
    rounds = Round.objects.bulk_create(Round(debate=each, number=0, kind="blind", step="scored") for each in held)
    seats = Seat.objects.bulk_create(
        Seat(
            debate=each, agent=agent, position=at, name=f"Seat {at}", alias="A", role="analyst", model=model, votes=True
        )
        for each in held
        for at, model in enumerate(islice(cycle(models), len(votes)))
    )
    places: Iterator[tuple[Round, str]] = ((round, letter) for round in rounds for letter in votes)
    Ballot.objects.bulk_create(
        Ballot(round=round, seat=seat, status="cast", option=letter, confidence=80 if letter == "A" else 60)
        for seat, (round, letter) in zip(seats, places, strict=True)
    )


def test_settling_notes_what_was_right_and_what_the_debate_was_worth() -> None:
    debate = make_debate(votes=["AAAB", "BBBB"])
    debate.verdict = dict(conclude(debate))
    debate.save()
    settle(debate, option="B")
    fresh = Debate.objects.get(pk=debate.pk)
    assert (fresh.right_option, debate.right_option) == ("B", "B")
    assert fresh.settled_at == debate.settled_at is not None
    assert fresh.verdict is not None
    assert fresh.verdict["settled"] == conclude(fresh)["settled"]
    assert fresh.verdict["settled"]["effect"] == "helped"


def test_settling_can_be_taken_back() -> None:
    debate = make_debate(votes=["AAAB"])
    debate.verdict = dict(conclude(debate))
    debate.save()
    settle(debate, option="B")
    settle(debate, option=None)
    fresh = Debate.objects.get(pk=debate.pk)
    assert (fresh.right_option, fresh.settled_at, fresh.verdict and fresh.verdict["settled"]) == ("", None, None)
    assert not Calibration.objects.exists()


@pytest.mark.parametrize("status", [Debate.Status.RUNNING, Debate.Status.PAUSED])
def test_only_a_debate_that_has_ended_is_settled(status: str) -> None:
    debate = make_debate(votes=["AAB"], status=status)
    with pytest.raises(NotNow, match="Only a debate that has ended"):
        settle(debate, option="A")
    assert Debate.objects.get().right_option == ""


def test_an_option_that_was_none_cannot_have_been_right() -> None:
    with pytest.raises(BadDebate, match=r"no such option\. Choose one of: A, B\."):
        settle(make_debate(votes=["AAB"]), option="C")


def test_who_settled_stands_in_the_audit_trail() -> None:
    debate = make_debate(votes=["AAB"])
    request = RequestFactory(REMOTE_ADDR="192.0.2.7").post("/")
    request.user = make_user("bob")
    settle(debate, option="A")
    settle(debate, option=None, request=request)
    events = AuditEvent.objects.order_by("pk").values_list("action", "actor_name", "detail")
    assert list(events) == [
        ("debate.settled", "alice", {"option": "A"}),
        ("debate.settled", "bob", {"option": ""}),
    ]


def test_a_model_is_calibrated_by_the_last_ballot_of_each_seat() -> None:
    debate = make_debate(votes=["BBA", "AB-"], confidences=[[10, 20, 30], [90, 60, None]])
    settle(debate, option="A")
    row = Calibration.objects.get()
    assert (row.model, row.ballots) == (MODEL, 3)
    assert row.fit == {"stated": {"ballots": 3, "confidences": [0.3, 0.6, 0.9], "shares": [0.5, 0.5, 1.0]}}


def test_ballots_without_a_confidence_tell_nothing_about_it_and_zero_is_one() -> None:
    settle(make_debate(votes=["AAB"], confidences=[[None, 0, 50]]), option="A")
    fits = calibrations([MODEL])
    assert fits[MODEL].ballots == 2
    assert Calibration.objects.get().ballots == 3


def test_measured_and_probed_beliefs_are_calibrated_apart() -> None:
    belief = {"A": 0.3, "B": 0.7}
    debate = make_debate(votes=["AAB"], ballots={(0, 0): {"measured": belief}, (0, 2): {"measured": belief}})
    settle(debate, option="A")
    assert calibrations([MODEL], belief="measured")[MODEL].as_dict() == {
        "ballots": 2, "confidences": (0.3, 0.7), "shares": (0.5, 0.5),
    }  # fmt: skip
    assert calibrations([MODEL], belief="probe") == {}


def test_calibration_is_used_from_fifty_settled_ballots_on() -> None:
    many_settled(16, models=(MODEL,), votes="AAB")
    settle(make_debate(votes=["A"], seats=1), option="A")
    assert (calibrations([MODEL])[MODEL].ballots, calibrations([MODEL])[MODEL].is_enough) == (49, False)
    settle(make_debate(votes=["A"]), option="A")
    assert calibrations([MODEL, "another"])[MODEL].is_enough
    assert conclude(make_debate(votes=["AAB"]))["confidence"]["is_calibrated"]


def test_models_are_calibrated_each_by_its_own_ballots() -> None:
    settle(make_debate(votes=["AAB"], models=["one", "two", "two"]), option="A")
    assert {row.model: row.ballots for row in Calibration.objects.all()} == {"one": 1, "two": 2}


def test_what_nobody_has_seen_does_not_count() -> None:
    debate = make_debate(votes=["AAA"])
    make_round(debate, "BBB", step="ballot")
    moderator = Seat.objects.create(
        debate=debate, agent=make_agent(), position=9, name="Moderator", role="moderator", model="judge", votes=True
    )
    Ballot.objects.create(
        round=debate.rounds.get(number=0), seat=moderator, status="cast", option="A", is_judgement=True
    )
    settle(debate, option="A")
    assert {row.model: row.ballots for row in Calibration.objects.all()} == {MODEL: 3}
    record = records_by_model()[MODEL]
    assert (record.ballots, record.hits, record.blind_ballots) == (3, 3, 3)


def test_a_copied_ballot_counts_where_it_was_cast() -> None:
    make_host()
    debate = make_debate(votes=["BBA"], confidences=60.0)
    copy = fork(debate, after=0, owner=alice())
    score(make_round(copy, "AA-", confidences=[90, 90, None]))
    Debate.objects.filter(pk=copy.pk).update(status="ended", ended_at=timezone.now())
    for each in (debate, Debate.objects.get(pk=copy.pk)):
        settle(each, option="A")
    assert Calibration.objects.get().ballots == 5
    record = records_by_model()[MODEL]
    assert (record.ballots, record.hits, record.blind_ballots, record.flips_to_right) == (5, 3, 3, 2)


def test_a_track_record_counts_hits_and_flips_and_judges_confidence() -> None:
    settled("ABAB", "BAAB", "AAA-", confidences=[[50] * 4, [50] * 4, [100, 80, None, None]])
    (record,) = records_by_model().values()
    assert replace(record, brier=None) == TrackRecord(
        ballots=4, hits=3, blind_ballots=4, blind_hits=2, sure=3, flips_to_right=2, flips_from_right=1
    )
    assert record.brier == pytest.approx((0 + 0.04 + 0.25) / 3)
    assert record.hit_rate == 0.75
    assert record.interval == pytest.approx((0.3006, 0.9544), abs=1e-4)


def test_flips_between_wrong_answers_are_neither_to_nor_from_the_right_one() -> None:
    settled("BBB", "CCC", options=("Yes", "No", "Later"))
    record = records_by_model()[MODEL]
    assert (record.flips_to_right, record.flips_from_right, record.hits) == (0, 0, 0)


def test_records_are_kept_by_agent_too() -> None:
    debate = settled("AAB")
    first, second, third = (seat.agent_id for seat in debate.seats.all())
    found = records_by_agent()
    assert {agent: record.hits for agent, record in found.items()} == {first: 1, second: 1, third: 0}
    assert first and third
    assert set(records_by_agent([first, make_agent().pk])) == {first}


def test_nothing_settled_is_no_record() -> None:
    make_debate(votes=["AAB"])
    assert records_by_model() == records_by_agent() == {}
    assert (NO_RECORD.hit_rate, NO_RECORD.interval) == (None, (0.0, 1.0))


def test_correlation_is_measured_from_thirty_debates_of_panels_of_the_same_models() -> None:
    many_settled(15, models=("one", "two"), votes="AAAA")
    many_settled(14, models=("one", "two"), votes="BBBA")
    many_settled(30, models=("one",), votes="AB")
    assert panel_correlation(["two", "one", "one"]) is None
    many_settled(1, models=("one", "two"), votes="AABB")
    expected = measured_correlation([SettledDebate(4, 4)] * 15 + [SettledDebate(4, 1)] * 14 + [SettledDebate(4, 2)])
    assert panel_correlation(["two", "one", "one"]) == pytest.approx(expected)
    assert panel_correlation(["one"]) == 0
    assert panel_correlation(["two"]) is None


def test_a_thousand_settled_ballots_are_read_in_one_query_each() -> None:
    many_settled(100, models=("one", "two", "three"), votes="AABABABABB")
    reads = (
        lambda: records_by_model(),
        lambda: records_by_agent(),
        lambda: panel_correlation(["one", "two", "three"]),
        lambda: calibrations(["one", "two", "three"]),
    )
    for read in reads:
        with CaptureQueriesContext(connection) as asked:
            read()
        assert len(asked) <= 3, [query["sql"] for query in asked]  # a cursor is declared, read and closed
    assert sum(record.ballots for record in records_by_model().values()) == 1_000
    calibrate(["one", "two", "three"])
    assert {row.model: row.ballots for row in Calibration.objects.all()} == {"one": 400, "two": 300, "three": 300}
