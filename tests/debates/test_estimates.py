"""What a debate will take, counted out beforehand and held against what it took."""

from datetime import timedelta
from typing import Any

import pytest
from django.utils import timezone

from agents.models import Host, Run
from debates.estimates import ASSUMED, Estimate, Speed, estimate, least_tokens, speeds_of
from debates.launching import draft
from debates.models import Debate
from tests.debates.pump import MODEL, Script, launch, make_panel, play
from tests.factories import alice, make_run

pytestmark = pytest.mark.django_db
WORDS = "word " * 240  # 300 tokens
LONG = {kind: WORDS for kind in ("answer", "challenge", "statistics", "verdict")}


def estimated(**asked: Any) -> Estimate:
    asked = {
        "question": "Is it so?",
        "options": ["Yes", "No"],
        "panel": asked.pop("panel", None) or make_panel(),
        **asked,
    }
    return estimate(*draft(owner=alice(), **asked))


def measure(*, model: str = MODEL, tokens_per_second: float, first_token: float, **fields: Any) -> Run:
    now = timezone.now()
    done: dict[str, Any] = {
        "status": Run.Status.DONE,
        "started_at": now,
        "first_token_at": now + timedelta(seconds=first_token),
    }
    done |= {"finished_at": now + timedelta(seconds=9), "tokens_per_second": tokens_per_second, "model": model}
    return make_run(**done | fields)


@pytest.mark.parametrize(
    ("asked", "votes"),
    [
        ({"protocol": "blind-vote"}, "AABBA"),
        ({"protocol": "blind-vote", "belief": "probe"}, "AABBA"),
        ({"protocol": "blind-vote", "options": [], "rule": "judge"}, "AABBA"),
        ({"protocol": "council"}, "AABBA"),
        ({"protocol": "delphi"}, "AABBA"),
        ({"protocol": "oxford"}, "AABBA"),
        ({"protocol": "stress-test"}, "AABBA"),
    ],
    ids=str,
)
def test_a_debate_that_is_held_to_its_end_takes_the_runs_that_were_estimated(asked: dict[str, Any], votes: str) -> None:
    debate = launch(background="b" * 3_000, **asked)
    told = estimate(debate, list(debate.seats.select_related("agent")))
    play(debate, Script(votes=[votes], texts=LONG))
    runs = list(Run.objects.all())
    read = sum(len(message["content"]) for run in runs for message in run.messages) / 4
    assert told.runs == len(runs)
    assert told.rounds == debate.rounds.count()
    assert read <= told.prompt_tokens <= 1.6 * read


def test_a_round_table_takes_at_most_what_was_estimated() -> None:
    debate = launch()
    told = estimate(debate, list(debate.seats.select_related("agent")))
    play(debate, Script(votes=["AAAAA"], texts=LONG))
    assert (told.rounds, debate.rounds.count()) == (4, 2)
    assert Run.objects.count() < told.runs


def test_the_least_is_what_round_0_takes() -> None:
    debate = launch(protocol="blind-vote", panel=make_panel("analyst", "skeptic", "pragmatist"))
    seats = list(debate.seats.select_related("agent"))
    told = estimate(debate, seats)
    assert least_tokens(debate, seats) == told.least_tokens == told.tokens  # there is nothing after it
    debate.max_rounds, debate.protocol = 3, "round-table"
    assert least_tokens(debate, seats) == told.least_tokens
    debate.speech_tokens = 600
    assert least_tokens(debate, seats) == told.least_tokens + 3 * 300
    debate.background = "b" * 20_000  # agents read the first 6,000 characters of it
    assert least_tokens(debate, seats) == told.least_tokens + 3 * 300 + 6 * 1_500


def test_a_budget_that_is_enough_for_round_0_is_enough_to_start() -> None:
    panel = make_panel()
    least = estimated(panel=panel).least_tokens
    assert launch(panel=panel, max_tokens=least).status == Debate.Status.RUNNING


