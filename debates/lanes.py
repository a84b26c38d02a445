"""What stands in the lanes of the stage: a seat's state, its speech of the round, and folded what it said before."""

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any

from django.utils.safestring import SafeString, mark_safe

from agents.models import Run
from debates.figures import Course, is_revealed
from debates.models import Ballot, Debate, Round, Seat, Speech
from debates.protocols import PROTOCOLS, STEPS_OF
from lobby.markdown import render

NOTHING = "<p></p>"  # of a text that shows nothing, rendered all the same
STEP_WORDS = {
    "speech": "speeches",
    "options": "options",
    "ballot": "ballots",
    "probe": "probes",
    "challenge": "challenge",
    "statistics": "statistics",
    "ranking": "rankings",
    "judge": "judgement",
    "verdict": "write-up",
}
KIND_WORDS = {
    Round.Kind.BLIND: "blind",
    Round.Kind.EXCHANGE: "exchange",
    Round.Kind.CHALLENGE: "challenge",
    Round.Kind.DELPHI: "statistics",
    Round.Kind.RANKING: "ranking",
}
SPEECH_WORDS = {
    Speech.Kind.CHALLENGE: "argues against the leader",
    Speech.Kind.CHECKS: "checks claims",
    Speech.Kind.OPTIONS: "proposes options",
    Speech.Kind.STATISTICS: "reports the statistics",
    Speech.Kind.RANKING: "ranks the others' answers",
    Speech.Kind.VERDICT: "writes up the verdict",
}
AS_DATA = frozenset({Speech.Kind.CHECKS, Speech.Kind.OPTIONS, Speech.Kind.RANKING})  # their text is JSON
STATE_WORDS = {
    "waiting": "waiting",
    "queued": "in line",
    "reading": "reading",
    "thinking": "thinking",
    "speaking": "speaking",
    "spoke": "spoke",
    "voting": "voting",
    "voted": "voted",
    "failed": "failed",
    "ended": "",
}


@dataclass(frozen=True, slots=True)
class Said:
    """A speech as it is shown. `items` instead of HTML where it is data: (lead, text)."""

    speech: Speech
    round: Round
    title: str
    html: SafeString
    items: list[tuple[str, str]]

    @property
    def is_live(self) -> bool:
        return self.speech.status == Speech.Status.WAITING


@dataclass(frozen=True, slots=True)
class Lane:
    seat: Seat
    state: str
    now: list[Said]
    earlier: list[Said]

    @property
    def words(self) -> str:
        return STATE_WORDS[self.state]

    @property
    def version(self) -> str:
        """Changes with whatever it says."""
        return " ".join(f"{said.speech.pk}{said.speech.status}{len(said.items)}" for said in self.earlier + self.now)


@dataclass(frozen=True, slots=True)
class Part:
    """A step in the bar of rounds."""

    words: str
    state: str  # done, now, ahead


@dataclass(frozen=True, slots=True)
class Stretch:
    """A round in the bar; one that may come has no number of its own yet."""

    title: str
    kind: str
    state: str
    parts: list[Part]
    number: int | None = None


def lanes_of(course: Course, *, is_replay: bool = False) -> list[Lane]:
    """Of the voters, and of whoever else has spoken."""
    spoken = _spoken(course)
    last = course.rounds[-1] if course.rounds else None
    lanes = []
    for seat in course.seats:
        said = spoken.get(seat.pk, [])
        if not (seat.votes or said):
            continue
        now = [one for one in said if last and one.round.pk == last.pk]
        state = "ended" if is_replay else state_of(seat, course=course, said=now)
        lanes.append(Lane(seat, state, now or said[-1:], said[: -max(len(now), 1)]))
    return lanes


def _spoken(course: Course) -> dict[Any, list[Said]]:
    found: dict[Any, list[Said]] = {}
    for held in course.rounds:
        for speech in held.speeches.all():
            found.setdefault(speech.seat_id, []).append(said_of(speech, held, course))
    return found


def said_of(speech: Speech, held: Round, course: Course) -> Said:
    items = _items(speech, held, course)
    html = SafeString("") if speech.kind in AS_DATA else html_of(speech)
    title = round_title(held)
    words = SPEECH_WORDS.get(Speech.Kind(speech.kind))
    return Said(speech, held, f"{title}: {words}" if words else title, html, items)


