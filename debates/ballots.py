"""From a model's answer to a ballot. What cannot be read is never a vote, and what was not said is never made up."""

from collections.abc import Mapping, Sequence
from typing import Any

from debates.models import Ballot, Probe

Logprobs = Sequence[Mapping[str, Any]] | None


def read(ballot: Ballot, text: str, logprobs: Logprobs) -> str | None:
    """Fill in the ballot, in memory alone; or say what is wrong with it, and leave it as it was."""
    raise NotImplementedError


def cast(ballot: Ballot) -> bool:
    """Save a ballot that was read, once; False if it was over. An abstention that was chosen is saved as such."""
    raise NotImplementedError


def abstain(ballot: Ballot, reason: str) -> bool:
    """End a ballot without a vote; False if it was over. `ballot.error` is kept with it."""
    raise NotImplementedError


def read_probe(probe: Probe, logprobs: Logprobs) -> dict[str, float] | None:
    """Fill in what the probe found, in memory alone; None where the host gave too little."""
    raise NotImplementedError


def combine_probes(ballot: Ballot) -> dict[str, float] | None:
    """Fill in `ballot.probed` from its probes, in memory alone; None when one of them found nothing."""
    raise NotImplementedError