def test_speeds_are_medians_of_each_models_last_runs() -> None:
    for speed in (10, 20, 90):
        measure(tokens_per_second=speed, first_token=speed / 100)
    measure(model="other:1b", tokens_per_second=7, first_token=2)
    measure(tokens_per_second=500, first_token=1, status=Run.Status.FAILED)
    old = timezone.now() - timedelta(days=1)
    for _ in range(20):
        measure(model="third:1b", tokens_per_second=30, first_token=1)
        measure(model="third:1b", tokens_per_second=3, first_token=9, finished_at=old)
    assert speeds_of([MODEL, "other:1b", "third:1b", "new:1b"]) == {
        MODEL: Speed(20, 0.2, runs=3),
        "other:1b": Speed(7, 2, runs=1),
        "third:1b": Speed(30, 1, runs=20),
        "new:1b": ASSUMED,
    }


def test_speeds_are_read_in_one_query(django_assert_num_queries: Any) -> None:
    measure(tokens_per_second=10, first_token=1)
    with django_assert_num_queries(1):
        speeds_of([MODEL, "other:1b"])


def test_seconds_are_those_of_the_critical_path() -> None:
    """Three seats on one slot take turns; on three they do not; on two the third waits."""
    measure(tokens_per_second=100, first_token=1)
    panel = make_panel("analyst", "skeptic", "pragmatist")
    speech, ballot = 1 + 300 / 100, 1 + 200 / 100
    for slots, turns in ((1, 3), (2, 2), (3, 1), (8, 1)):
        Host.objects.update(max_parallel=slots)
        told = estimated(protocol="blind-vote", panel=panel)
        assert told.seconds == pytest.approx(turns * (speech + ballot))
        assert told.slots == min(slots, 3)


def test_hosts_share_the_runs_of_the_models_they_have() -> None:
    measure(tokens_per_second=100, first_token=1)
    panel = make_panel("analyst", "skeptic", "pragmatist")
    alone = estimated(protocol="blind-vote", panel=panel)
    Host.objects.update(max_parallel=1)
    first = Host.objects.get()
    Host.objects.create(name="second", base_url="http://127.0.0.1:3", state="up", installed=first.installed)
    Host.objects.create(name="without", base_url="http://127.0.0.1:4", state="up", max_parallel=9)
    Host.objects.create(
        name="off", base_url="http://127.0.0.1:5", state="up", installed=first.installed, is_enabled=False
    )
    told = estimated(protocol="blind-vote", panel=panel)
    assert told.slots == 2
    assert told.seconds == pytest.approx(2 * alone.seconds)


def test_an_agent_bound_to_a_host_waits_for_that_one() -> None:
    measure(tokens_per_second=100, first_token=1)
    panel = make_panel("analyst", "skeptic", "pragmatist")
    Host.objects.update(max_parallel=1)
    first = Host.objects.get()
    Host.objects.create(name="second", base_url="http://127.0.0.1:3", state="up", installed=first.installed)
    for place in panel:
        place.agent.host = first
        place.agent.save()
    told = estimated(protocol="blind-vote", panel=panel)
    assert told.slots == 1
    assert told.seconds == pytest.approx(3 * (4 + 3))


def test_the_basis_says_what_was_measured_and_what_is_assumed() -> None:
    panel = make_panel("analyst", "skeptic", "pragmatist", models=(MODEL, "other:1b"))
    unknown = estimated(panel=panel)
    assert unknown.is_measured is False
    assert "nothing was measured yet of other:1b, smollm2:135m: 20 tokens a second" in unknown.basis
    measure(tokens_per_second=41.2, first_token=0.44)
    half = estimated(panel=panel)
    assert half.is_measured is False
    assert "Measured: smollm2:135m 41 tokens a second, the first after 0.4 s (last run)." in half.basis
    assert "measured yet of other:1b:" in half.basis
    measure(model="other:1b", tokens_per_second=10, first_token=1)
    whole = estimated(panel=panel)
    assert (whole.is_measured, "Assumed" in whole.basis) == (True, False)


def test_minutes_are_rounded_up() -> None:
    told = estimated()
    assert told.minutes == -(-told.seconds // 60)
