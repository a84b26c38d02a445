"""Inline thinking: `<think>…</think>` at the start of a streamed reply, split from what is said."""

from enum import Enum, auto

OPENING = "<think>"
CLOSING = "</think>"


class _Place(Enum):
    START = auto()
    OPENED = auto()
    THINKING = auto()
    CLOSED = auto()
    REPLY = auto()


class ThinkSplitter:
    """Feed it the pieces of one reply in order; tags may arrive cut anywhere.

    Only a tag that opens the reply counts (white space before it aside): a reply may well talk about
    the tag later on. White space around the thinking is dropped, as Ollama's own parser does; nothing
    else ever is, and a block that is never closed is thinking to its end.
    """

    def __init__(self) -> None:
        self._place = _Place.START
        self._held = ""

    @property
    def finished(self) -> bool:
        """True once everything that follows is plain reply, so that it need not be fed any more."""
        return self._place is _Place.REPLY

    def feed(self, piece: str, *, last: bool = False) -> tuple[str, str]:
        """(said, thought): what can be told apart by now; the rest waits for the next piece, if there is one."""
        said = thought = ""
        text, self._held = self._held + piece, ""
        if self._place is _Place.START:
            text = self._begin(text)
        if self._place is _Place.OPENED:
            text = self._skip_space(text, then=_Place.THINKING)
        if self._place is _Place.THINKING:
            thought, text = self._think(text)
        if self._place is _Place.CLOSED:
            text = self._skip_space(text, then=_Place.REPLY)
        if self._place is _Place.REPLY:
            said = text
        if not last:
            return said, thought
        held, self._held = self._held, ""
        return (said, thought + held) if self._place is _Place.THINKING else (said + held, thought)

    def _begin(self, text: str) -> str:
        start = text.lstrip()
        if start.startswith(OPENING):
            self._place = _Place.OPENED
            return start[len(OPENING) :]
        if OPENING.startswith(start):
            self._held = text
            return ""
        self._place = _Place.REPLY
        return text

    def _skip_space(self, text: str, *, then: _Place) -> str:
        rest = text.lstrip()
        if rest:
            self._place = then
        return rest

    def _think(self, text: str) -> tuple[str, str]:
        thought, tag, rest = text.partition(CLOSING)
        if tag:
            self._place = _Place.CLOSED
            return thought.rstrip(), rest
        safe = len(text) - _held_back(text)
        self._held = text[safe:]
        return text[:safe], ""


def _held_back(text: str) -> int:
    """Characters at the end that may turn out to be the closing tag or the white space before it."""
    for length in range(min(len(CLOSING) - 1, len(text)), 0, -1):
        if CLOSING.startswith(text[-length:]):
            before = text[:-length]
            return length + len(before) - len(before.rstrip())
    return len(text) - len(text.rstrip())
