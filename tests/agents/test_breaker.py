from uuid import uuid4

import pytest
from hypothesis import given
from hypothesis import strategies as st

from agents.breaker import FIRST_PAUSE, LONGEST_PAUSE, PROBES, Breakers, Outcome, State, record
from lobby.live.connections import async_redis

NOW = 1000.0
outcomes = st.lists(st.sampled_from(["ok", "slow", "failed"]), max_size=60)


def failed(times: int) -> list[Outcome]:
    return ["failed"] * times


def slow(times: int) -> list[Outcome]:
    return ["slow"] * times


def after(*said: Outcome, state: State | None = None, now: float = NOW) -> State:
    state = state or State()
    for outcome in said:
        state = record(state, outcome, now=now, reason="down")
    return state


def test_four_failures_leave_it_closed_and_the_fifth_opens_it() -> None:
    assert after(*failed(4)).slots(NOW) is None
    opened = after(*failed(5))
    assert (opened.slots(NOW), opened.open_until, opened.reason) == (0, NOW + FIRST_PAUSE, "down")


def test_half_of_the_window_failing_opens_it_and_less_does_not() -> None:
    assert after("ok", "ok", "ok", "failed", "failed").slots(NOW) is None
    assert after("ok", "ok", "ok", "failed", "failed", "failed").slots(NOW) == 0


def test_slow_host_is_throttled_instead_of_shut() -> None:
    assert after(*slow(5)).slots(NOW) == PROBES


def test_half_open_lets_two_probes_in_and_two_good_ones_close_it() -> None:
    opened = after(*failed(5))
    later = opened.open_until
    assert opened.slots(later) == PROBES
    assert after("ok", state=opened, now=later).slots(later) == PROBES
    assert after("ok", "ok", state=opened, now=later) == State()


def test_failed_probe_doubles_the_pause_up_to_five_minutes() -> None:
    state, pauses = after(*failed(5)), []
    for _ in range(5):
        now = state.open_until
        state = after("failed", state=state, now=now)
        pauses.append(state.open_until - now)
    assert pauses == [60, 120, 240, LONGEST_PAUSE, LONGEST_PAUSE]


def test_what_was_under_way_when_it_opened_does_not_count() -> None:
    opened = after(*failed(5))
    assert after("ok", "failed", "slow", state=opened) == opened


@given(outcomes)
def test_it_never_opens_without_a_failure_or_slowness(said: list[Outcome]) -> None:
    state = after(*said)
    if state.open_until:
        assert {"failed", "slow"} & set(said)
    assert len(state.window) <= 20


@given(outcomes, st.floats(0, 10_000))
def test_every_pause_ends(said: list[Outcome], wait: float) -> None:
    state = after(*said)
    assert state.open_until - NOW <= LONGEST_PAUSE
    assert state.slots(NOW + LONGEST_PAUSE + wait) != 0


@pytest.mark.asyncio
async def test_states_are_shared_through_redis_and_models_have_their_own() -> None:
    host = uuid4()
    client, other = async_redis(), async_redis()
    try:
        for _ in range(5):
            await Breakers(client).record("failed", host=host, model="a:1b", reason="It is damaged.")
        gates = await Breakers(other).load()
        assert (gates.slots(host, 4), gates.shut_models(host)) == (4, {"a:1b"})
        assert (gates.why_shut(host, "a:1b") or "").startswith("It is damaged. It is tried again in ")
        assert gates.why_shut(host, "b:2b") is None
    finally:
        await client.aclose()
        await other.aclose()


@pytest.mark.asyncio
async def test_host_that_is_back_gets_its_probes_at_once() -> None:
    host = uuid4()
    client = async_redis()
    try:
        breakers = Breakers(client)
        for _ in range(5):
            await breakers.record("failed", host=host)
        assert (await breakers.load()).slots(host, 4) == 0
        await breakers.allow_probes(host)
        assert (await breakers.load()).slots(host, 4) == PROBES
    finally:
        await client.aclose()
