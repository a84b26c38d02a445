"""Ballots, judgements and probes: the same beginning, then the answers by letter, in the seat's own order."""

from collections.abc import Iterable, Mapping

from debates.models import Ballot, Debate, Probe, Round
from debates.prompts import schemas
from debates.prompts.ask import Ask, Reader, again, messages
from debates.prompts.claims import claim_board, claim_line, known_claims, last_ballots
from debates.prompts.fences import fence, paragraphs
from debates.prompts.orders import options_as_lettered
from debates.prompts.oxford import both_sides
from debates.prompts.peers import last_words
from debates.prompts.question import asked, injected, option_line

COLD = 0  # temperature
ALTERNATIVES = 20  # as many as Ollama tells
BALLOT_TOKENS, JUDGEMENT_TOKENS = 700, 300
FOR_THE_JUDGE = 6  # claims for each option
ABSTAIN = "undecided (abstain)"

# The letters are named and the form is shown: so even small models put most of the probability on a letter.
VOTE = "Which answer do you hold right now: {letters}? Vote in secret, with JSON of this form:"
JUDGE = (
    "You are the judge. Judge by the arguments alone, not by how long they are, how often they are made or what you "
    "held before. Which answer was argued better: {letters}? Judge with JSON of this form:"
)
OPTION = '"option": letter {letters}'
RANKING = '"ranking": [all letters of answers, the best first, beginning with your option]'
CONFIDENCE = '"confidence": how sure you are that it is right, from 0 to 100'
REASON = '"reason": one sentence'
CLAIMS = '"claims": [up to three {"text": a sentence your answer rests on, "kind": fact, inference or value}]'
CITED = '"cited_claims": [numbers of the claims above that moved you]'
NONE_TO_CITE = '"cited_claims": []'
CHANGE = '"change_reason": why you changed your answer since your last vote; none if you did not'
NO_CHANGE = '"change_reason": none'
WOULD_CHANGE = '"would_change_if": what would change your mind'
LETTER_ALONE = "Which answer is right: {letters}?\n\nLetter:"


def ballot(row: Ballot) -> Ask:
    claims = citable(row)
    schema = schemas.ballot(
        letters=row.letters,
        ranked=[letter for letter, option in row.letters.items() if option is not None] if is_ranked(row) else [],
        claims=claims,
        is_blind=is_blind(row),
    )
    return _ask(row, task=_form(row, VOTE, *_fields(row, claims=claims)), schema=schema)


def _fields(row: Ballot, *, claims: list[int]) -> list[str]:
    return [
        *([RANKING] if is_ranked(row) else []),
        CONFIDENCE,
        REASON,
        CLAIMS,
        CITED if claims else NONE_TO_CITE,
        NO_CHANGE if is_blind(row) else CHANGE,
        WOULD_CHANGE,
    ]


def judgement(row: Ballot) -> Ask:
    """By a judge, who is shown what was argued and not how many hold it."""
    task = _form(row, JUDGE, CONFIDENCE, REASON, WOULD_CHANGE)
    return _ask(row, task=task, schema=schemas.judgement(letters=row.letters))


def _form(row: Ballot, task: str, *fields: str) -> str:
    """The answers by letter, what to do, and the JSON to do it with, the option first."""
    letters = _either(row.letters)
    form = ",\n".join([OPTION.format(letters=letters), *fields])
    return paragraphs([_lettered(row.letters, row.round.debate), f"{task.format(letters=letters)}\n{{{form}}}"])


def _either(letters: Iterable[str]) -> str:
    *before, last = sorted(letters)
    return f"{', '.join(before)} or {last}"


def repair(row: Ballot, *, text: str, problem: str) -> Ask:
    """The same once more, with what was wrong."""
    first = judgement(row) if row.is_judgement else ballot(row)
    task = f"That is no valid ballot: {problem} Answer once more, with the JSON object alone."
    return Ask(again(first, text=text, task=task), first.format, first.options, first.top_logprobs)


def probe(row: Probe) -> Ask:
    """The letter alone: one token on the beginning that the ballot's prompt had."""
    task = paragraphs(
        [_lettered(row.letters, row.ballot.round.debate), LETTER_ALONE.format(letters=_either(row.letters))]
    )
    options = {"temperature": COLD, "num_predict": 1}
    return Ask(_messages(row.ballot, task=task), options=options, top_logprobs=ALTERNATIVES)


def is_blind(row: Ballot) -> bool:
    return row.round.kind == Round.Kind.BLIND


def is_ranked(row: Ballot) -> bool:
    return row.round.debate.rule == "ranked" and not row.is_judgement


def citable(row: Ballot) -> list[int]:
    """Numbers of the claims that the ballot's prompt lists."""
    return [] if is_blind(row) or row.is_judgement else [claim.number for claim in known_claims(Reader.of(row))]


def _lettered(letters: Mapping[str, str | None], debate: Debate) -> str:
    lines = [
        f"{letter}: {ABSTAIN if option is None else option_line(debate, option)}"
        for letter, option in sorted(letters.items())
    ]
    return fence("The answers by letter", "\n".join(lines))


def _ask(row: Ballot, *, task: str, schema: dict[str, object]) -> Ask:
    tokens = JUDGEMENT_TOKENS if row.is_judgement else BALLOT_TOKENS
    return Ask(
        messages=_messages(row, task=task),
        format=schema,
        options={"temperature": COLD, "num_predict": tokens},
        top_logprobs=ALTERNATIVES,
    )


def _messages(row: Ballot, *, task: str) -> list[dict[str, str]]:
    reader = Reader.of(row)
    question = asked(reader.debate, options=options_as_lettered(reader.debate, reader.seat))
    seen = _argued(reader) if row.is_judgement else "" if is_blind(row) else _known(reader)
    said = "" if row.is_judgement else _own_speech(reader)
    return messages(row.seat, question=question, said=said, task=paragraphs([seen, injected(reader.debate), task]))


def _known(reader: Reader) -> str:
    """The claims it may cite, and its own last vote, so that it can say why it changed."""
    before = last_ballots(reader.debate, before=reader.round.number)
    mine = next((row for row in before if row.seat_id == reader.seat.pk and row.status == Ballot.Status.CAST), None)
    voted = f"Your last vote was for “{option_line(reader.debate, mine.option)}”." if mine else ""
    return paragraphs([claim_board(known_claims(reader), reader=reader), voted])


def _own_speech(reader: Reader) -> str:
    return last_words(reader.debate, seat=reader.seat, before=reader.round.number + 1)


def _argued(reader: Reader) -> str:
    """Oxford: a leg's speeches. Elsewhere: the claims made for every option, without names and counts."""
    return both_sides(reader) or paragraphs(
        fence(f"Argued for “{option_line(reader.debate, option)}”", "\n".join(lines))
        for option in options_as_lettered(reader.debate, reader.seat)
        if (lines := _claims_for(option, reader=reader))
    )


def _claims_for(option: str, *, reader: Reader) -> list[str]:
    claims = reader.debate.claims.filter(option=option).select_related("seat").order_by("-number")[:FOR_THE_JUDGE]
    return [f"- {claim_line(claim)}" for claim in reversed(claims)]
