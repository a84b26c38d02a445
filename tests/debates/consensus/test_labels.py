from dataclasses import replace
from typing import Any

import pytest

from debates.consensus import Label, evaluate
from debates.consensus.chance import correlation_of
from debates.consensus.labels import label
from debates.consensus.provenance import Provenance
from tests.debates.consensus.panels import course, mixed, settings

NINE = Provenance(option="A", blind_held=9, blind_ballots=9, held=9, ballots=9, gained=0, unevidenced=0)
LOOSE = correlation_of(["llama3.2:1b", "qwen2.5:3b"])


def labelled(source: Provenance = NINE, **others: Any) -> Label:
    return label(source, **{"chance": 0.01, "effective_votes": 4.0, "correlation": LOOSE, **others})


def test_result_with_everything_is_robust_and_says_why() -> None:
    found = labelled()
    assert found == Label(
        "robust",
        (
            "By lot, some option would have 9 or more of 9 in 1.0% of votes.",
            "Nobody had to move to it.",
            "The ballots are worth 4.0 independent ones (correlation 0.15, assumed for models of several families).",
        ),
    )


@pytest.mark.parametrize(
    ("others", "reason"),
    [
        ({"chance": 0.051}, "By lot, some option would have 9 or more of 9 in 5.1% of votes."),
        (
            {"effective_votes": 2.9},
            "9 ballots are worth 2.9 independent ones, fewer than 3 "
            "(correlation 0.15, assumed for models of several families).",
        ),
        (
            {"source": replace(NINE, blind_held=7, gained=2, unevidenced=1)},
            "1 of the 2 who moved to it cited no claim that was new to them.",
        ),
        ({"flag": "One judge decided, not the panel."}, "One judge decided, not the panel."),
    ],
)
def test_result_that_lacks_something_is_procedural_and_says_what(others: dict[str, Any], reason: str) -> None:
    assert labelled(**others) == Label("procedural", ("The rule is met.", reason))


def test_limits_of_robust_are_still_robust() -> None:
    quarter = replace(NINE, blind_held=5, gained=4, unevidenced=1)
    assert labelled(quarter, chance=0.05, effective_votes=3.0).name == "robust"


@pytest.mark.parametrize(
    ("blind_held", "gained", "unevidenced", "name"),
    [(6, 3, 2, "hollow"), (7, 3, 3, "procedural"), (6, 4, 2, "procedural"), (6, 3, 0, "robust")],
    ids=["gain .3 and U 2/3", "gain .2 and U 1", "gain .3 and U 1/2", "gain .3 and U 0"],
)
def test_hollow_is_a_large_gain_mostly_without_evidence(
    blind_held: int, gained: int, unevidenced: int, name: str
) -> None:
    assert labelled(Provenance("A", blind_held, 10, 9, 10, gained, unevidenced)).name == name


def test_gain_of_exactly_three_tenths_is_large_whatever_floats_say() -> None:
    assert labelled(Provenance("A", 4, 10, 7, 10, 3, 3)).name == "hollow"
    assert labelled(Provenance("A", 5, 10, 8, 10, 3, 3)).name == "hollow"


def test_hollow_says_where_it_came_from() -> None:
    assert labelled(Provenance("A", 4, 10, 7, 10, 3, 3)).reasons == (
        "Thinking alone, 4 of 10 held A; now 7 of 10 do.",
        "3 of the 3 who moved to it cited no claim that was new to them.",
    )


def test_result_of_one_model_is_never_robust_however_many_seats_it_has() -> None:
    many = course("A" * 15, "A" * 15, challenge=1)
    assert evaluate(many, settings(seats=15)).label.name == "procedural"
    assert evaluate(mixed(many), settings(seats=15)).label.name == "robust"


def test_debate_without_a_winner_has_no_label() -> None:
    assert evaluate(course("AABB-"), settings(seats=5)).label == Label(
        None, ("The rule has no winner, so there is nothing to label.",)
    )


def test_judgement_is_labelled_by_what_the_panel_makes_of_it() -> None:
    found = evaluate(mixed(course("A" * 9)), settings(seats=9, rule="judge", judged="B"))
    assert found.label.name == "procedural"
    assert "One judge decided, not the panel." in found.label.reasons
    assert "By lot, some option would have 0 or more of 9 in 100.0% of votes." in found.label.reasons
