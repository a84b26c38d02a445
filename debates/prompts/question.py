"""What every prompt begins with: the question, its background and the possible answers; and what its owner added."""

from debates.models import Debate, Injection
from debates.prompts.fences import clean, clip, fence, line, paragraphs
from debates.prompts.reading import read_once

BACKGROUND = 6_000  # characters
OPTION = 200
INJECTIONS, INJECTION = 3, 400  # the newest; characters of each


def asked(debate: Debate, *, options: list[str]) -> str:
    """`options`: ids, in the order in which they are to stand; none while an open question has none yet."""
    return paragraphs([f"Question: {clean(debate.question)}", _background(debate), _answers(debate, options)])


def option_line(debate: Debate, option: str | None) -> str:
    return line(debate.option_texts.get(option or "", ""), most=OPTION)


def injected(debate: Debate) -> str:
    """What the owner put before all seats: evidence to weigh and questions to answer."""
    return paragraphs(_injection(injection) for injection in _injections(debate)[-INJECTIONS:])


@read_once
def _injections(debate: Debate) -> list[Injection]:
    return list(debate.injections.all())


def shortened(debate: Debate) -> str:
    """What the agents are not shown whole, in words for the page; empty where they are shown all."""
    found = [_cut(clean(debate.background), most=BACKGROUND, what="The background is")]
    injections = list(debate.injections.all())
    found += [_cut(clean(each.text), most=INJECTION, what=f"Added {each.kind} is") for each in injections]
    if len(injections) > INJECTIONS:
        found.append(f"Of {len(injections)} additions the agents see the newest {INJECTIONS}.")
    return " ".join(filter(None, found))


def _background(debate: Debate) -> str:
    return fence("Background", _capped(debate.background, most=BACKGROUND)) if debate.background.strip() else ""


def _answers(debate: Debate, options: list[str]) -> str:
    if not options:
        return ""
    return fence("The possible answers", "\n".join(f"- {option_line(debate, option)}" for option in options))


def _injection(injection: Injection) -> str:
    if injection.kind == Injection.Kind.QUESTION:
        return paragraphs([fence("A question from who asked", _capped(injection.text, most=INJECTION)), ANSWER_IT])
    return fence("New evidence from who asked", _capped(injection.text, most=INJECTION))


ANSWER_IT = "Answer that question too."


def _capped(text: str, *, most: int) -> str:
    whole = clean(text)
    if len(whole) <= most:
        return whole
    return f"{clip(whole, most=most)}\n[shortened: first {most:,} of {len(whole):,} characters]"


def _cut(text: str, *, most: int, what: str) -> str:
    return f"{what} shortened for the agents: first {most:,} of {len(text):,} characters." if len(text) > most else ""
