from pathlib import Path

import pytest

from debates.evaluation.items import BadItems
from debates.evaluation.kept import keep, read_kept
from debates.evaluation.results import Cost, Moved
from tests.debates.evaluation.results_of import result


def test_a_result_comes_back_as_it_was(tmp_path: Path) -> None:
    path = tmp_path / "kept.jsonl"
    assert read_kept(path) == []
    given = [
        result(
            "A-", ["AB", "BB"], moves=(Moved("A", "B", True),), costs={"vote": Cost(4, 100, 2.5, 1)}, confidence=0.5
        ),
        result(),
    ]
    for each in given:
        keep(each, path=path)
    assert read_kept(path) == given


def test_a_line_that_broke_off_is_asked_again(tmp_path: Path) -> None:
    path = tmp_path / "kept.jsonl"
    keep(result(), path=path)
    with path.open("a") as file:
        file.write('{"item": {"id"')
    assert read_kept(path) == [result()]


@pytest.mark.parametrize("text", ["no JSON\n", "{}\n", "[]\n"])
def test_another_file_is_refused(text: str, tmp_path: Path) -> None:
    path = tmp_path / "other"
    path.write_text(text)
    with pytest.raises(BadItems, match="holds no results of an evaluation"):
        read_kept(path)
