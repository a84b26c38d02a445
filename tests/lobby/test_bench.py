"""The benches from end to end, seconds long: that they measure what they say and that nothing is lost; never times."""

import json
import subprocess
import sys
from typing import Any

import pytest

from lobby.bench.chaos import compare
from lobby.bench.debates import Stream, free_since
from lobby.bench.figures import Figure, as_markdown, percentile
from lobby.bench.page import Live, is_after
from lobby.embedded.programs import PROJECT
from tests.fake_ollama import expected_text

FULL = {"figure", "unit", "samples", "median", "p95", "bar", "verdict"}


def bench(*arguments: str) -> dict[str, Any]:
    command = [sys.executable, "-m", "lobby.cli", "bench", *arguments, "--json"]
    done = subprocess.run(command, cwd=PROJECT, capture_output=True, text=True, check=False, timeout=880)
    assert done.returncode == 0, done.stderr
    found: dict[str, Any] = json.loads(done.stdout)
    assert {key for figure in found["figures"] for key in figure} == FULL
    assert found["machine"]["processor"]
    return found


def medians(found: dict[str, Any]) -> dict[str, float]:
    return {figure["figure"]: figure["median"] for figure in found["figures"]}


@pytest.mark.timeout(900)
def test_chat_bench_measures_every_figure_and_loses_nothing() -> None:
    size = ["--chats", "1,3", "--tokens", "10", "--rounds", "1", "--sequence", "2", "--stops", "2"]
    found = bench("chat", *size, "--idle-sockets", "3", "--idle-seconds", "1", "--no-rows")
    assert found["counts"] == {"replies": 8, "failed": 0, "dropped": 0}
    samples = {figure["figure"]: figure["samples"] for figure in found["figures"]}
    assert samples == {
        "memory of a web process, idle": 1,
        "memory of a worker, idle": 1,
        "added time to first token, 1 chat": 2,
        "  of it from the question to the model, 1 chat": 2,
        "  of it from the model's first token to the page, 1 chat": 2,
        "added time to first token, 3 chats at once": 3,
        "whole reply, 3 chats at once": 3,
        "added time to first token, 3 chats in their own time": 3,
        "whole reply, 3 chats in their own time": 3,
        "  of it from the question to the model, 3 chats": 3,
        "  of it from the model's first token to the page, 3 chats": 3,
        "CPU of web and worker per 1,000 tokens, 3 chats": 1,
        "CPU of the pages themselves per 1,000 tokens, 3 chats": 1,
        "Redis writes per run, 3 chats": 1,
        "frames of a reply, 3 chats": 3,
        "stop to closed connection, mid-reply": 2,
        "stop to closed connection, before the first token": 2,
        "memory of an idle socket, 3 of them": 1,
        "idle sockets dropped in 1 s": 1,
        "memory of a web process, after all of it": 1,
        "memory of a worker, after all of it": 1,
        "replies that failed, or lost or repeated a character": 1,
    }
    assert medians(found)["replies that failed, or lost or repeated a character"] == 0


@pytest.mark.timeout(900)
def test_chaos_bench_kills_and_loses_nothing() -> None:
    found = bench("chaos", "--kills", "5", "--seed", "4", "--chats", "2", "--tokens", "40")
    figures = medians(found)
    actions = ("kill a worker", "kill a web process", "reload a page", "cut a socket")
    assert sum(figures.get(action, 0) for action in actions) == 5
    assert figures["replies"] > 2
    nothing = (
        "other replies not done",
        "characters lost",
        "characters repeated",
        "replies whose text is not exactly what the model said",
        "answers 5xx",
    )
    assert {name: figures[name] for name in nothing} == dict.fromkeys(nothing, 0)


@pytest.mark.timeout(900)
def test_debates_bench_measures_every_figure_and_loses_nothing() -> None:
    size = ["--single", "1", "--debates", "2", "--tokens", "30", "--ballot-tokens", "20", "--rate", "200"]
    found = bench("debates", *size, "--kills", "2", "--lane-rounds", "2")
    assert found["counts"] == {"debates": 5, "lost": 0, "odd": 0, "repeated": 0}
    samples = {figure["figure"]: figure["samples"] for figure in found["figures"]}
    assert samples == {
        "wall time over critical path, 1 debate": 1,
        "  its wall time": 1,
        "  critical path of its runs, the model alone": 1,
        "  the same from claim to end of its longest runs": 1,
        "first token of a lane after the barrier, 1 debate": 16,
        "scoring, 5 seats, 3 rounds": 40,
        "wall time over critical path, 2 debates at once": 2,
        "  their wall time": 2,
        "first token of a lane after the barrier, 2 debates at once": 32,
        "CPU of the worker per debate": 1,
        "CPU of web per debate": 1,
        "CPU of PostgreSQL per debate": 1,
        "first token of a lane after its slot is free, 9 seats on 2 slots": 19,
        "scoring, 9 seats, 2 rounds": 40,
        "kill -9 of the only worker to the next first token": 2,
        "speeches and ballots asked again after they were over": 1,
        "debates that did not end": 1,
        "debates with a run too many, too few or not done": 1,
    }
    model_alone = medians(found)["  critical path of its runs, the model alone"]
    assert model_alone == pytest.approx(3 * (29 + 19) / 200 + 29 / 200)


