"""Steps whose answer is JSON and no ballot: checks of claims, options of an open question, a ranking of answers."""

from string import ascii_uppercase

from debates.models import Seat, Speech
from debates.prompts import schemas
from debates.prompts.ask import Ask, Reader, again, messages
from debates.prompts.claims import claim_line, claims_to_check
from debates.prompts.fences import clip_middle, fence, paragraphs
from debates.prompts.orders import options_as_lettered, shuffled
from debates.prompts.peers import told
from debates.prompts.question import asked, injected

COLD = 0  # temperature: these steps count and sort
CLAIM = 280  # characters
CHECK_TOKENS = 110
SPEECHES, SPEECH = 4_400, 900  # of all answers together, and of one

CHECK = (
    "Check these claims, each by itself. supported: you are sure that it is true. refuted: you are sure that it is "
    "false. unverifiable: anything else, opinions and forecasts too. Give the reason in one sentence. Answer with "
    'JSON: {"checks": [{"claim": number, "status": "supported", "refuted" or "unverifiable", "note": reason}]}'
)
FIND = (
    "List the different answers that are given there: at least two, at most five, each in one short sentence of its "
    "own, and no two that mean the same. Only answers that were given. Answer with JSON: "
    '{"options": [each answer, as a text]}'
)
RANK = (
    "Rank these answers by how well they are argued, the best first. Each letter stands once. Answer with JSON: "
    '{"ranking": [letters, the best first]}'
)


def checks(speech: Speech) -> Ask:
    reader, claims = Reader.of(speech), claims_to_check(speech)
    listed = fence("The claims", "\n".join(claim_line(claim, most=CLAIM) for claim in claims))
    schema = schemas.checks(claim.number for claim in claims)
    return _ask(
        reader, parts=[listed, injected(reader.debate), CHECK], schema=schema, tokens=100 + CHECK_TOKENS * len(claims)
    )


def options(speech: Speech) -> Ask:
    reader = Reader.of(speech)
    seed = (reader.debate.pk, reader.seat.pk)
    said = [fence(f"Agent {each.seat.alias}", text) for each, text in _clipped(shuffled(_spoken(reader), *seed))]
    return _ask(reader, parts=[paragraphs(said), FIND], schema=schemas.options(), tokens=400)


def ranking_letters(speech: Speech) -> dict[str, str]:
    """Letter → id of the seat whose answer it stands for, in an order of the reader's own; itself left out."""
    return {letter: str(seat.pk) for letter, (seat, _) in _lettered(Reader.of(speech)).items()}


def ranking(speech: Speech) -> Ask:
    reader = Reader.of(speech)
    answers = _lettered(reader)
    said = [fence(f"Answer {letter}", text) for letter, (_, text) in answers.items()]
    return _ask(reader, parts=[paragraphs(said), RANK], schema=schemas.ranking(answers), tokens=40 + 8 * len(answers))


def repair_json(speech: Speech, *, text: str, problem: str) -> Ask:
    """The same once more, with what was wrong."""
    first = {Speech.Kind.CHECKS: checks, Speech.Kind.OPTIONS: options, Speech.Kind.RANKING: ranking}
    asked_first = first[Speech.Kind(speech.kind)](speech)
    task = f"That could not be used: {problem} Answer once more, with the JSON object alone."
    return Ask(again(asked_first, text=text, task=task), format=asked_first.format, options=asked_first.options)


def _lettered(reader: Reader) -> dict[str, tuple[Seat, str]]:
    others = [speech for speech in _spoken(reader) if speech.seat_id != reader.seat.pk]
    order = shuffled(others, reader.debate.pk, reader.round.number, reader.seat.pk)
    return {letter: (each.seat, text) for letter, (each, text) in zip(ascii_uppercase, _clipped(order), strict=False)}


def _spoken(reader: Reader) -> list[Speech]:
    """The voters' last answers up to this round, by seat."""
    spoken = Speech.objects.filter(round__debate=reader.debate, kind=Speech.Kind.ANSWER, seat__votes=True)
    found = spoken.filter(round__number__lte=reader.round.number).exclude(text="")
    return list(
        found.select_related("seat", "round__debate")
        .order_by("seat__position", "-round__number")
        .distinct("seat__position")
    )


def _clipped(speeches: list[Speech]) -> list[tuple[Speech, str]]:
    most = min(SPEECH, SPEECHES // max(1, len(speeches)))
    return [(speech, clip_middle(told(speech), most=most)) for speech in speeches]


def _ask(reader: Reader, *, parts: list[str], schema: dict[str, object], tokens: int) -> Ask:
    question = asked(reader.debate, options=options_as_lettered(reader.debate, reader.seat))
    return Ask(
        messages=messages(reader.seat, question=question, task=paragraphs(parts)),
        format=schema,
        options={"temperature": COLD, "num_predict": tokens},
    )
