"""What people type, at the edge: cleaned, or refused with words."""

import re

from django.conf import settings

from chat.errors import BadText, TextTooLong

MAX_TITLE = 120
SURROGATE = re.compile("[\ud800-\udfff]")


def clean_question(text: str) -> str:
    """With line feeds for line ends. Raises BadText, TextTooLong."""
    return _clean(text.replace("\r\n", "\n"), what="question", most=settings.MAX_QUESTION)


def clean_title(text: str) -> str:
    """On one line. Raises BadText, TextTooLong."""
    return _clean(" ".join(text.split()), what="title", most=MAX_TITLE)


def _clean(text: str, *, what: str, most: int) -> str:
    if not text.strip():
        raise BadText(f"The {what} is empty.")
    if "\0" in text:
        raise BadText(f"The {what} holds a NUL character, which cannot be kept. Remove it and try again.")
    if SURROGATE.search(text):
        raise BadText(f"The {what} holds half of a character (a lone surrogate). Remove it and try again.")
    if len(text) > most:
        raise TextTooLong(f"The {what} has {len(text):,} characters; {most:,} is the limit.")
    return text


def first_words(text: str, *, most: int = 60) -> str:
    """The beginning on one line, cut between words where there are any."""
    line = " ".join(text[: most * 10].split())
    if len(line) <= most:
        return line
    cut = line[: most - 1]
    return (cut.rsplit(" ", 1)[0] if " " in cut[most // 2 :] else cut) + "…"
