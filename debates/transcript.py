"""A debate as Markdown to read, keep and print. What people and models wrote stays where it was put, whatever it
contains: long texts within their quotations, short ones on their line, and none makes a link, an image or HTML."""

import re
from collections.abc import Iterable, Iterator

from debates.dissent import Critique, Dissent, Grounds, Holder, Position
from debates.models import Ballot, Claim, Debate, Round, Speech
from debates.protocols import PROTOCOLS
from debates.revealed import Revealed, reveal
from debates.verdicts import Verdict, conclude

MARKS = re.compile(r"([\\`*_{}\[\]<>#|!~$&^=])")
OF_A_LIST = re.compile(r"^(\d{1,9})([.)])|^([-+])")
LIVE_MARKS = re.compile(r"([\\<\[])")  # the beginnings of HTML, links and images; emphasis, lists and code may stay
LINE_END = re.compile(r"\r\n|\r|\n")


def as_markdown(debate: Debate) -> str:
    seen = reveal(debate)
    verdict = conclude(debate)
    parts = [
        _head(debate),
        _verdict(verdict, debate),
        _dissent(verdict["dissent"]),
        _panel(seen),
        *(_round(round, seen) for round in seen.rounds),
        *(_broken_off(round) for round in seen.broken_off),
        _claims(seen),
    ]
    return "\n\n".join("\n".join(lines) for part in parts if (lines := list(part))) + "\n"


def inline(text: str) -> str:
    """On one line, and nothing in it means anything to Markdown."""
    marked = MARKS.sub(r"\\\1", " ".join(text.split()))
    return OF_A_LIST.sub(lambda found: f"{found[1] or ''}\\{found[2] or found[3]}", marked)


def quote(text: str) -> str:
    """As a quotation that its own text cannot leave."""
    return "\n".join(f"> {line}".rstrip() for line in LINE_END.split(LIVE_MARKS.sub(r"\\\1", text.strip())))


def _percent(share: float | None) -> str:
    return "–" if share is None else f"{share:.0%}"


def _head(debate: Debate) -> Iterator[str]:
    yield f"# {inline(debate.question)}"
    yield ""
    held = PROTOCOLS[debate.protocol].name
    yield f"{held}, begun {debate.created_at:%Y-%m-%d %H:%M} UTC, {debate.get_status_display()}."
    if debate.forked_after is not None:
        yield f"A fork: up to round {debate.forked_after} it is another debate's."
    if debate.background.strip():
        yield f"\n{quote(debate.background)}"
    yield ""
    for id, text in debate.option_texts.items():
        yield f"- **{inline(id)}**: {inline(text)}"
    for injection in debate.injections.all():
        yield f"\nPut before all ({injection.get_kind_display()}):\n\n{quote(injection.text)}"


def _verdict(verdict: Verdict, debate: Debate) -> Iterator[str]:
    yield "## Verdict\n"
    yield f"**{inline(verdict['words'])}**\n"
    yield f"- Rule: {inline(verdict['rule_title'])}. {inline(verdict['rule_words'])}"
    if verdict["judged"]:
        yield f"- Judged: {inline(verdict['judged_words'])}"
    yield f"- Label: {verdict['label'] or 'none'}. {inline(' '.join(verdict['label_words']))}"
    yield f"- State: {inline(verdict['state_words'])}"
    yield f"- Ended: {inline(verdict['stop_words'])}"
    yield f"- Blind vote: {inline(verdict['blind']['words'])}"
    for count in verdict["counts"]:
        yield f"- {inline(count['option'])}: {count['now']} now, {count['blind']} blind"
    yield from _figures(verdict)
    if verdict["settled"]:
        yield f"- Settled: {inline(verdict['settled']['words'])}"
    if debate.summary.strip():
        yield f"\nThe Moderator's account:\n\n{quote(debate.summary)}"


def _figures(verdict: Verdict) -> Iterator[str]:
    yield f"- Confidence of the verdict: {inline(verdict['confidence']['words'])}"
    if verdict["ac"] is not None:
        yield f"- Agreement beyond chance (AC): {verdict['ac']:.2f}"
    if verdict["chance"] is not None:
        yield f"- Such a lead by lot: {verdict['chance']:.1%}"
    if verdict["support"]:
        shares = (f"{inline(option)} {_percent(share)}" for option, share in verdict["support"].items())
        yield f"- Support: {', '.join(shares)}"
    yield f"- Worth: {inline(verdict['worth']['words'])}"
    if verdict["worth"]["same_model"]:
        yield f"- {inline(verdict['worth']['same_model'])}"
    cost = verdict["cost"]
    yield (
        f"- Cost: {cost['calls']} calls, {cost['prompt_tokens']} tokens read, {cost['output_tokens']} written, "
        f"{cost['seconds']:.0f} s"
    )


