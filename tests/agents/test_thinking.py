from itertools import pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st

from agents.thinking import ThinkSplitter


def split(pieces: list[str]) -> tuple[str, str]:
    splitter = ThinkSplitter()
    parts = [splitter.feed(piece) for piece in pieces]
    parts.append(splitter.feed("", last=True))
    return "".join(said for said, _ in parts), "".join(thought for _, thought in parts)


@pytest.mark.parametrize(
    ("text", "said", "thought"),
    [
        ("", "", ""),
        ("Hello.", "Hello.", ""),
        ("\n  Hello.", "\n  Hello.", ""),
        ("<think>Why?</think>Because.", "Because.", "Why?"),
        ("\n<think>\nWhy?\n\n</think>\n\nBecause.\n", "Because.\n", "Why?"),
        ("<think></think>\n\nYes", "Yes", ""),
        ("<think>a < b </think x> c</think>d", "d", "a < b </think x> c"),
        ("<think>never closed </thi", "", "never closed </thi"),
        ("<thin", "<thin", ""),
        ("<thinking>x", "<thinking>x", ""),
        ("Say <think>this</think>.", "Say <think>this</think>.", ""),
        ("<think>a</think>b <think>c</think>", "b <think>c</think>", "a"),
        ("  ", "  ", ""),
    ],
)
def test_text_is_split_the_same_whole_and_character_by_character(text: str, said: str, thought: str) -> None:
    assert split([text]) == (said, thought)
    assert split(list(text)) == (said, thought)


TEXTS = st.lists(st.sampled_from(["<think>", "</think>", "<", "</", "thi", "nk>", " ", "\n", "a"])).map("".join)


@given(TEXTS, st.data())
def test_split_does_not_depend_on_where_the_pieces_are_cut(text: str, data: st.DataObject) -> None:
    cuts = data.draw(st.lists(st.integers(0, len(text)), max_size=6).map(sorted))

    pieces = [text[start:end] for start, end in pairwise([0, *cuts, len(text)])]

    assert split(pieces) == split([text])


@given(TEXTS.filter(lambda text: not text.lstrip().startswith("<think>")))
def test_reply_without_opening_tag_is_left_as_it_is(text: str) -> None:
    assert split(list(text)) == (text, "")


def test_plain_reply_is_not_held_back() -> None:
    splitter = ThinkSplitter()

    assert splitter.feed("Red") == ("Red", "")
    assert splitter.finished


def test_thinking_is_given_as_it_comes() -> None:
    splitter = ThinkSplitter()

    assert [splitter.feed(piece) for piece in ("<think>one", " two", " three ", "four")] == [
        ("", "one"),
        ("", " two"),
        ("", " three"),
        ("", " four"),
    ]
