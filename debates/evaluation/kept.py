"""Results in a file, one JSON object per line, so that an evaluation that was cut off can be gone on with."""

import json
from collections.abc import Mapping
from dataclasses import asdict
from pathlib import Path
from typing import Any

from debates.evaluation.items import BadItems, Item
from debates.evaluation.results import Cost, Moved, Result, Said


def keep(result: Result, *, path: Path) -> None:
    with path.open("a", encoding="utf-8") as file:
        file.write(json.dumps(asdict(result), ensure_ascii=False) + "\n")


def read_kept(path: Path) -> list[Result]:
    """None where there is no file yet; a last line that broke off is left out. Raises BadItems."""
    if not path.exists():
        return []
    lines = path.read_text(encoding="utf-8").splitlines(keepends=True)
    try:
        return [_result(json.loads(line)) for line in lines if line.endswith("\n")]
    except (ValueError, KeyError, TypeError) as error:
        raise BadItems(f"{path} holds no results of an evaluation ({error})") from error


def _result(found: Mapping[str, Any]) -> Result:
    item = {**found["item"], "options": tuple(found["item"]["options"])}
    return Result(
        **{
            **found,
            "item": Item(**item),
            "samples": _said(found["samples"]),
            "rounds": tuple(_said(ballots) for ballots in found["rounds"]),
            "moves": tuple(Moved(**move) for move in found["moves"]),
            "costs": {arm: Cost(**cost) for arm, cost in found["costs"].items()},
        }
    )


def _said(ballots: list[dict[str, Any]]) -> tuple[Said, ...]:
    return tuple(Said(**said) for said in ballots)
