import pytest

from chat.errors import BadText, TextTooLong
from chat.text import MAX_TITLE, clean_question, clean_title, first_words, joined


@pytest.mark.parametrize("text", ["", "   ", "\n\t\r\n", "\u2003"])
def test_an_empty_question_is_refused(text: str) -> None:
    with pytest.raises(BadText, match="The question is empty"):
        clean_question(text)


@pytest.mark.parametrize(("text", "words"), [("a\0b", "NUL"), ("a\ud800b", "surrogate"), ("\udfff", "surrogate")])
def test_characters_that_cannot_be_kept_are_refused_by_name(text: str, words: str) -> None:
    with pytest.raises(BadText, match=words):
        clean_question(text)
    with pytest.raises(BadText, match=words):
        clean_title(text)


def test_a_question_may_be_as_long_as_the_limit_and_no_longer(settings: pytest.FixtureRequest) -> None:
    settings.MAX_QUESTION = 1200  # type: ignore[attr-defined]
    assert clean_question("x" * 1200) == "x" * 1200
    with pytest.raises(TextTooLong, match="has 1,201 characters; 1,200 is the limit"):
        clean_question("x" * 1201)


def test_a_question_keeps_its_lines_and_its_white_space() -> None:
    assert clean_question("  a\r\n\tb\n😀 ") == "  a\n\tb\n😀 "


def test_a_title_is_one_line_of_at_most_120_characters() -> None:
    assert clean_title(" a\n  b ") == "a b"
    with pytest.raises(TextTooLong):
        clean_title("x" * (MAX_TITLE + 1))


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("What is\na  lease?", "What is a lease?"),
        ("word " * 40, "word word word word word word word word word word word…"),
        ("x" * 100, "x" * 59 + "…"),
        ("x" * 60, "x" * 60),
    ],
)
def test_first_words_are_cut_between_words(text: str, words: str) -> None:
    assert first_words(text) == words


@pytest.mark.parametrize(
    ("before", "after", "whole"),
    [
        ("", "Hello", "Hello"),
        ("The worker", "holds it", "The worker holds it"),
        ("One.", "Two", "One. Two"),
        ("One. ", " Two", "One. Two"),
        ("One.\n", "- two", "One.\n- two"),
        ("The lease", ", then", "The lease, then"),
        ("工人", "持有", "工人持有"),
        ("```python\nretu", "rn 1", "```python\nreturn 1"),
        ("```\nx\n```\nSo", "it is", "```\nx\n```\nSo it is"),
    ],
)
def test_what_goes_on_is_put_after_what_was_said(before: str, after: str, whole: str) -> None:
    assert joined(before, after) == whole
