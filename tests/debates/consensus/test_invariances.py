"""What must not depend on names, order or luck."""

from collections.abc import Mapping
from dataclasses import replace
from random import Random
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from debates.consensus import RULES, RoundVotes, Settings, Vote, agreement, evaluate, leader_of
from tests.debates.consensus.panels import MIXED, ballots, held, mixed, settings

CLAIMS = ("c0", "c1", "c2")
WORDED = ("words", "reason", "reasons", "threshold", "effect")  # they name options and seats in their order


@st.composite
def votes(draw: st.DrawFn, *, seat: str, options: str) -> Vote:
    option = draw(st.none() | st.sampled_from(options))
    shares = draw(st.lists(st.floats(0, 1), min_size=len(options), max_size=len(options)))
    return Vote(
        seat=seat,
        option=option,
        confidence=draw(st.none() | st.integers(0, 100).map(float)),
        belief=draw(st.none() | st.just(dict(zip(options, shares, strict=True)))),
        claims=draw(st.frozensets(st.sampled_from(CLAIMS), max_size=1)),
        cited=draw(st.frozensets(st.sampled_from(CLAIMS))),
        change_reason=draw(st.sampled_from(["none", "new_evidence", "majority_pressure"])),
        model=draw(st.sampled_from(MIXED)),
        ranking=tuple(draw(st.permutations(options))) if option else (),
    )


@st.composite
def debates(draw: st.DrawFn) -> tuple[list[RoundVotes], Settings]:
    options, seats = "ABCD"[: draw(st.integers(2, 4))], draw(st.integers(3, 6))
    rounds = [
        RoundVotes(
            number=number,
            votes=tuple(draw(votes(seat=f"s{at}", options=options)) for at in range(seats)),
            new_claims=draw(st.frozensets(st.sampled_from(CLAIMS))),
            is_challenge=draw(st.booleans()),
        )
        for number in range(draw(st.integers(1, 4)))
    ]
    rule = draw(st.sampled_from([name for name in RULES if name != "judge"]))
    belief = draw(st.sampled_from(["stated", "measured"]))
    return rounds, settings(options, seats=seats, rule=rule, belief=belief)


def numbers(rounds: list[RoundVotes], given: Settings) -> dict[str, Any]:
    """The evaluation without its words."""
    found = evaluate(rounds, given).as_dict()
    found["stop"] = found["stop_reason"]
    return {name: _wordless(value) for name, value in found.items() if name not in WORDED}


def _wordless(value: Any) -> Any:
    if isinstance(value, Mapping):
        return {name: _wordless(part) for name, part in value.items() if name not in WORDED}
    if isinstance(value, list | tuple):
        return [_wordless(part) for part in value]
    return round(value, 9) if isinstance(value, float) else value


def renamed(value: Any, names: Mapping[str, str]) -> Any:
    if isinstance(value, Mapping):
        return {names.get(name, name): renamed(part, names) for name, part in value.items()}
    if isinstance(value, list):
        return [renamed(part, names) for part in value]
    return names.get(value, value) if isinstance(value, str) else value


def in_any_order(found: dict[str, Any]) -> dict[str, Any]:
    """What is listed seat by seat, as sets of a kind."""
    listed = {name: sorted(map(repr, found[name])) for name in ("flips", "holdings", "abstentions")}
    return found | listed


@given(debates(), st.randoms(use_true_random=False))
def test_permuting_agents_changes_nothing_but_their_names(
    debate: tuple[list[RoundVotes], Settings], random: Random
) -> None:
    rounds, given = debate
    seats = [vote.seat for vote in rounds[0].votes]
    names = dict(zip(seats, random.sample(seats, len(seats)), strict=True))
    shuffled = []
    for was in rounds:
        cast = [replace(vote, seat=names[vote.seat]) for vote in was.votes]
        shuffled.append(replace(was, votes=tuple(random.sample(cast, len(cast)))))
    expected = in_any_order(renamed(numbers(rounds, given), names))
    assert in_any_order(numbers(shuffled, given)) == expected


