"""What people type, at the edge: cleaned, or refused with words."""

import re

from django.conf import settings

from chat.errors import BadText, TextTooLong

MAX_TITLE = 120
ENDINGS, OPENINGS = '.,;:!?)"”’', '("“‘'
FIRST_UNSPACED = "\u2e80"  # from here on Chinese and Japanese
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


def joined(before: str, after: str) -> str:
    """A reply that was cut off, and how it goes on: a model that begins anew begins without white space.

    A space goes between two words or sentences, outside of code, in scripts that have spaces. Whether a word was cut
    in two nobody can tell; most cuts are between words.
    """
    if not before or not after:
        return before + after
    if before[-1] == after[0] == " ":
        return before + after[1:]
    ends, begins = before[-1], after[0]
    apart = (ends.isalnum() or ends in ENDINGS) and (begins.isalnum() or begins in OPENINGS)
    spaced = max(ends, begins) < FIRST_UNSPACED
    in_code = before.count("```") % 2 == 1
    return before + (" " if apart and spaced and not in_code else "") + after
