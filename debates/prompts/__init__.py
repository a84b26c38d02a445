"""What agents are asked in a debate, one builder per step: from rows to an `Ask`. They read rows and write none."""

from debates.models import Ballot, Claim, Debate, Probe, Seat, Speech
from debates.prompts.ask import Ask


def answer(speech: Speech) -> Ask:
    raise NotImplementedError


def challenge(speech: Speech) -> Ask:
    raise NotImplementedError


def claims_to_check(speech: Speech) -> list[Claim]:
    raise NotImplementedError


def checks(speech: Speech) -> Ask:
    raise NotImplementedError


def options(speech: Speech) -> Ask:
    raise NotImplementedError


def statistics(speech: Speech) -> Ask:
    raise NotImplementedError


def ranking_letters(speech: Speech) -> dict[str, str]:
    raise NotImplementedError


def ranking(speech: Speech) -> Ask:
    raise NotImplementedError


def verdict(speech: Speech) -> Ask:
    raise NotImplementedError


def repair_json(speech: Speech, *, text: str, problem: str) -> Ask:
    raise NotImplementedError


def shuffle_letters(debate: Debate, seat: Seat) -> dict[str, str | None]:
    raise NotImplementedError


def ballot(ballot: Ballot) -> Ask:
    raise NotImplementedError


def judgement(ballot: Ballot) -> Ask:
    raise NotImplementedError


def repair(ballot: Ballot, *, text: str, problem: str) -> Ask:
    raise NotImplementedError


def probe_letters(ballot: Ballot) -> list[dict[str, str]]:
    raise NotImplementedError


def probe(probe: Probe) -> Ask:
    raise NotImplementedError


def shortened(debate: Debate) -> str:
    raise NotImplementedError
