"""Rates, counted in Redis."""

from typing import Any

import pytest
from django.core.exceptions import ImproperlyConfigured

from lobby import env, limits
from lobby.limits import PerHour
from tests.conftest import RedisServer


def test_a_limit_that_changes_forgets_nothing_that_was_counted() -> None:
    assert [limits.hit(PerHour(4), "runs", "1") for _ in range(3)] == [0, 0, 0]
    assert 3500 < limits.hit(PerHour(2), "runs", "1") <= 3600
    assert limits.hit(PerHour(4), "runs", "1") == 0
    assert limits.hit(PerHour(4), "runs", "1") > 0
    assert limits.hit(PerHour(4), "runs", "2") == 0


def test_asking_how_long_to_wait_counts_nothing() -> None:
    assert [limits.wait(PerHour(1), "runs", "1") for _ in range(3)] == [0, 0, 0]
    limits.hit(PerHour(1), "runs", "1")
    assert limits.wait(PerHour(1), "runs", "1") > 3500


def test_without_redis_what_rows_tell_decides(redis_server: RedisServer) -> None:
    redis_server.kill()
    told = [(ask(PerHour(2), "runs", "1", counted=n)) for ask in (limits.hit, limits.wait) for n in (0, 1, 2, 3)]
    assert told == [0, 0, 60, 60] * 2


@pytest.mark.parametrize(
    ("seconds", "words"),
    [(5, "5 s"), (60, "1 min"), (61, "2 min"), (3600, "1 h"), (3601, "1 h 1 min"), (86_000, "23 h 54 min")],
)
def test_span_in_words(seconds: int, words: str) -> None:
    assert limits.span(seconds) == words


@pytest.mark.parametrize(("text", "limit"), [("", 5), ("0", 0), ("7", 7), ("none", None), ("None", None)])
def test_a_limit_of_the_environment_is_a_number_or_none(text: str, limit: int | None, monkeypatch: Any) -> None:
    monkeypatch.setenv("LOBBY_SOMETHING", text)
    assert env.limit("LOBBY_SOMETHING", 5) == limit


@pytest.mark.parametrize("text", ["-1", "many", "1.5"])
def test_nonsense_in_the_environment_is_refused_with_the_name(text: str, monkeypatch: Any) -> None:
    monkeypatch.setenv("LOBBY_SOMETHING", text)
    with pytest.raises(ImproperlyConfigured, match="LOBBY_SOMETHING must be"):
        env.limit("LOBBY_SOMETHING", 5)
