"""What others wrote stands in a prompt as fenced data: it cannot leave its fence, nor pass for a turn of the talk."""

import re
import unicodedata
from collections.abc import Iterable

OPENED, CLOSED = "<<<", ">>>"
FENCES = re.compile(r"[<>]{3,}")
# What templates of chat models put between turns: <|im_end|>, <end_of_turn>, </s>, [INST], <｜User｜> and the like.
# A host that reads a prompt takes them for turns wherever they stand.
TURNS = re.compile(
    r"<(?=[|｜]|/?(?:s|bos|eos|pad|unk|think|tool_call|start_of_turn|end_of_turn|start_of_role|end_of_role|sys)>|<sys)"
    r"|\[(?=/?(?:inst|system_prompt|available_tools|tool_calls|tool_results)\])",
    re.IGNORECASE,
)
UNSEEN = {"Cc", "Cf", "Cs", "Co"}
KEPT = "\n\t\u200c\u200d"  # the joiners belong to scripts and to emoji


def clean(text: str) -> str:
    """Without what cannot be seen or stored, and without anything that opens or ends a fence or a turn."""
    seen = "".join(sign for sign in text if sign in KEPT or unicodedata.category(sign) not in UNSEEN)
    unfenced = FENCES.sub(lambda match: match[0][:2], seen)
    return TURNS.sub(lambda match: "‹" if match[0] == "<" else "(", unfenced).strip()


def line(text: str, *, most: int) -> str:
    """On one line, so that it cannot begin another entry of a list."""
    return clip(" ".join(clean(text).split()), most=most)


def clip(text: str, *, most: int) -> str:
    return text if len(text) <= most else text[: most - 1].rstrip() + "…"


def clip_middle(text: str, *, most: int) -> str:
    """Its beginning and, longer, its end: that is where the conclusion of a speech stands."""
    if len(text) <= most:
        return text
    head = most // 3
    return f"{text[:head].rstrip()} […] {text[len(text) - (most - head - 5) :].lstrip()}"


def fence(label: str, text: str) -> str:
    return f"{OPENED}{label}\n{clean(text)}\n{CLOSED}"


def paragraphs(parts: Iterable[str]) -> str:
    return "\n\n".join(part for part in parts if part)
