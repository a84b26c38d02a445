from typing import Any

import pytest

from agents.logprobs import likely

NOTHING: dict[str, Any] = {"token": "", "logprob": None, "top_logprobs": []}


def test_alternatives_of_less_than_a_hundredth_and_all_bytes_are_left_out() -> None:
    alternatives = [{"token": "B", "logprob": -4.6, "bytes": [66]}, {"token": "C", "logprob": -4.7, "bytes": [67]}]
    told = [{"token": "A", "logprob": -0.1, "bytes": [65], "top_logprobs": alternatives}]
    assert likely(told) == [{"token": "A", "logprob": -0.1, "top_logprobs": [{"token": "B", "logprob": -4.6}]}]


@pytest.mark.parametrize(
    "told, kept",
    [
        ([{"token": "\0"}, "junk", None], [NOTHING]),
        ([{"top_logprobs": 5}], [NOTHING]),
        ([{"top_logprobs": [None, {"logprob": "x"}, {"token": "y"}]}], [NOTHING]),
    ],
)
def test_what_no_host_should_send_breaks_nothing(told: list[Any], kept: list[Any]) -> None:
    assert likely(told) == kept
