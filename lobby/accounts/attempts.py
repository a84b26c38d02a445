"""How often somebody may try to sign in.

Three counts, each over a moving window in Redis. The narrow one is per account *and* address, so that whoever guesses
at an account locks out himself and not its owner elsewhere. The one per account over all addresses slows down guessing
from many machines; it does not hold for a browser that has signed in to the account before.
"""

import hashlib
import math
from ipaddress import IPv6Address, ip_address, ip_network

from limits import RateLimitItem, parse

from lobby import limits

PER_ACCOUNT_AND_ADDRESS = parse("5/5 minutes")
PER_ADDRESS = parse("60/10 minutes")
PER_ACCOUNT = parse("100/hour")
WRONG_KEYS_PER_ADDRESS = parse("60/10 minutes")
SIGN_UPS_PER_ADDRESS = parse("10/hour")
CODES_PER_ACCOUNT = parse("30/day")  # of a million codes three are right at a time
MAILS_PER_RECIPIENT = parse("3/hour")
RESETS_PER_ADDRESS = parse("20/hour")


class TooManyAttempts(Exception):
    def __init__(self, retry_after: int) -> None:
        minutes = math.ceil(retry_after / 60)
        when = f"{minutes} minutes" if minutes > 1 else f"{retry_after} seconds"
        super().__init__(f"Too many attempts. Try again in {when}.")
        self.retry_after = retry_after  # seconds


def count_sign_in(*, account: str, address: str | None, is_known_device: bool) -> None:
    """Count one attempt before its password is looked at. Raises TooManyAttempts: then do not look."""
    who, where = account_key(account), _network(address)
    _count(PER_ACCOUNT_AND_ADDRESS, "sign-in", who, where)
    _count(PER_ADDRESS, "sign-in", where)
    if not is_known_device:
        _count(PER_ACCOUNT, "sign-in", who)


def count_sign_up(*, address: str | None) -> None:
    _count(SIGN_UPS_PER_ADDRESS, "sign-up", _network(address))


def count_wrong_key(*, address: str | None) -> None:
    """Right ones are not counted, so that a program with an old key does not shut out its neighbours."""
    _count(WRONG_KEYS_PER_ADDRESS, "wrong-key", _network(address))


def count_code(*, account: str, address: str | None, is_known_device: bool) -> None:
    """Of a second factor: whoever gets here knows the password."""
    who, where = account_key(account), _network(address)
    _count(PER_ACCOUNT_AND_ADDRESS, "code", who, where)
    if not is_known_device:
        _count(CODES_PER_ACCOUNT, "code", who)


def forget_codes(*, account: str, address: str | None) -> None:
    """The right code was given."""
    limits.clear(PER_ACCOUNT_AND_ADDRESS, "code", account_key(account), _network(address))


def count_reset(*, email: str, address: str | None) -> None:
    """Whether or not anybody has this e-mail address: the two must look the same."""
    _count(RESETS_PER_ADDRESS, "reset", _network(address))
    _count(MAILS_PER_RECIPIENT, "reset", account_key(email))


def may_mail(email: str) -> bool:
    """Whether one more mail that somebody else can set off may go there now."""
    return limits.hit(MAILS_PER_RECIPIENT, "mail", account_key(email)) == 0


def forget(*, account: str, address: str | None) -> None:
    """The right password was given: earlier slips count no more."""
    limits.clear(PER_ACCOUNT_AND_ADDRESS, "sign-in", account_key(account), _network(address))


def account_key(account: str) -> str:
    """A digest, so that what people type into the wrong field stands in no key."""
    return hashlib.sha256(account.strip().casefold().encode(errors="replace")).hexdigest()[:32]


def _count(limit: RateLimitItem, *names: str) -> None:
    if wait := limits.hit(limit, *names):
        raise TooManyAttempts(wait)


def _network(address: str | None) -> str:
    """An IPv6 user has at least a /64 to himself: all of it counts as one address."""
    if address is None:
        return "local"
    if isinstance(ip_address(address), IPv6Address):
        return str(ip_network(f"{address}/64", strict=False))
    return address
