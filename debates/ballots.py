"""From a model's answer to a ballot. What cannot be read is never a vote, and what was not said is never made up."""

import re
from collections.abc import Mapping, Sequence
from typing import Any

from debates.consensus import alternatives, belief_of_ballot, measured_belief, probed_belief
from debates.models import Ballot, Probe
from debates.prompts.fences import clip
from debates.prompts.schemas import CHANGE_REASONS, KINDS, MOST_CLAIMS, TEXT
from debates.prompts.votes import citable, is_blind, is_ranked
from debates.structured import Unreadable, choice_in, list_in, one_object, ranked, text_in, whole_number

Logprobs = Sequence[Mapping[str, Any]] | None
CHOSEN = "chosen"
LETTER = re.compile(r"\b(?:[Oo]ption|[Aa]nswer|[Cc]hoice|[Ll]etter) ([A-Z])\b|^([A-Z])\.?$")
LONGEST_REASON = 200  # of an abstention; the column's
SAVED = (
    "option",
    "ranking",
    "confidence",
    "reason",
    "claims",
    "cited",
    "change_reason",
    "would_change_if",
    "measured",
    "error",
)


def read(ballot: Ballot, text: str, logprobs: Logprobs) -> str | None:
    """Fill in the ballot, in memory alone; or say what is wrong with it, and leave it as it was."""
    try:
        found = _fields(ballot, one_object(text))
    except Unreadable as problem:
        return str(problem)
    for name, value in found.items():
        setattr(ballot, name, value)
    ballot.measured = _by_option(_measured(ballot, logprobs), ballot.letters)
    ballot.abstention = "" if ballot.option else CHOSEN
    return None


def _fields(ballot: Ballot, found: Mapping[str, Any]) -> dict[str, Any]:
    letter = _letter(found.get("option"), ballot.letters)
    reason = _in_words(text_in(found, "reason", most=TEXT), ballot)
    if ballot.letters[letter] is None:
        return {"option": "", "reason": reason}
    return {
        "option": ballot.letters[letter],
        "confidence": _confidence(found),
        "reason": reason,
        "ranking": _ranking(found, letter=letter, letters=ballot.letters) if is_ranked(ballot) else [],
        "claims": _claims(found, ballot=ballot),
        "cited": _cited(found, ballot=ballot),
        "change_reason": _change_reason(ballot, found),
        "would_change_if": _in_words(text_in(found, "would_change_if", most=TEXT), ballot),
    }


def _letter(value: Any, letters: Mapping[str, str | None]) -> str:
    letter = value.strip().upper() if isinstance(value, str) else ""
    if letter not in letters:
        raise Unreadable(f'"option" must be one of the letters {", ".join(sorted(letters))}.')
    return letter


def _confidence(found: Mapping[str, Any]) -> int:
    """As it was stated. .9 may mean 90 or nearly nothing, so it is asked about, not guessed at."""
    confidence = whole_number(found.get("confidence"))
    if confidence is None or not 0 <= confidence <= 100:  # noqa: PLR2004  (per cent)
        raise Unreadable('"confidence" must be a whole number from 0 to 100.')
    return confidence


def _ranking(found: Mapping[str, Any], *, letter: str, letters: Mapping[str, str | None]) -> list[str]:
    offered = {each: option for each, option in sorted(letters.items()) if option is not None}
    order = ranked(list_in(found, "ranking"), list(offered))
    if len(order) < len(offered):
        raise Unreadable(f"Each of the letters {', '.join(offered)} must stand in the ranking once.")
    if order[0] != letter:
        raise Unreadable('"ranking" must begin with the letter that "option" names.')
    return [offered[each] for each in order]


def _in_words(text: str, ballot: Ballot) -> str:
    """Letters mean something else on every ballot: "option B" becomes the words that B stood for on this one."""
    texts = ballot.round.debate.option_texts

    def words(match: re.Match[str]) -> str:
        option = ballot.letters.get(match[1] or match[2])
        return f"“{texts[option]}”" if option in texts else match[0]

    return clip(LETTER.sub(words, text), most=TEXT)


