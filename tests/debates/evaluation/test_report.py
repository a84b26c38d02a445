from io import StringIO

from rich.console import Console

from debates.evaluation.items import Item
from debates.evaluation.report import as_group, as_markdown, sections
from debates.evaluation.results import Cost, Moved
from tests.debates.evaluation.results_of import result

EASY = Item(id="easy", question="?", options=("A", "B"), answer="A", topic="units", level="1")
RESULTS = [
    result("AAAB", ["AAB", "AAA"], decided="A", confidence=0.9, label="procedural", stop_reason="consensus", item=EASY),
    result("BAAB", ["AAB", "ABB"], moves=(Moved("A", "B", True),), costs={"vote": Cost(8, 4000, 12.34, 5)}),
    result("BBB-", ["ABB", "AAB"], moves=(Moved("B", "A", False),), failed_runs=2),
]


def markdown() -> str:
    return as_markdown(sections(RESULTS))


def rows(title: str) -> list[list[str]]:
    part = markdown().split(f"### {title}\n")[1].split("\n\n")[0]
    return [[cell.strip() for cell in line.strip("|").split("|")] for line in part.splitlines() if line.startswith("|")]


def test_accuracy_stands_beside_its_interval_and_its_price() -> None:
    assert rows("Accuracy")[2:] == [
        ["by lot", "", "33.3%", "", "", "", "", ""],
        ["single answer", "1", "33.3%", "6.1% – 79.2%", "0", "0.0", "0", "0.0"],
        ["mean of all samples", "", "41.7%", "", "", "", "", ""],
        ["blind vote of the panel", "2", "66.7%", "20.8% – 93.9%", "0", "0.0", "0", "0.0"],
        ["vote at equal calls", "1", "33.3%", "6.1% – 79.2%", "1", "2.7", "1,333", "4.1"],
        ["debate", "2", "66.7%", "20.8% – 93.9%", "0", "0.0", "0", "0.0"],
    ]


def test_help_and_hurt_and_flips_are_told() -> None:
    assert rows("Help and hurt")[2:] == [
        ["blind vote right", "1", "1 (hurt)"],
        ["blind vote wrong", "1 (helped)", "0"],
    ]
    assert rows("Flips")[2:] == [
        ["to the right answer", "1"],
        ["from the right answer", "1"],
        ["between wrong answers", "0"],
        ["with a claim new to the seat", "1 of 2"],
    ]


def test_arms_are_compared_in_pairs() -> None:
    assert rows("Arm against arm")[-1] == ["vote at equal calls", "debate", "1", "0", "1", "1", "1.000"]


def test_confidence_that_nobody_gave_is_a_dash_and_no_nought() -> None:
    found = {row[0]: row[1:] for row in rows("Confidence")[2:]}
    assert found["verdict of the debate"] == ["1", "0.900", "1.000", "0.010", "0.100"]
    assert found["stated, vote's ballots"] == ["11", "0.800", "0.455", "0.367", "0.345"]
    assert found["probed, vote's ballots"] == ["0", "–", "–", "–", "–"]


def test_the_rule_is_told_apart_from_the_leader() -> None:
    assert rows("The debate by its own rule")[2:] == [
        ["decided", "1 of 3"],
        ["right where decided", "1 of 1 (100.0%)"],
    ]


def test_what_went_wrong_is_told() -> None:
    found = dict(rows("How it went")[2:])
    assert found["debates ended by"] == "rounds 2, consensus 1"
    assert found["labels"] == "no decision 2, procedural 1"
    assert (found["abstentions"], found["runs that failed"], found["probes besides"]) == ("chosen 1", "2", "5")


def test_kinds_are_told_where_the_questions_have_any() -> None:
    assert rows("By kind of question")[2:] == [
        ["topic units", "1", "50%", "75%", "100%", "100%", "100%"],
        ["level 1", "1", "50%", "75%", "100%", "100%", "100%"],
    ]
    assert [section.title for section in sections(RESULTS[1:2])][-2:] == ["Confidence", "How it went"]


def test_the_terminal_shows_the_same_figures() -> None:
    out = StringIO()
    Console(file=out, width=200).print(as_group(sections(RESULTS)))
    for line in (row for row in rows("Accuracy") if not row[0].startswith("---")):
        assert all(cell in out.getvalue() for cell in line)
