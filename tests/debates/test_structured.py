"""JSON answers that are no ballots: read as they are meant, or refused with words; never guessed."""

import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from debates.structured import Unreadable, one_object, read_checks, read_options, read_ranking

UNQUOTED = "Expecting property name enclosed in double quotes"
LETTERS = {"A": "seat-1", "B": "seat-2", "C": "seat-3"}


@pytest.mark.parametrize(
    "text",
    ['{"a": 1}', '```json\n{"a": 1}\n```', 'Here you are:\n{"a": 1}\nI hope that helps.', ' \n{"a": 1} \n'],
)
def test_one_object_is_found_in_a_fence_and_between_words(text: str) -> None:
    assert one_object(text) == {"a": 1}


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("", "There is no JSON object in it."),
        ("I vote for A.", "There is no JSON object in it."),
        ('["A", 90]', "There is no JSON object in it."),
        ("null", "There is no JSON object in it."),
        ('{"a": 1} {"a": 2}', "There is more than one JSON object in it."),
        ('{"a": 1}\nor rather {"a": 2', "There is more than one JSON object in it."),
        ('{"a": 1, "a": 2}', "A name stands twice in the same JSON object."),
        ('{"a": NaN}', "NaN is no number."),
        ('{"a": -Infinity}', "-Infinity is no number."),
        ('{"a": ' + "9" * 5000 + "}", "It is no JSON object that can be read."),
        ('{"a": ' + "[" * 20_000, "It is no JSON object that can be read."),
        ('{"a": "' + "x" * 60_000 + '"}', "It is far too long."),
        ("{'a': 1}", f"It is no whole JSON object: {UNQUOTED} at character 1."),
        ("{__import__('os').abort()}", f"It is no whole JSON object: {UNQUOTED} at character 1."),
    ],
)  # fmt: skip
def test_what_is_not_one_object_is_refused_with_words(text: str, words: str) -> None:
    with pytest.raises(Unreadable) as refusal:
        one_object(text)

    assert str(refusal.value) == words


def test_an_object_inside_of_one_that_was_cut_off_is_no_answer() -> None:
    with pytest.raises(Unreadable, match="no whole JSON object"):
        one_object('{"note": {"option": "A", "confidence": 90, "reason": "x"}, "option": "B", "conf')


def test_checks_are_read_with_their_labels() -> None:
    refuted = '{"claim": 3, "status": "refuted", "note": "It opened in 1932."}'
    supported = '{"claim": 1.0, "status": "supported", "note": ""}'

    assert read_checks(f'{{"checks": [{refuted}, {supported}]}}', {1, 3}) == [
        {"claim": 3, "status": "refuted", "note": "It opened in 1932."},
        {"claim": 1, "status": "supported", "note": ""},
    ]


def test_checks_of_claims_that_nobody_asked_about_are_dropped() -> None:
    text = (
        '{"checks": [{"claim": 9, "status": "refuted", "note": ""}, {"claim": 1, "status": "supported", "note": ""}]}'
    )

    assert [check["claim"] for check in read_checks(text, {1})] == [1]


def test_a_long_note_is_cut_and_cleaned() -> None:
    text = '{"checks": [{"claim": 1, "status": "refuted", "note": "no\\u0000pe\\ud800 ' + "x" * 300 + '"}]}'

    note = read_checks(text, {1})[0]["note"]

    assert note.startswith("nope x")
    assert len(note) == 200


@pytest.mark.parametrize(
    ("checks", "words"),
    [
        ('"all true"', '"checks" must be a list.'),
        ("[1]", 'Each of the "checks" must be an object.'),
        ('[{"claim": "1", "status": "supported"}]', '"claim" must be the number of a claim.'),
        ('[{"claim": true, "status": "supported"}]', '"claim" must be the number of a claim.'),
        ('[{"claim": 1, "status": "true"}]', '"status" must be one of: supported, refuted, unverifiable.'),
        ('[{"claim": 1, "status": "unchecked"}]', '"status" must be one of: supported, refuted, unverifiable.'),
        ('[{"claim": 1, "status": "refuted", "note": 7}]', '"note" must be a text.'),
        (
            '[{"claim": 1, "status": "refuted"}, {"claim": 1, "status": "supported"}]',
            "Claim 1 has two labels that contradict each other.",
        ),
        ('[{"claim": 8, "status": "refuted"}]', "It labels none of the claims."),
        ("[]", "It labels none of the claims."),
    ],
)  # fmt: skip
def test_checks_that_cannot_be_read_are_refused(checks: str, words: str) -> None:
    with pytest.raises(Unreadable) as refusal:
        read_checks(f'{{"checks": {checks}}}', {1})

    assert str(refusal.value) == words


def test_options_are_distinct_whatever_their_case_and_without_other() -> None:
    text = '{"options": ["Close it.", "close it", "Repair it", "Other", "none of these", "  ", "…", "Wait\\nand see"]}'

    assert read_options(text) == ["Close it.", "Repair it", "Wait and see"]


def test_at_most_five_options_are_taken_and_long_ones_cut() -> None:
    text = '{"options": ["1", "2", "3", "4", "' + "x" * 400 + '", "6"]}'

    assert [len(option) for option in read_options(text)] == [1, 1, 1, 1, 120]


@pytest.mark.parametrize(
    "options", ['["Close it", "close it."]', '["Close it", "Other"]', "[]", '"Close it"', "[1, 2]"]
)
def test_fewer_than_two_answers_are_no_options(options: str) -> None:
    with pytest.raises(Unreadable):
        read_options(f'{{"options": {options}}}')


def test_a_ranking_names_seats_the_best_first() -> None:
    assert read_ranking('{"ranking": ["C", "a", " B "]}', LETTERS) == ["seat-3", "seat-1", "seat-2"]


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ('{"ranking": ["C", "A"]}', "Each of the letters A, B, C must stand in the ranking once."),
        ("{}", "Each of the letters A, B, C must stand in the ranking once."),
        ('{"ranking": ["C", "A", "A"]}', "A letter stands twice in the ranking."),
        ('{"ranking": ["C", "A", "D"]}', "Rank the letters A, B, C and nothing else."),
        ('{"ranking": ["C", "A", 2]}', "Rank the letters A, B, C and nothing else."),
        ('{"ranking": {"C": 1}}', '"ranking" must be a list.'),
    ],
)
def test_a_ranking_that_is_not_whole_is_refused_never_completed(text: str, words: str) -> None:
    with pytest.raises(Unreadable) as refusal:
        read_ranking(text, LETTERS)

    assert str(refusal.value) == words


KEYS = ["checks", "options", "ranking", "claim", "status", "note"]
JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text() | st.sampled_from(["A", "B", "C", "refuted"]),
    lambda inner: st.lists(inner) | st.dictionaries(st.sampled_from(KEYS), inner),
    max_leaves=12,
)


@given(st.text() | JSON.map(json.dumps))
def test_whatever_is_said_it_is_read_or_unreadable(text: str) -> None:
    for read in (
        lambda: read_checks(text, {1, 2}),
        lambda: read_options(text),
        lambda: read_ranking(text, LETTERS),
    ):
        try:
            found = read()
        except Unreadable as refusal:
            assert str(refusal)
        else:
            assert isinstance(found, list)