def _claims(found: Mapping[str, Any], *, ballot: Ballot) -> list[dict[str, str]]:
    """At most three that say anything, none twice."""
    claims: dict[str, dict[str, str]] = {}
    for claim in list_in(found, "claims"):
        if not isinstance(claim, dict):
            raise Unreadable('Each of the "claims" must be an object with "text" and "kind".')
        text = _in_words(" ".join(text_in(claim, "text", most=TEXT).split()), ballot)
        kind = choice_in(claim, "kind", KINDS)
        if any(map(str.isalnum, text)):
            claims.setdefault(text.casefold(), {"text": text, "kind": kind})
    return list(claims.values())[:MOST_CLAIMS]


def _cited(found: Mapping[str, Any], *, ballot: Ballot) -> list[int]:
    """Those that its prompt listed; a number that it did not is dropped."""
    numbers = [whole_number(number) for number in list_in(found, "cited_claims")]
    if None in numbers:
        raise Unreadable('"cited_claims" must be a list of numbers of claims.')
    known = citable(ballot) if numbers else []
    return [number for number in dict.fromkeys(numbers) if number is not None and number in known]


def _change_reason(ballot: Ballot, found: Mapping[str, Any]) -> str:
    """There is nothing to change in a blind vote, whatever is said."""
    if is_blind(ballot) or "change_reason" not in found:
        return "none"
    return choice_in(found, "change_reason", CHANGE_REASONS)


def _measured(ballot: Ballot, logprobs: Logprobs) -> dict[str, float] | None:
    letters = [letter for letter, option in ballot.letters.items() if option is not None]
    return belief_of_ballot(_told(logprobs), letters)


def _told(logprobs: Logprobs) -> list[Mapping[str, Any]]:
    """As a host sends them; where it sends anything else, there are none."""
    entries = list(logprobs or ())
    tops = [entry.get("top_logprobs") or () for entry in entries if isinstance(entry, dict)]
    if not all(isinstance(top, list | tuple) for top in tops):
        return []
    rivals = [rival for top in tops for rival in top]
    is_sound = all(
        isinstance(each, dict)
        and isinstance(each.get("token"), str)
        and isinstance(each.get("logprob"), float | int)
        and each["logprob"] <= LARGEST
        for each in [*entries, *rivals]
    )
    return entries if is_sound else []


LARGEST = 1e-3  # a logarithm of a probability, and what rounding may add to it


def _by_option(belief: Mapping[str, float] | None, letters: Mapping[str, str | None]) -> dict[str, float] | None:
    return None if belief is None else {str(letters[letter]): share for letter, share in belief.items()}


def cast(ballot: Ballot) -> bool:
    """Save a ballot that was read, once; False if it was over. An abstention that was chosen is saved as such."""
    status = Ballot.Status.CAST if ballot.option else Ballot.Status.ABSTAINED
    read = {name: getattr(ballot, name) for name in SAVED}
    return _end(ballot, status=status, abstention="" if ballot.option else CHOSEN, **read)


def abstain(ballot: Ballot, reason: str) -> bool:
    """End a ballot without a vote; False if it was over. `ballot.error` is kept with it."""
    return _end(ballot, status=Ballot.Status.ABSTAINED, abstention=reason[:LONGEST_REASON], error=ballot.error)


def _end(ballot: Ballot, **fields: Any) -> bool:
    if not Ballot.objects.filter(pk=ballot.pk, status=Ballot.Status.WAITING).update(**fields):
        return False
    for name, value in fields.items():
        setattr(ballot, name, value)
    return True


def read_probe(probe: Probe, logprobs: Logprobs) -> dict[str, float] | None:
    """Fill in what the probe found, in memory alone; None where the host gave too little."""
    told = _told(logprobs)
    belief = measured_belief(alternatives(told[0]), probe.letters) if told else None
    probe.belief, probe.is_over = _by_option(belief, probe.letters), True
    return probe.belief


def combine_probes(ballot: Ballot) -> dict[str, float] | None:
    """Fill in `ballot.probed` from its probes, in memory alone; None when one of them found nothing."""
    ballot.probed = probed_belief(probe.belief for probe in ballot.probes.all())
    return ballot.probed