def html_of(speech: Speech) -> SafeString:
    """Rendered once, and kept."""
    if speech.text and not speech.html and speech.status != Speech.Status.WAITING:
        speech.html = render(speech.text) or NOTHING
        Speech.objects.filter(pk=speech.pk, text=speech.text).update(html=speech.html)
    return mark_safe(speech.html)  # noqa: S308  (nothing is stored there but what render returns)


def _items(speech: Speech, held: Round, course: Course) -> list[tuple[str, str]]:
    match speech.kind:
        case Speech.Kind.CHECKS:
            checked = [claim for claim in course.claims if claim.checked_in_id == held.pk]
            return [(f"{c.number}. {c.get_status_display()}", c.note or c.text) for c in checked]
        case Speech.Kind.OPTIONS if speech.status == Speech.Status.DONE:
            return [(option.id, option.text) for option in course.options]
        case Speech.Kind.RANKING if isinstance(speech.data, list) and is_revealed(held):
            names = {str(seat.pk): seat.name for seat in course.seats}
            return [(f"{place}.", names.get(str(seat), "?")) for place, seat in enumerate(speech.data, 1)]
    return []


def state_of(seat: Seat, *, course: Course, said: list[Said]) -> str:
    """What the chip of a lane says."""
    debate = course.debate
    if debate.status == Debate.Status.ENDED or not course.rounds:
        return "ended" if debate.status == Debate.Status.ENDED else "waiting"
    live = next((one for one in said if one.is_live), None)
    if live:
        return _speaking(live.speech.run)
    ballot = next((ballot for ballot in course.rounds[-1].ballots.all() if ballot.seat_id == seat.pk), None)
    if ballot:
        return "voting" if ballot.status == Ballot.Status.WAITING else "voted"
    if said:
        return "failed" if said[-1].speech.status == Speech.Status.FAILED else "spoke"
    return "waiting"


def _speaking(run: Run | None) -> str:
    if run is None or run.status == Run.Status.QUEUED:
        return "queued"
    return "speaking" if run.first_token_at else "reading"


def round_title(held: Round) -> str:
    words = KIND_WORDS.get(Round.Kind(held.kind), held.get_kind_display())
    return f"Round {held.number}, {words}"


def bar_of(course: Course) -> list[Stretch]:
    """The rounds held, and those that may follow while the debate is under way."""
    held = [_stretch(round, is_last=round is course.rounds[-1], course=course) for round in course.rounds]
    if course.debate.status == Debate.Status.ENDED:
        return held
    if step := course.debate.conclusion:
        return [*held, Stretch("Verdict", "", "now", [Part(STEP_WORDS[step], "now")])]
    return held + list(_ahead(course))


def _stretch(round: Round, *, is_last: bool, course: Course) -> Stretch:
    steps = [step for step in _steps(round, course) if step != "scored"]
    at = steps.index(round.step) if round.step in steps else len(steps)
    under_way = is_last and course.debate.status != Debate.Status.ENDED
    parts = [
        Part(STEP_WORDS[step], "done" if n < at else "now" if n == at else "ahead") for n, step in enumerate(steps)
    ]
    state = "now" if under_way and at < len(steps) else "done"
    return Stretch(
        f"Round {round.number}", KIND_WORDS.get(Round.Kind(round.kind), round.kind), state, parts, round.number
    )


def _steps(round: Round, course: Course) -> tuple[str, ...]:
    """Of this debate: no options are sought where they are given, and no probe is made where none is wanted."""
    left_out = set() if course.debate.is_open else {"options"}
    if course.debate.belief != Debate.Belief.PROBE:
        left_out.add("probe")
    return tuple(step for step in STEPS_OF[round.kind] if step not in left_out)


def _ahead(course: Course) -> Iterable[Stretch]:
    protocol, debate = PROTOCOLS[course.debate.protocol], course.debate
    if protocol.is_scripted:
        coming = list(enumerate(protocol.script))[len(course.rounds) :]
        yield from (Stretch(f"Round {number}", KIND_WORDS.get(kind, str(kind)), "ahead", []) for number, kind in coming)
        return
    challenges = sum(held.kind == Round.Kind.CHALLENGE for held in course.rounds)
    plain = len(course.rounds) - challenges
    for number in range(plain, debate.max_rounds):
        kind = KIND_WORDS[protocol.then if number else protocol.first]
        yield Stretch("Then" if number else "First", kind, "ahead", [])
    if challenges < protocol.challenges + debate.challenges_asked:
        yield Stretch("When somebody leads", "challenge", "ahead", [])