def _dissent(dissent: Dissent) -> Iterator[str]:
    yield "## Dissent"
    if not any(dissent.values()):
        yield "\nNobody holds anything else, nobody moved, abstained or failed."
    for position in dissent["positions"]:
        yield from _position(position)
    if dissent["flips"]:
        yield "\n### Who moved\n"
    for flip in dissent["flips"]:
        evidence = "" if flip["is_evidenced"] else " (unevidenced)"
        yield f"- Round {flip['round']}: {inline(flip['words'])}{evidence}"
    if dissent["abstentions"] or dissent["failures"]:
        yield "\n### Abstentions and failures\n"
    for abstention in dissent["abstentions"]:
        yield f"- Round {abstention['round']}: {inline(abstention['name'])} abstained: {inline(abstention['words'])}"
    for failure in dissent["failures"]:
        what = f"{inline(failure['name'])} failed ({failure['kind']})"
        yield f"- Round {failure['round']}: {what}: {inline(failure['error'])}"


def _position(position: Position) -> Iterator[str]:
    yield f"\n### {inline(position['option'])}: {inline(position['text'])}\n"
    for holder in position["holders"]:
        yield _holder(holder)
    if position["strongest"]:
        yield f"- Strongest claim: {_grounds(position['strongest'])}"
    for critique in position["unanswered"]:
        yield _critique(critique)


def _holder(holder: Holder) -> str:
    change = f" Would change if: {inline(holder['would_change_if'])}" if holder["would_change_if"] else ""
    known_by = f"{inline(holder['role'])}, {inline(holder['model'])}, Agent {inline(holder['alias'])}"
    return f"- {inline(holder['name'])} ({known_by}), since round {holder['since']}.{change}"


def _grounds(claim: Grounds) -> str:
    return (
        f"{claim['number']}, “{inline(claim['text'])}” ({inline(claim['by'])}, round {claim['round']}, "
        f"{claim['status_words']}, cited by {claim['cited_by']})"
    )


def _critique(critique: Critique) -> str:
    return f"- Unanswered: {inline(critique['words'])} “{inline(critique['claim']['text'])}”"


def _panel(seen: Revealed) -> Iterator[str]:
    yield "## Panel\n"
    yield "| seat | role | model | told the others as | votes |"
    yield "| --- | --- | --- | --- | --- |"
    for seat in seen.seats:
        cells = [seat.name, seat.get_role_display(), seat.model, f"Agent {seat.alias}", "yes" if seat.votes else "no"]
        yield f"| {' | '.join(map(inline, cells))} |"


def _round(round: Round, seen: Revealed) -> Iterator[str]:
    yield f"## Round {round.number} ({round.get_kind_display()})"
    yield from _speeches(round.speeches.all())
    if ballots := list(round.ballots.all()):
        yield "\n### Ballots\n"
        for ballot in ballots:
            yield _ballot(ballot, seen.debate)


def _broken_off(round: Round) -> Iterator[str]:
    yield f"## Round {round.number} ({round.get_kind_display()}), broken off"
    yield from _speeches(round.speeches.all())


def _speeches(speeches: Iterable[Speech]) -> Iterator[str]:
    for speech in speeches:
        if speech.kind == Speech.Kind.VERDICT:  # it stands at the top
            continue
        kind = "" if speech.kind == Speech.Kind.ANSWER else f", {speech.get_kind_display()}"
        yield f"\n### {inline(speech.seat.name)}{kind}\n"
        if speech.text.strip():
            yield quote(speech.text)
        if speech.status == Speech.Status.FAILED:
            yield f"\nFailed: {inline(speech.error)}"


def _ballot(ballot: Ballot, debate: Debate) -> str:
    judges = " (the judge)" if ballot.is_judgement else ""
    who = f"- {inline(ballot.seat.name)}{judges}"
    if ballot.status != Ballot.Status.CAST:
        return f"{who}: abstained ({inline(ballot.abstention)})"
    text = debate.option_texts.get(ballot.option, ballot.option)
    told = [f"{who}: **{inline(ballot.option)}** {inline(text)}, {_sure(ballot)}. {inline(ballot.reason)}".rstrip()]
    if ballot.cited:
        told.append(f"Cites {', '.join(str(number) for number in ballot.cited)}.")
    if ballot.would_change_if:
        told.append(f"Would change if: {inline(ballot.would_change_if)}")
    return " ".join(told)


def _sure(ballot: Ballot) -> str:
    """Stated and measured confidence, kept apart."""
    told = ["gives no confidence" if ballot.confidence is None else f"says {ballot.confidence:.0f} %"]
    for name, belief in (("its probabilities say", ballot.measured), ("the probe says", ballot.probed)):
        if belief and ballot.option in belief:
            told.append(f"{name} {belief[ballot.option] * 100:.0f} %")
    return ", ".join(told)


def _claims(seen: Revealed) -> Iterator[str]:
    if seen.claims:
        yield "## Claims\n"
    for claim in seen.claims:
        yield _claim(claim, cited_by=len(seen.citing.get(claim.number, set()) - {claim.seat_id}))


def _claim(claim: Claim, *, cited_by: int) -> str:
    note = f": {inline(claim.note)}" if claim.note else ""
    source = f"{claim.kind}, {inline(claim.by)}, round {claim.round.number}, cited by {cited_by}"
    return f"- **{claim.number}** {inline(claim.text)} ({source}; {claim.get_status_display()}{note})"
