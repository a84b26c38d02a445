"""Two assigned sides, held in two legs of four rounds; in the second the sides are swapped."""

from debates.models import Debate, Seat, Speech
from debates.prompts.ask import Reader
from debates.prompts.claims import anonymous
from debates.prompts.fences import clean, clip_middle, fence, paragraphs
from debates.prompts.orders import shuffled
from debates.prompts.question import option_line
from debates.protocols import OXFORD_LEG

OPPOSED = 2_400  # characters of the opponents together
JUDGED = 5_000  # of both sides together
MOST_OF_ONE = 900


def leg(number: int) -> range:
    """The rounds of the leg that a round belongs to."""
    length = len(OXFORD_LEG)
    return range(number // length * length, (number // length + 1) * length)


def side_of(seat: Seat, *, debate: Debate, number: int) -> str:
    """The option it argues for in a round."""
    if number < len(OXFORD_LEG):
        return seat.side
    return next((option["id"] for option in debate.options if option["id"] != seat.side), seat.side)


def opponents(reader: Reader) -> str:
    """What the other side has said in this leg."""
    mine = side_of(reader.seat, debate=reader.debate, number=reader.round.number)
    said = [speech for speech in _speeches(reader, until=reader.round.number - 1) if _side(speech) != mine]
    if not said:
        return ""
    most = min(MOST_OF_ONE, OPPOSED // len(said))
    return paragraphs(["The other side said:", *(_fenced(speech, most=most) for speech in said)])


def both_sides(reader: Reader) -> str:
    """For the judge: a leg's speeches side by side; in the second leg the other option comes first."""
    said = _speeches(reader, until=reader.round.number)
    if not said:
        return ""
    most = min(MOST_OF_ONE, JUDGED // len(said))
    options = shuffled([option["id"] for option in reader.debate.options], reader.debate.pk, reader.seat.pk)
    if reader.round.number >= len(OXFORD_LEG):
        options.reverse()
    return paragraphs(_case(option, said, most=most) for option in options)


def _case(option: str, said: list[Speech], *, most: int) -> str:
    mine = [_fenced(speech, most=most) for speech in said if _side(speech) == option]
    words = option_line(said[0].round.debate, option)
    return paragraphs([f"The side for “{words}”:", *mine]) if mine else ""


def _speeches(reader: Reader, *, until: int) -> list[Speech]:
    """Of the reader's leg, oldest first."""
    numbers = [number for number in leg(reader.round.number) if number <= until]
    spoken = Speech.objects.filter(round__debate=reader.debate, round__number__in=numbers, kind=Speech.Kind.ANSWER)
    found = spoken.filter(seat__side__gt="").exclude(text="")
    return list(found.select_related("seat", "round__debate").order_by("round__number", "seat__position"))


def _side(speech: Speech) -> str:
    return side_of(speech.seat, debate=speech.round.debate, number=speech.round.number)


def _fenced(speech: Speech, *, most: int) -> str:
    said = anonymous(clean(speech.text), author=speech.seat, debate=speech.round.debate)
    return fence(f"Agent {speech.seat.alias}, {speech.round.get_kind_display()}", clip_middle(said, most=most))