@given(debates(), st.randoms(use_true_random=False))
def test_relabelling_options_changes_nothing_but_their_names(
    debate: tuple[list[RoundVotes], Settings], random: Random
) -> None:
    rounds, given = debate
    names = dict(zip(given.options, random.sample(["w", "x", "y", "z"], len(given.options)), strict=True))
    relabelled = [replace(was, votes=tuple(_relabel(vote, names) for vote in was.votes)) for was in rounds]
    order = tuple(random.sample(list(names.values()), len(names)))
    found = numbers(relabelled, replace(given, options=order))
    assert found == renamed(numbers(rounds, given), names)


def _relabel(vote: Vote, names: Mapping[str, str]) -> Vote:
    belief = {names[option]: share for option, share in vote.belief.items()} if vote.belief else None
    option = names[vote.option] if vote.option else None
    return replace(vote, option=option, belief=belief, ranking=tuple(names[each] for each in vote.ranking))


@given(st.lists(st.integers(0, 30), min_size=2, max_size=6))
def test_one_more_supporter_never_lowers_the_agreement_on_the_leader(heads: list[int]) -> None:
    counts = {str(at): count for at, count in enumerate(heads)}
    leader = leader_of(counts)
    if leader is None:
        return
    before, after = agreement(counts), agreement({**counts, leader: counts[leader] + 1})
    assert before is None or (after is not None and after >= before - 1e-12)


@pytest.mark.parametrize("rule", [name for name in RULES if name not in ("judge", "confidence-weighted")])
def test_tie_is_no_decision_under_a_thousand_shuffles(rule: str) -> None:
    random = Random(1000)
    cast = [replace(vote, ranking=("A", "B") if vote.option == "A" else ("B", "A")) for vote in ballots("AAABBB")]
    winners = set()
    for _ in range(1000):
        names = random.sample("AB", 2)
        shuffled = RoundVotes(number=0, votes=tuple(random.sample(cast, len(cast))))
        found = evaluate([shuffled], settings("".join(names), seats=6, rule=rule))
        winners.add((found.leader, found.decision.winner, found.label.name, found.state))
    assert winners == {(None, None, None, "none")}


@st.composite
def conformists(draw: st.DrawFn) -> tuple[list[RoundVotes], Settings]:
    """Seats on unrelated models that begin apart and then join the largest group, citing nothing new or giving in."""
    seats = draw(st.integers(5, 12))
    loyal = draw(st.integers(2, seats * 7 // 10))
    rest = "".join(draw(st.lists(st.sampled_from("BCDE"), min_size=seats - loyal, max_size=seats - loyal)))
    pressed = draw(st.booleans())
    why = {"change_reason": "majority_pressure", "cited": frozenset({"c0"})} if pressed else {}
    rounds = [
        held(0, "A" * loyal + rest, new_claims=frozenset({"c0"})),
        held(1, "A" * seats, votes={at: why for at in range(loyal, seats)}),
        held(2, "A" * seats, is_challenge=True),
        held(3, "A" * seats),
    ]
    return mixed(rounds), settings("ABCDE", seats=seats)


@given(conformists())
def test_panel_of_conformists_is_hollow_and_never_robust(debate: tuple[list[RoundVotes], Settings]) -> None:
    rounds, given = debate
    found = evaluate(rounds, given)
    assert (found.state, found.label.name) == ("consensus", "hollow")


@given(st.integers(5, 12), st.data())
def test_panel_that_a_single_conformist_joined_is_robust_only_with_three_others_that_had_reasons(
    seats: int, data: st.DataObject
) -> None:
    movers = data.draw(st.integers(1, seats - 2))
    reason = {"cited": frozenset({"c0"})}
    given = {at: reason for at in range(seats - movers, seats - 1)}
    rounds = [
        held(0, "A" * (seats - movers) + "B" * movers, new_claims=frozenset({"c0"})),
        held(1, "A" * seats, votes=given),
    ]
    found = evaluate(mixed(rounds), settings(seats=seats)).label.name
    assert found != "robust" or movers >= 4
