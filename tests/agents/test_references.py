"""Pulls and runs that fail tell under which id the logs know them: that of the request that asked for them."""

from collections.abc import Iterator

import pytest

from agents import pulls, runs, trials
from agents.models import Run
from lobby import correlation
from tests.factories import alice, make_agent, make_host, make_run

pytestmark = pytest.mark.django_db

ASKED = "0123456789abcdef"


@pytest.fixture(autouse=True)
def asked() -> Iterator[None]:
    correlation.follow(ASKED)
    yield
    correlation.follow("")


def test_pull_keeps_the_id_of_the_request_and_tells_it() -> None:
    pull = pulls.ask(make_host(), "llama3.2", by=alice())

    pull.refresh_from_db()
    assert (pull.request_id, pulls.told(pull)["request_id"]) == (ASKED, ASKED)


def test_run_that_failed_tells_it_and_one_that_is_done_need_not() -> None:
    failed = make_run(status=Run.Status.FAILED, error_kind="stalled", error="Nothing came.", request_id=ASKED)
    done = make_run(status=Run.Status.DONE, request_id=ASKED)

    assert runs.ended(failed)["request_id"] == ASKED
    assert "request_id" not in runs.ended(done)


def test_trial_tells_it_to_who_comes_late() -> None:
    make_host()
    run = trials.begin(make_agent(), "Why?", owner=alice())

    assert [told["request_id"] for told in trials.snapshot(str(run.pk))["runs"]] == [ASKED]
