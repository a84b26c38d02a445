"""What went wrong in a debate is shown with the reference that its lines in the logs carry."""

from typing import Any

import pytest
from django.test import Client

from agents.models import Run
from debates import rounds, sharing
from debates.models import Ballot, Debate, Speech
from debates.verdicts import conclude
from lobby import correlation
from tests.debates.pump import Script, end, launch, waiting
from tests.debates.rows import add_run, make_debate, make_round
from tests.factories import alice

pytestmark = pytest.mark.django_db

FAILED = "0123456789abcdef"
ALIVE = "fedcba9876543210"


@pytest.fixture
def client() -> Client:
    client = Client()
    client.force_login(alice())
    return client


def fail(speech: Speech, **run: Any) -> None:
    add_run(speech, status=Run.Status.FAILED, request_id=FAILED, **run)
    speech.status, speech.text, speech.html, speech.error = Speech.Status.FAILED, "", "", "The host went away."
    speech.save()


def abstain(ballot: Ballot, reason: str) -> None:
    add_run(ballot, status=Run.Status.FAILED, request_id=FAILED)
    ballot.status, ballot.option, ballot.abstention = Ballot.Status.ABSTAINED, "", reason
    ballot.save()


def speech_of(debate: Debate) -> Speech:
    return Speech.objects.select_related("round__debate", "seat__agent").filter(round__debate=debate)[0]


def ballot_of(debate: Debate) -> Ballot:
    return Ballot.objects.select_related("round__debate", "seat__agent").filter(round__debate=debate)[0]


@pytest.mark.parametrize("path", ["/debates/{}/", "/debates/{}/lanes/", "/debates/{}/print/"])
def test_failed_speech_shows_its_reference(client: Client, path: str) -> None:
    debate = make_debate(votes=["AAB"])
    fail(speech_of(debate))

    page = client.get(path.format(debate.pk)).content.decode()

    assert f'The host went away. <span class="quiet">Reference <code>{FAILED}</code></span>' in page


def test_failed_speech_of_a_round_under_way_shows_its_reference(client: Client) -> None:
    debate = make_debate()
    make_round(debate, "...", step="ballot")
    fail(speech_of(debate))

    assert f"<code>{FAILED}</code>" in client.get(f"/debates/{debate.pk}/lanes/").content.decode()


@pytest.mark.parametrize("reason, is_shown", [("The host went away.", True), ("unparsed", True), ("chosen", False)])
def test_ballot_that_failed_shows_its_reference_and_an_abstention_that_was_chosen_none(
    client: Client, reason: str, is_shown: bool
) -> None:
    debate = make_debate(votes=["AAB"])
    abstain(ballot_of(debate), reason)

    for path in (f"/debates/{debate.pk}/", f"/debates/{debate.pk}/figures/"):
        assert (f"<code>{FAILED}</code>" in client.get(path).content.decode()) == is_shown


def test_result_keeps_the_references_of_what_failed(client: Client) -> None:
    debate = make_debate(votes=["AAB"])
    fail(speech_of(debate))
    abstain(ballot_of(debate), "unparsed")

    told = conclude(Debate.objects.get(pk=debate.pk))["dissent"]
    assert [failure["reference"] for failure in told["failures"]] == [FAILED]
    assert [abstention["reference"] for abstention in told["abstentions"]] == [FAILED]
    Run.objects.all().delete()  # as retention does; what was kept at the end stays
    Debate.objects.filter(pk=debate.pk).update(verdict=conclude(debate) | {"dissent": told})
    assert f"<code>{FAILED}</code>" in client.get(f"/debates/{debate.pk}/").content.decode()


def test_failure_without_a_run_of_its_own_shows_that_of_the_debate(client: Client) -> None:
    """Nobody would take it: there is no run. What made the debate go on then is in the logs under the same id."""
    debate = make_debate(votes=["AAB"])
    spoken, refused = Speech.objects.select_related("round__debate", "seat__agent").filter(round__debate=debate)[:2]
    add_run(spoken, request_id=ALIVE)
    Speech.objects.filter(pk=refused.pk).update(status="failed", text="", html="", error="The agent is gone.")

    page = client.get(f"/debates/{debate.pk}/").content.decode()

    assert f'The agent is gone. <span class="quiet">Reference <code>{ALIVE}</code></span>' in page


def test_verdict_from_before_there_were_references_and_shared_pages_are_shown(client: Client) -> None:
    debate = make_debate(votes=["AAB"])
    fail(speech_of(debate))
    verdict: dict[str, Any] = dict(conclude(Debate.objects.get(pk=debate.pk)))
    for failure in verdict["dissent"]["failures"]:
        del failure["reference"]
    Debate.objects.filter(pk=debate.pk).update(verdict=verdict)

    assert client.get(f"/debates/{debate.pk}/").status_code == 200
    assert Client().get(f"/shared/debates/{sharing.share(debate)}/").status_code == 200


def test_what_the_sweep_takes_up_is_done_for_who_asked_for_the_debate() -> None:
    correlation.follow(ALIVE)
    try:
        debate = launch()
        rounds.advance(debate.pk)
    finally:
        correlation.follow("")
    while (run := waiting(debate)) and run.purpose == "debate.speech":
        end(run, Script())
        rounds.sweep()

    assert set(Run.objects.values_list("purpose", "request_id")) == {
        ("debate.speech", ALIVE),
        ("debate.ballot", ALIVE),
    }
    assert correlation.request_id() == ""
