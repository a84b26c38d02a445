import json
from math import exp
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from debates.consensus import (
    alternatives,
    belief_of_ballot,
    cyclic_orders,
    measured_belief,
    option_position,
    probed_belief,
)
from tests.fake_ollama import load_recording

FIRST_ORDER = {"A": -0.3214773, "B": -1.7833265}


def top(**logprobs: float) -> list[dict[str, Any]]:
    return [{"token": token, "logprob": logprob} for token, logprob in logprobs.items()]


def said(*tokens: str) -> list[dict[str, Any]]:
    return [{"token": token, "logprob": -0.1, "top_logprobs": [{"token": token, "logprob": -0.1}]} for token in tokens]


def recorded(name: str) -> list[Any]:
    lines = [json.loads(line) for _, line in load_recording(name)["response"]["chunks"]]
    return [entry for line in lines for entry in line.get("logprobs", [])]


def test_measured_belief_as_worked_out() -> None:
    found = measured_belief(top(**FIRST_ORDER), "AB")
    assert found == pytest.approx({"A": 0.8118, "B": 0.1882}, abs=5e-5)
    assert sum(exp(logprob) for logprob in FIRST_ORDER.values()) == pytest.approx(0.8932, abs=5e-5)


def test_probe_over_both_orders_as_worked_out() -> None:
    swapped = measured_belief(top(A=-0.5, B=-1.2), "AB")
    assert swapped is not None
    assert swapped["B"] == pytest.approx(0.3318, abs=5e-5)
    first = measured_belief(top(**FIRST_ORDER), "AB")
    found = probed_belief([first, {"A": swapped["B"], "B": swapped["A"]}])
    assert found is not None
    assert found["A"] == pytest.approx(0.5941, abs=5e-5)


def test_liking_for_a_letter_alone_is_probed_away() -> None:
    liking = {"A": 0.9, "B": 0.1}
    assert probed_belief([liking, {"A": liking["B"], "B": liking["A"]}]) == pytest.approx({"A": 0.5, "B": 0.5})


def test_letter_counts_with_and_without_a_space_or_a_quote() -> None:
    spelled = [{"token": token, "logprob": -2.0} for token in ("A", " A", '"A', ' "A', "B")]
    assert measured_belief(spelled, "AB") == pytest.approx({"A": 0.8, "B": 0.2})


def test_words_that_begin_with_the_letter_do_not_count() -> None:
    assert measured_belief(top(A=-0.6, B=-2.0, And=-1.0, a=-3.0), "AB") == measured_belief(top(A=-0.6, B=-2.0), "AB")


def test_abstaining_is_left_out_of_the_belief_and_of_its_mass() -> None:
    assert measured_belief(top(A=-1.0, B=-1.9, C=-0.8), "AB") == pytest.approx({"A": 0.7109, "B": 0.2891}, abs=5e-5)
    assert measured_belief(top(A=-2.0, B=-2.0, C=-0.3), "AB") is None


def test_option_that_is_not_among_the_alternatives_has_none() -> None:
    assert measured_belief(top(A=-0.2), "AB") == {"A": 1.0, "B": 0.0}


def test_less_than_half_of_the_mass_says_nothing() -> None:
    assert measured_belief(top(A=-0.7), "A") is None
    assert measured_belief(top(A=-0.69), "A") == {"A": 1.0}
    assert measured_belief([], "AB") is None


@pytest.mark.parametrize(
    ("tokens", "at"),
    [
        (('{"', "option", '":', ' "', "B", '",'), 4),
        (('{"', "option", '":"', "B", '"'), 3),
        (("{", "\n ", ' "', "option", '":', ' "B', '",'), 5),
        (('{"option":"B"',), 0),
        (("{", '"option"', " :", "\n", ' "', " ", "B"), 6),
        (('{"option": "A", "reason": "', '\\"option\\": \\"B\\"', '"}'), 0),
        (('So {"option": "', "C", '"}?', '{"option": "', "B", '"}'), 4),
    ],
)
def test_token_of_the_option_is_found(tokens: tuple[str, ...], at: int) -> None:
    assert option_position(said(*tokens)) == at


