import json
from collections import Counter
from pathlib import Path

import pytest

from debates.evaluation.items import BadItems, choose, read_items
from debates.launching import LONGEST_BACKGROUND, LONGEST_OPTION, LONGEST_QUESTION
from debates.steps import MOST_OPTIONS

GOOD = {"id": "one", "question": "Is it so?", "options": ["Yes", "No"], "answer": "Yes"}


def written(folder: Path, *lines: object) -> Path:
    path = folder / "mine.jsonl"
    path.write_text("\n".join(line if isinstance(line, str) else json.dumps(line) for line in lines))
    return path


# The shipped ones


def test_the_shipped_questions_are_many_and_of_several_kinds() -> None:
    items = read_items()
    assert len(items) >= 60
    assert Counter(item.topic for item in items).keys() == {"arithmetic", "logic", "units", "knowledge", "reading"}
    assert Counter(item.level for item in items).keys() == {"1", "2", "3"}
    assert {len(item.options) for item in items} == {2, 3, 4, 5}
    assert len({item.question for item in items}) == len(items)


def test_no_place_among_the_shipped_options_gains_by_being_first() -> None:
    fours = [item for item in read_items() if len(item.options) == 4]
    places = Counter(item.options.index(item.answer) for item in fours)
    assert min(places.values()) >= len(fours) / 4 / 2


# Somebody's own


def test_a_file_needs_four_fields_and_may_have_more(tmp_path: Path) -> None:
    more = {**GOOD, "id": 2, "background": " Known. ", "topic": "mine", "level": 3, "source": "a book"}
    plain, rich = read_items(written(tmp_path, GOOD, "", more))
    assert (plain.id, plain.options, plain.answer, plain.topic, plain.level) == ("one", ("Yes", "No"), "Yes", "", "")
    assert (rich.id, rich.background, rich.topic, rich.level) == ("2", "Known.", "mine", "3")


@pytest.mark.parametrize(
    ("line", "words"),
    [
        ("{", "no JSON (Expecting property name enclosed in double quotes)"),
        ("[" * 100_000, "no JSON (too deep)"),
        ("[1]", "no JSON object"),
        ({"id": "x", "question": "Why?"}, "without options, answer"),
        ({**GOOD, "answer": "Perhaps"}, "the answer “Perhaps” is none of the options"),
        ({**GOOD, "options": ["Yes"]}, "options must be a list of 2 to 6"),
        ({**GOOD, "options": [str(number) for number in range(7)]}, "options must be a list of 2 to 6"),
        ({**GOOD, "options": "Yes"}, "options must be a list of 2 to 6"),
        ({**GOOD, "options": ["Yes", 1]}, "the option must be a text"),
        ({**GOOD, "options": ["Yes", "yes "]}, "an option is there twice"),
        ({**GOOD, "question": " "}, "the question is empty"),
        ({**GOOD, "question": 5}, "the question must be a text"),
        ({**GOOD, "question": "a" * 4001}, "the question has 4,001 characters, 4,000 is the limit"),
        ({**GOOD, "id": ""}, "the id is empty"),
        ({**GOOD, "question": "Otherwise?"}, "the id “one” is that of line 1"),
    ],
)
def test_a_bad_line_is_named_with_what_is_wrong(line: object, words: str, tmp_path: Path) -> None:
    path = written(tmp_path, GOOD, line)
    with pytest.raises(BadItems) as raised:
        read_items(path)
    assert str(raised.value) == f"{path}: line 2: {words}"


def test_of_many_bad_lines_the_first_five_are_told(tmp_path: Path) -> None:
    with pytest.raises(BadItems, match=r"line 1: .*line 5: no JSON object \(and 2 more\)$"):
        read_items(written(tmp_path, *["1"] * 7))


def test_a_file_that_is_none_says_so(tmp_path: Path) -> None:
    binary = tmp_path / "binary"
    binary.write_bytes(b"ab\xff\xfe")
    for path, words in (
        (tmp_path / "none", "can't be read: No such file or directory"),
        (binary, r"is no text in UTF-8 \(byte 2\)"),
        (written(tmp_path, ""), "holds no question"),
    ):
        with pytest.raises(BadItems, match=words):
            read_items(path)


def test_what_can_be_read_can_be_debated() -> None:
    from debates.evaluation import items

    assert (items.MOST, items.LONGEST_QUESTION, items.LONGEST_OPTION, items.LONGEST_BACKGROUND) == (
        MOST_OPTIONS,
        LONGEST_QUESTION,
        LONGEST_OPTION,
        LONGEST_BACKGROUND,
    )


def test_the_seed_draws_and_the_file_orders() -> None:
    items = read_items()
    few = choose(items, limit=10, seed=1)
    assert few == choose(items, limit=10, seed=1)
    assert few != choose(items, limit=10, seed=2)
    assert [items.index(item) for item in few] == sorted(items.index(item) for item in few)
    assert choose(items, limit=None, seed=1) == choose(items, limit=1000, seed=1) == items
