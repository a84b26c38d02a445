"""What a debate turns out to have been worth, once it is known which option was right."""

from collections.abc import Mapping
from typing import Literal, TypedDict

Effect = Literal["helped", "hurt", "kept_right", "kept_wrong"]


class Settlement(TypedDict):
    option: str
    text: str
    is_right: bool  # what was decided; no decision is not right
    effect: Effect
    words: str


WORDS: Mapping[Effect, str] = {
    "helped": "“{}” was right: the debate helped, the blind vote had not found it.",
    "hurt": "“{}” was right: the debate hurt, the blind vote had found it.",
    "kept_right": "“{}” was right: the blind vote and the debate both found it.",
    "kept_wrong": "“{}” was right: neither the blind vote nor the debate found it.",
}


def settlement(*, right: str, decided: str | None, blind: str | None, texts: Mapping[str, str]) -> Settlement | None:
    """`decided` and `blind`: the winners by the rule, after the debate and in round 0. None: it is not settled."""
    if not right:
        return None
    effect = _effect(was=blind == right, now=decided == right)
    text = texts.get(right, right)
    words = WORDS[effect].format(text)
    return Settlement(option=right, text=text, is_right=decided == right, effect=effect, words=words)


def _effect(*, was: bool, now: bool) -> Effect:
    if was == now:
        return "kept_right" if now else "kept_wrong"
    return "helped" if now else "hurt"
