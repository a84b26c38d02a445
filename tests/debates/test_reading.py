"""What all seats of a step are shown is read once, and what they are asked is written at once."""

import pytest
from django.db import connection
from django.test.utils import CaptureQueriesContext

from debates import prompts, rounds
from debates.models import Claim, Debate, Round
from debates.prompts.claims import all_claims
from tests.debates.pump import Script, end, launch, make_panel, waiting

pytestmark = pytest.mark.django_db


def queries_of_the_next_step(debate: Debate, *, after: tuple[int, str], seats: int) -> int:
    """Of the step that follows that one."""
    script = Script(votes=["ABCABC"[:seats]])
    rounds.advance(debate.pk)
    while True:
        run = waiting(debate)
        assert run is not None
        last = debate.rounds.latest("number")
        end(run, script)
        with CaptureQueriesContext(connection) as seen:
            rounds.advance(debate.pk)
        if (last.number, last.step) == after and debate.rounds.latest("number").step != last.step:
            return len(seen)


@pytest.mark.parametrize("after", [(1, "speech"), (1, "ballot")])
def test_more_seats_are_asked_with_no_more_statements(after: tuple[int, str]) -> None:
    panel = make_panel("analyst", "researcher", "quantifier", "skeptic", "pragmatist", "specialist")
    asked = {"options": ["Yes", "No", "Later"], "speech_tokens": 100}
    few, many = (
        queries_of_the_next_step(launch(panel=panel[:seats], **asked), after=after, seats=seats) for seats in (3, 6)
    )
    assert many == few


def test_within_one_reading_rows_are_read_once_and_after_it_anew() -> None:
    debate = launch()
    with prompts.one_reading():
        assert all_claims(debate) == []
        first = Round.objects.create(debate=debate, number=0, kind="blind", step="speech")
        fields = {"debate": debate, "seat": debate.seats.first(), "round": first, "kind": Claim.Kind.FACT}
        claim = Claim.objects.create(number=1, text="It is so.", **fields)
        assert all_claims(debate) == []
    assert all_claims(debate) == [claim]