@pytest.mark.timeout(900)
def test_stage_bench_watches_a_page_to_the_end() -> None:
    found = medians(bench("stage", "--minutes", "0.5", "--seats", "3", "--tokens", "100"))
    assert "watched after the first minute" in found
    assert found["main thread of the stage, 3 agents at 50 tok/s"] > 0
    assert found["DOM nodes after the first minute"] > 100


@pytest.mark.timeout(900)
def test_metrics_bench_scrapes_a_history_and_counts_all_of_it() -> None:
    found = bench("metrics", "--runs", "1000", "--recent", "50", "--scrapes", "3")
    assert found["counts"] == {"runs": 1000, "counted": 1050}  # those that ended lately had ended before
    samples = {figure["figure"]: figure["samples"] for figure in found["figures"]}
    assert samples == {
        "sealing 1,000 runs at once": 1,
        "scrape, 1,000 runs": 3,
        "  of it totals": 3,
        "  of it figures": 3,
        "CPU of web and PostgreSQL per scrape": 1,
        "the first scrape": 1,
        "  its size": 1,
    }


def test_lane_could_begin_when_its_barrier_is_down_and_a_slot_is_free() -> None:
    first = [Stream("q", seat, 0, asked=0.0, first=0.1, ended=float(seat)) for seat in (1, 2)]
    third = Stream("q", 3, 0, asked=1.1, first=1.2, ended=4.0)
    after = [Stream("q", seat, 1, asked=4.0 + seat, first=9.0, ended=10.0) for seat in (1, 2)]
    free = free_since([*after, third, *first], slots=2, began=-1.0)
    assert free == {(1, 0): -1.0, (2, 0): -1.0, (3, 0): 1.0, (1, 1): 4.0, (2, 1): 4.0}
    assert free_since(first, slots=1, began=-1.0) == {(1, 0): -1.0, (2, 0): 1.0}


def test_percentile_is_the_nearest_rank() -> None:
    values = [float(number) for number in range(1, 101)]
    assert [percentile(values, share) for share in (0.5, 0.95, 1.0)] == [50, 95, 100]
    assert percentile([7.0], 0.95) == 7


@pytest.mark.parametrize(
    ("values", "verdict"), [([30.0], "ok"), ([31.0], "over"), ([1.0] * 19 + [99.0], "ok"), ([], "")]
)
def test_figure_keeps_its_bar_with_95_of_100_samples(values: list[float], verdict: str) -> None:
    assert Figure("wait", "ms", values, 30).verdict == verdict


def test_markdown_has_a_line_for_each_figure() -> None:
    assert as_markdown([Figure("wait", "ms", [10.0, 20.0], 30)]).splitlines()[2:] == [
        "| wait | ms | 2 | 10 | 20 | 20 | ≤ 30 | ok |"
    ]


def test_compare_tells_lost_words_from_repeated_ones() -> None:
    text = expected_text(4)
    assert compare(text, text) == (0, 0)
    assert compare(text[:8] + text[16:], text) == (8, 0)
    assert compare(text[:16] + text[8:], text) == (0, 8)


def test_page_drops_what_it_has_and_notices_a_gap() -> None:
    live = Live()
    assert (live.take(0, "abcd"), live.take(2, "cdef"), live.take(7, "h")) == (True, True, False)
    assert (live.text, live.have) == ("abcdef", 6)


def test_new_attempt_begins_with_an_empty_page() -> None:
    live = Live()
    live.restart(1)
    live.take(0, "first")
    live.restart(2)
    live.take(0, "second")
    assert (live.text, sorted(live.attempts)) == ("second", [1, 2])


def test_cursors_are_compared_as_numbers() -> None:
    assert [is_after("10-0", "9-9"), is_after("9-10", "9-9"), is_after("9-9", "9-9"), is_after("0-1", "")] == [
        True,
        True,
        False,
        True,
    ]
