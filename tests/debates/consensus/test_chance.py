from itertools import product

import pytest
from hypothesis import given
from hypothesis import strategies as st

from debates.consensus import (
    SETTLED_DEBATES,
    SettledDebate,
    beta_binomial_tail,
    chance_of_lead,
    correlation_of,
    effective_votes,
    kinship,
    lead_change,
    majority_accuracy,
    measured_correlation,
    model_family,
)


@pytest.mark.parametrize(("lead", "expected"), [(6, 0.5078), (7, 0.1797), (8, 0.0391)])
def test_chance_of_a_lead_of_nine_on_two_options_as_worked_out(lead: int, expected: float) -> None:
    assert chance_of_lead(9, options=2, lead=lead) == pytest.approx(expected, abs=5e-5)


@pytest.mark.parametrize(("ballots", "smallest"), [(9, (8, 7, 6)), (7, (7, 6, 6)), (5, (None, 5, 5))])
def test_smallest_lead_that_is_hardly_chance_on_two_three_and_four_options(
    ballots: int, smallest: tuple[int | None, ...]
) -> None:
    found = tuple(
        next(
            (lead for lead in range(1, ballots + 1) if chance_of_lead(ballots, options=options, lead=lead) <= 0.05),
            None,
        )
        for options in (2, 3, 4)
    )
    assert found == smallest


@given(ballots=st.integers(1, 6), options=st.integers(2, 4), lead=st.integers(0, 7))
def test_chance_of_a_lead_is_what_counting_all_draws_gives(ballots: int, options: int, lead: int) -> None:
    draws = list(product(range(options), repeat=ballots))
    leading = sum(max(map(draw.count, range(options))) >= lead for draw in draws)
    assert chance_of_lead(ballots, options=options, lead=lead) == pytest.approx(leading / len(draws))


def test_a_lead_of_none_is_certain_and_one_larger_than_the_panel_impossible() -> None:
    assert chance_of_lead(5, options=3, lead=0) == 1
    assert chance_of_lead(5, options=3, lead=6) == 0


@pytest.mark.parametrize(("accuracy", "expected"), [(0.6, 0.7334), (0.7, 0.9012), (0.4, 0.2666)])
def test_majority_of_nine_independent_votes_is_right_as_worked_out(accuracy: float, expected: float) -> None:
    assert majority_accuracy(9, accuracy=accuracy) == pytest.approx(expected, abs=5e-5)


def test_majority_of_nine_correlated_votes_is_hardly_better_than_one() -> None:
    assert majority_accuracy(9, accuracy=0.7, correlation=0.4375) == pytest.approx(0.7301, abs=5e-5)


def test_fully_correlated_votes_are_one_vote_and_certain_ones_need_no_spread() -> None:
    assert majority_accuracy(9, accuracy=0.7, correlation=1) == 0.7
    assert majority_accuracy(9, accuracy=1, correlation=0.3) == 1
    assert majority_accuracy(9, accuracy=0, correlation=0.3) == 0


def test_half_of_an_even_panel_is_no_majority() -> None:
    assert majority_accuracy(2, accuracy=0.5) == 0.25


@pytest.mark.parametrize(
    ("ballots", "margin", "flips", "stays", "expected"),
    [(9, 5, 0, 18, 0.019), (9, 5, 2, 16, 0.131), (5, 3, 0, 10, 0.059)],
)
def test_chance_that_a_lead_changes_as_worked_out(
    ballots: int, margin: int, flips: int, stays: int, expected: float
) -> None:
    chance = lead_change(ballots, margin=margin, flips=flips, stays=stays)
    assert chance == pytest.approx(expected, abs=1e-3)
    assert (chance <= 0.05) == (expected <= 0.05)


def test_tail_of_a_beta_binomial_is_certain_from_nothing_and_impossible_beyond_all() -> None:
    assert beta_binomial_tail(7, alpha=1, beta=4, at_least=-1) == pytest.approx(1)
    assert beta_binomial_tail(7, alpha=1, beta=4, at_least=8) == 0


def test_uniform_beta_makes_every_count_as_likely() -> None:
    assert beta_binomial_tail(4, alpha=1, beta=1, at_least=2) == pytest.approx(3 / 5)


def test_effective_votes_fall_with_correlation() -> None:
    assert effective_votes(9, correlation=0) == 9
    assert effective_votes(9, correlation=0.4375) == pytest.approx(2)
    assert effective_votes(9, correlation=1) == 1
    assert effective_votes(0, correlation=0.45) == 0


@pytest.mark.parametrize(
    ("models", "related", "assumed"),
    [
        (["llama3.2:1b"] * 3, "model", 0.45),
        ([], "model", 0.45),
        (["llama3.2:1b", "llama3.1:8b"], "family", 0.30),
        (["llama3.2:1b", "qwen2.5:7b"], "mixed", 0.15),
    ],
)
def test_correlation_is_assumed_by_how_the_models_are_related(models: list[str], related: str, assumed: float) -> None:
    found = correlation_of(models)
    assert (kinship(models), found.kinship, found.value, found.is_measured) == (related, related, assumed, False)
    assert f"correlation {assumed:.2f}, assumed for" in found.words


def test_measured_correlation_is_used_and_said() -> None:
    found = correlation_of(["llama3.2:1b"] * 3, measured=0.0)
    assert (found.value, found.words) == (0.0, "correlation 0.00, measured on settled debates")


@pytest.mark.parametrize(
    ("name", "family"),
    [
        ("llama3.2:1b", "llama"),
        ("codellama:7b", "llama"),
        ("hf.co/some-one/Meta-Llama-3.1-8B-Instruct-GGUF:Q4_K_M", "llama"),
        ("qwen2.5-coder:7b", "qwen"),
        ("mixtral:8x7b", "mistral"),
        ("mistral-small", "mistral"),
        ("gpt-oss:20b", "gpt"),
        ("smollm2:135m", "smollm"),
        ("7b-of-mine", "7b-of-mine"),
        ("", ""),
    ],
)
def test_family_of_a_model_is_read_from_its_name(name: str, family: str) -> None:
    assert model_family(name) == family


def test_correlation_of_all_or_nothing_debates_is_one() -> None:
    debates = [SettledDebate(5, 5 * (at % 2)) for at in range(SETTLED_DEBATES)]
    assert measured_correlation(debates) == 1


def test_correlation_of_debates_split_as_evenly_as_can_be_is_none() -> None:
    assert measured_correlation([SettledDebate(4, 2)] * SETTLED_DEBATES) == 0


def test_correlation_is_estimated_as_worked_out_by_hand() -> None:
    # p = ½, spread (128 − 32)/4 = 24. A debate of 3 to 1 has ¾ within it: 24 if all are such, 12 if half are.
    even = [SettledDebate(4, 3), SettledDebate(4, 1)] * 16
    assert measured_correlation(even) == 0
    wide = [SettledDebate(4, right) for right in (4, 0, 3, 1)] * 8
    assert measured_correlation(wide) == pytest.approx(0.5)
    assert measured_correlation([*wide, *[SettledDebate(1, 1)] * 9]) == measured_correlation(wide)


def test_correlation_is_not_measured_from_too_few_or_too_plain_debates() -> None:
    assert measured_correlation([SettledDebate(5, 3)] * (SETTLED_DEBATES - 1)) is None
    assert measured_correlation([SettledDebate(5, 5)] * SETTLED_DEBATES) is None
    assert measured_correlation([SettledDebate(1, right) for right in (0, 1)] * SETTLED_DEBATES) is None
