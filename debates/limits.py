"""What a user may still begin: so many debates at once and an hour, of such a size, within the tokens of the day.

Each limit is looked at twice: the user's own, and the one of all users together.
"""

from datetime import timedelta
from typing import Any

from django.db.models import Min
from django.db.models.functions import Now

from agents.errors import TokensUsedUp
from debates.errors import DebateTooLarge, TooManyDebates
from debates.models import Debate
from debates.querysets import DebateQuerySet
from lobby import limits
from lobby.accounts import allowances, marks
from lobby.accounts import tokens as of_the_day
from lobby.accounts.allowances import METERS, Kind, Used
from lobby.limits import PerHour, span

USUAL_TOKENS = 100_000  # the budget of a debate for which none is named
LATER = 30  # seconds until one of the debates under way may have ended
HOUR = timedelta(hours=1)
OFF = "An admin has switched this off: the limit is 0."


def check(owner: Any, *, least_tokens: int) -> None:
    """May this user begin another debate, of which round 0 takes so many tokens? With agents.limits.one_at_a_time held.

    Raises TooManyDebates, TokensUsedUp.
    """
    _check_day(owner.pk, least_tokens)
    for whose in (owner.pk, None):
        _check_under_way(whose)
    _count_in_hour(owner.pk)


def check_size(owner: Any, *, seats: int, tokens: int) -> None:
    """Raises DebateTooLarge."""
    most = _least(owner.pk, Kind.DEBATE_SEATS)
    if most is not None and seats > most:
        raise DebateTooLarge(f"This panel has {seats} seats, and {most} is your limit. Take fewer, or ask an admin.")
    most = _least(owner.pk, Kind.DEBATE_TOKENS)
    if most is not None and tokens > most:
        raise DebateTooLarge(f"A budget of {most:,} tokens is your limit. Lower it, or ask an admin.")


def usual_tokens(owner: Any) -> int:
    """The budget of a debate for which none is named."""
    return min(USUAL_TOKENS, most_tokens(owner))


def most_tokens(owner: Any, *, most: int = 10_000_000) -> int:
    """The largest budget that this user may give to a debate."""
    limit = _least(owner.pk, Kind.DEBATE_TOKENS)
    return most if limit is None else min(limit, most)


def _least(owner: int, kind: Kind) -> int | None:
    held = (allowances.allowed(owner, kind), allowances.total(kind))
    return min((limit for limit in held if limit is not None), default=None)


def _check_day(owner: int, least: int) -> None:
    left = of_the_day.left_today(owner)
    if left is None or left >= least:
        return
    wait = of_the_day.until_midnight()
    raise TokensUsedUp(
        f"Round 0 alone takes about {least:,} tokens with this panel, and {left:,} are left today. "
        f"They renew at 00:00 UTC, in {span(wait)}.",
        retry_after=wait,
        limit=Kind.TOKENS_PER_DAY,
    )


def _check_under_way(owner: int | None) -> None:
    limit = _limit(owner, Kind.DEBATES_AT_ONCE)
    if limit is None or (under_way := under_way_of(owner).number) < limit:
        return
    whose = "of your debates" if owner else "debates of all users together"
    words = f"{under_way} {whose} are under way, and {limit} is the limit. Wait for one to end, or stop one."
    raise TooManyDebates(words if limit else OFF, retry_after=LATER, limit=Kind.DEBATES_AT_ONCE)


def _count_in_hour(owner: int) -> None:
    levels = [(whose, _limit(whose, Kind.DEBATES_PER_HOUR)) for whose in (owner, None)]
    held = [(whose, limit, this_hour(whose).number) for whose, limit in levels if limit is not None]
    # Nobody's own hour is used up by what the common one refuses.
    for count in (limits.wait, limits.hit):
        for whose, limit, begun in held:
            if seconds := count(PerHour(limit), "debates", str(whose or "all"), counted=begun):
                raise TooManyDebates(
                    _hour_is_over(whose, limit, seconds), retry_after=seconds, limit=Kind.DEBATES_PER_HOUR
                )
    for whose, limit, begun in held:
        marks.note(whose, Kind.DEBATES_PER_HOUR, used=begun + 1, limit=limit)


def _hour_is_over(owner: int | None, limit: int, seconds: int) -> str:
    whose = "" if owner else " for all users together"
    return f"That was the limit of {limit} debates an hour{whose}. Try again in {span(seconds)}." if limit else OFF


def _limit(owner: int | None, kind: Kind) -> int | None:
    return allowances.total(kind) if owner is None else allowances.allowed(owner, kind)


def _of(owner: int | None) -> DebateQuerySet:
    return Debate.objects.all() if owner is None else Debate.objects.filter(owner=owner)


def under_way_of(owner: int | None) -> Used:
    return Used(_of(owner).running().count())


def this_hour(owner: int | None) -> Used:
    begun = _of(owner).filter(created_at__gt=Now() - HOUR).order_by()
    first = begun.aggregate(at=Min("created_at"))["at"]
    return Used(begun.count(), first and first + HOUR)


def connect() -> None:
    """Tell what is used of the limits of debates."""
    METERS[Kind.DEBATES_AT_ONCE] = under_way_of
    METERS[Kind.DEBATES_PER_HOUR] = this_hour
