"""How much of each limit a user has used: for his own page, the REST API and the line at the composer."""

from dataclasses import dataclass
from datetime import datetime

from lobby.accounts import allowances, marks
from lobby.accounts.allowances import METERS, Kind, Used

MEGABYTE = 1_000_000
NEAR = marks.MARKS[-1]  # percent from which on it is said
AT_COMPOSER = (Kind.TOKENS_PER_DAY, Kind.RUNS_PER_HOUR, Kind.STORAGE)


@dataclass(frozen=True, slots=True)
class Share:
    """What is used of a limit, both in its unit."""

    limit: int
    used: int

    @property
    def remaining(self) -> int:
        return max(0, self.limit - self.used)

    @property
    def percent(self) -> int:
        return marks.percent_of(self.used, self.limit)


@dataclass(frozen=True, slots=True)
class Standing:
    """One kind of limit. `used` is None where it is the size of one thing; `limit` where there is none."""

    kind: str
    label: str
    unit: str
    limit: int | None
    used: int | None
    resets_at: datetime | None
    everybody: Share | None  # of all users together, where there is such a limit

    @property
    def used_words(self) -> str:
        return self._words(self.used)

    @property
    def limit_words(self) -> str:
        return self._words(self.limit)

    def _words(self, number: int | None) -> str:
        if number is None:
            return "no limit"
        return f"{number / MEGABYTE:,.1f} MB".replace(".0 ", " ") if self.unit else f"{number:,}"

    @property
    def share(self) -> Share | None:
        return None if self.limit is None or self.used is None else Share(self.limit, self.used)

    @property
    def remaining(self) -> int | None:
        """What both limits leave."""
        left = [share.remaining for share in (self.share, self.everybody) if share]
        return min(left, default=None)

    @property
    def percent(self) -> int | None:
        return max((share.percent for share in (self.share, self.everybody) if share), default=None)


def standings(user: int) -> list[Standing]:
    return [standing(user, kind) for kind in Kind]


def standing(user: int, kind: Kind) -> Standing:
    meter, scale = METERS.get(kind), MEGABYTE if kind == Kind.STORAGE else 1
    limit, total = allowances.allowed(user, kind), allowances.total(kind)
    used = meter(user) if meter else None
    return Standing(
        kind=kind,
        label="text of your chats" if kind == Kind.STORAGE else kind.label,
        unit="bytes" if kind == Kind.STORAGE else "",
        limit=None if limit is None else limit * scale,
        used=used.number if used else None,
        resets_at=used.resets_at if used else None,
        everybody=Share(total * scale, meter(None).number) if meter and total is not None else None,
    )


@dataclass(frozen=True, slots=True)
class Nearness:
    percent: int
    words: str

    @property
    def is_high(self) -> bool:
        return self.percent >= marks.MARKS[1]


def nearest(user: int) -> Nearness | None:
    """The limit that comes to its end first while one chats, from 80 % on."""
    shares = ((kind, _share(user, kind)) for kind in AT_COMPOSER)
    near = [(share.percent, kind) for kind, share in shares if share and share.percent >= NEAR]
    if not near:
        return None
    percent, kind = max(near)
    return Nearness(percent, marks.words_for(kind, percent))


def _share(user: int, kind: Kind) -> Share | None:
    limit = allowances.allowed(user, kind)
    if limit is None:
        return None
    used: Used = METERS[kind](user)
    return Share(limit * MEGABYTE if kind == Kind.STORAGE else limit, used.number)
