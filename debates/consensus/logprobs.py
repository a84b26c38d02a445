"""Measured belief: a model's own probabilities at the token of its option.

`logprobs` is as Ollama sends it and a run keeps it: one entry per token, `{"token", "logprob", "top_logprobs":
[{"token", "logprob"}, …]}`, natural logarithms, taken before the grammar, so that much of the mass may lie on tokens
the schema forbids.
"""

import re
from collections.abc import Iterable, Mapping, Sequence
from itertools import accumulate
from math import exp, log
from typing import Any

LEAST_MASS = 0.5  # on the options' letters; below it the numbers speak of something else
UNSEEN = 0.001  # in one order of a probe, of an option that was not among the alternatives
# Quotes inside a string of the ballot are escaped, so this matches the ballot's own key alone.
OPTION = re.compile(r'"option"\s*:\s*"\s*(?=[A-Z]\b)')
AROUND_LETTER = " \t\r\n\"'"


def option_position(logprobs: Sequence[Mapping[str, Any]]) -> int | None:
    """Index of the token in which the letter of a JSON ballot `{"option": "B", …` stands, glued to its quote or not."""
    tokens = [entry["token"] for entry in logprobs]
    matches = list(OPTION.finditer("".join(tokens)))
    if not matches:
        return None
    at = matches[-1].end()  # what a model thought aloud comes before
    return next(index for index, end in enumerate(accumulate(map(len, tokens))) if end > at)


def alternatives(entry: Mapping[str, Any]) -> list[Mapping[str, Any]]:
    """The top alternatives of a token, and the token itself where a grammar chose it from further below."""
    top = list(entry.get("top_logprobs") or ())
    return top if any(rival["token"] == entry["token"] for rival in top) else [*top, entry]


def measured_belief(top_logprobs: Iterable[Mapping[str, Any]], letters: Iterable[str]) -> dict[str, float] | None:
    """Probability of each letter, among the letters; `letters` are the options' alone, without the one for abstaining.

    A letter counts with and without a space or a quote around it. 0 for one that is not among the alternatives. None
    when the letters found carry less than half of the mass.
    """
    masses = dict.fromkeys(letters, 0.0)
    for token, logprob in {rival["token"]: rival["logprob"] for rival in top_logprobs}.items():
        letter = token.strip(AROUND_LETTER)
        if letter in masses:
            masses[letter] += exp(logprob)
    total = sum(masses.values())
    return {letter: mass / total for letter, mass in masses.items()} if total >= LEAST_MASS else None


def belief_of_ballot(logprobs: Sequence[Mapping[str, Any]] | None, letters: Iterable[str]) -> dict[str, float] | None:
    """The measured belief of a JSON ballot; None where the host gave no probabilities or they say too little."""
    at = option_position(logprobs or ())
    return None if at is None or not logprobs else measured_belief(alternatives(logprobs[at]), letters)


def cyclic_orders(options: Sequence[str]) -> list[tuple[str, ...]]:
    """K orders in which each option stands once at each letter: what a probe asks for."""
    return [(*options[start:], *options[:start]) for start in range(len(options))]


def probed_belief(orders: Iterable[Mapping[str, float] | None]) -> dict[str, float] | None:
    """The measured beliefs by option (not by letter) under all cyclic orders, as one: geometric means, renormalised.

    None when one of them is missing: without it the liking for a letter would be back.
    """
    found = list(orders)
    known = [belief for belief in found if belief is not None]
    if not known or len(known) < len(found):
        return None
    means = {option: exp(sum(log(max(belief[option], UNSEEN)) for belief in known) / len(known)) for option in known[0]}
    total = sum(means.values())
    return {option: mean / total for option, mean in means.items()}