@pytest.mark.parametrize(
    "tokens", [(), ("B",), ('{"', "option", '":', ' "'), ('{"', "option", '":', ' "', "ABSTAIN"), ('{"option": 3}',)]
)
def test_reply_without_an_option_has_no_such_token(tokens: tuple[str, ...]) -> None:
    assert option_position(said(*tokens)) is None
    assert belief_of_ballot(said(*tokens), "AB") is None


def test_host_without_probabilities_measures_nothing() -> None:
    assert belief_of_ballot(None, "AB") is None
    assert belief_of_ballot([], "AB") is None


def test_belief_is_read_at_the_token_of_the_option_glued_to_its_quote_or_not() -> None:
    glued = {"token": ' "B', "logprob": -0.5, "top_logprobs": [{"token": ' "B', "logprob": -0.5}]}
    glued["top_logprobs"] = [*alternatives(glued), {"token": ' "A', "logprob": -1.2}]
    found = belief_of_ballot([*said('{"option":'), glued, *said('"}')], "AB")
    assert found == pytest.approx({"A": 0.3318, "B": 0.6682}, abs=5e-5)


def test_token_that_the_grammar_took_from_further_below_is_an_alternative_too() -> None:
    entry = {"token": "B", "logprob": -3.0, "top_logprobs": top(A=-0.5)}
    assert [rival["token"] for rival in alternatives(entry)] == ["A", "B"]
    assert alternatives({"token": "B", "logprob": -3.0}) == [{"token": "B", "logprob": -3.0}]


def test_recorded_ballot_has_its_option_found_and_its_mass_too_small_to_count() -> None:
    entries = recorded("chat-schema-logprobs")
    at = option_position(entries)
    assert at is not None
    assert entries[at]["token"] == "A"
    assert belief_of_ballot(entries, "AB") is None


def test_recorded_ballot_is_measured_once_its_letters_carry_the_mass() -> None:
    entries = recorded("chat-schema-logprobs")
    at = option_position(entries)
    assert at is not None
    letters = {rival["token"]: rival["logprob"] for rival in entries[at]["top_logprobs"] if rival["token"] in "AB"}
    entries[at]["top_logprobs"] = top(**{letter: logprob + 2 for letter, logprob in letters.items()})
    odds = exp(letters["A"] - letters["B"])
    assert belief_of_ballot(entries, "AB") == pytest.approx({"A": odds / (1 + odds), "B": 1 / (1 + odds)})


def test_recorded_single_letter_says_mostly_other_things() -> None:
    entry = recorded("chat-logprobs-one-token")[0]
    assert measured_belief(alternatives(entry), "AB") is None


def test_cyclic_orders_put_each_option_at_each_letter_once() -> None:
    orders = cyclic_orders(["x", "y", "z"])
    assert orders == [("x", "y", "z"), ("y", "z", "x"), ("z", "x", "y")]
    assert [sorted(column) for column in zip(*orders, strict=True)] == [["x", "y", "z"]] * 3


def test_probe_with_an_order_missing_is_none_at_all() -> None:
    assert probed_belief([{"A": 0.5, "B": 0.5}, None]) is None
    assert probed_belief([]) is None


def test_option_unseen_in_one_order_is_not_vetoed() -> None:
    found = probed_belief([{"A": 1.0, "B": 0.0}, {"A": 0.0, "B": 1.0}])
    assert found == pytest.approx({"A": 0.5, "B": 0.5})


@given(st.dictionaries(st.sampled_from(["A", " A", "B", '"B', "C", "x", "Yes"]), st.floats(-9, 0), max_size=7))
def test_measured_belief_sums_to_one_or_is_none(logprobs: dict[str, float]) -> None:
    found = measured_belief([{"token": token, "logprob": at} for token, at in logprobs.items()], "ABC")
    assert found is None or sum(found.values()) == pytest.approx(1)
