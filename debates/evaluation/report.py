"""The report: sections of figures, once for the terminal and once as Markdown."""

from collections import Counter
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass

from rich.console import Group
from rich.table import Table
from rich.text import Text

from debates.evaluation.results import (
    ARMS,
    SOURCES,
    Arm,
    Honesty,
    Result,
    abstentions,
    by_lot,
    cost,
    flips,
    forecasts_of_debates,
    forecasts_of_samples,
    forecasts_of_verdicts,
    hits,
    honesty,
    pair,
    sample_share,
)
from debates.statistics import mcnemar_exact, wilson_interval

NAMES: dict[Arm, str] = {
    "single": "single answer",
    "blind": "blind vote of the panel",
    "vote": "vote at equal calls",
    "debate": "debate",
}
PAIRS: tuple[tuple[Arm, Arm], ...] = (
    ("single", "vote"),
    ("single", "debate"),
    ("blind", "debate"),
    ("vote", "debate"),
)
NONE = "–"


@dataclass(frozen=True, slots=True)
class Section:
    title: str
    columns: tuple[str, ...]
    rows: tuple[tuple[str, ...], ...]
    note: str = ""


def sections(results: Sequence[Result]) -> list[Section]:
    """Of at least one result."""
    made = (accuracy, decisions, comparisons, help_and_hurt, moves, confidence, by_level, ends)
    return [section for make in made if (section := make(results)).rows]


def accuracy(results: Sequence[Result]) -> Section:
    count = len(results)
    lot = ("by lot", "", f"{by_lot(results):.1%}", "", "", "", "", "")
    mean = ("  mean of all samples", "", f"{sample_share(results):.1%}", "", "", "", "", "")
    rows = [_arm(results, arm) for arm in ARMS]
    note = (
        f"{count} questions. Right is right of all of them: a tie or no answer is not right. Calls, tokens and seconds "
        "are per question; a sample is two calls, a speech and a ballot."
    )
    columns = ("arm", "right", "accuracy", "95 % (Wilson)", "no answer", "calls", "tokens", "seconds")
    return Section("Accuracy", columns, (lot, rows[0], mean, *rows[1:]), note)


def _arm(results: Sequence[Result], arm: Arm) -> tuple[str, ...]:
    right, count, spent = hits(results, arm), len(results), cost(results, arm)
    silent = sum(result.answer(arm) is None for result in results)
    return (
        NAMES[arm],
        str(right),
        f"{right / count:.1%}",
        interval(right, count),
        str(silent),
        f"{spent.calls:.1f}",
        f"{spent.tokens:,.0f}",
        f"{spent.seconds:.1f}",
    )


def interval(right: int, count: int) -> str:
    low, high = wilson_interval(right, count)
    return f"{low:.1%} – {high:.1%}"


def decisions(results: Sequence[Result]) -> Section:
    decided = [result for result in results if result.decided is not None]
    right = sum(result.decided == result.item.answer for result in decided)
    share = f"{right} of {len(decided)} ({right / len(decided):.1%})" if decided else NONE
    rows = (("decided", f"{len(decided)} of {len(results)}"), ("right where decided", share))
    return Section("The debate by its own rule", ("", ""), rows, "Elsewhere the debate's answer is its leader.")


def comparisons(results: Sequence[Result]) -> Section:
    rows = []
    for first, second in PAIRS:
        found = pair(results, first, second)
        p = mcnemar_exact(found.only_first, found.only_second)
        heads = (found.both, found.only_first, found.only_second, found.neither)
        rows.append((NAMES[first], NAMES[second], *map(str, heads), f"{p:.3f}"))
    columns = ("first", "second", "both right", "first alone", "second alone", "neither", "p (McNemar)")
    note = "p: how often arms of the same worth would differ by as much on the questions that only one got right."
    return Section("Arm against arm", columns, tuple(rows), note)


def help_and_hurt(results: Sequence[Result]) -> Section:
    found = pair(results, "blind", "debate")
    rows = (
        ("blind vote right", str(found.both), f"{found.only_first} (hurt)"),
        ("blind vote wrong", f"{found.only_second} (helped)", str(found.neither)),
    )
    return Section("Help and hurt", ("", "debate right", "debate wrong"), rows)


def moves(results: Sequence[Result]) -> Section:
    found = flips(results)
    rows = (
        ("to the right answer", str(found.to_right)),
        ("from the right answer", str(found.from_right)),
        ("between wrong answers", str(found.between_wrong)),
        ("with a claim new to the seat", f"{found.evidenced} of {found.count}"),
    )
    return Section("Flips", ("a seat moved", "times"), rows if found.count else ())


def confidence(results: Sequence[Result]) -> Section:
    found = [("verdict of the debate", honesty(forecasts_of_verdicts(results)))]
    found += [(f"{source}, vote's ballots", honesty(forecasts_of_samples(results, source))) for source in SOURCES]
    found += [
        (f"{source}, debate's last ballots", honesty(forecasts_of_debates(results, source)))
        for source in ("stated", "measured")
    ]
    note = (
        "Brier: 0 is best, .25 is what “50 %” always gets. Calibration error: mean gap of confidence and share right."
    )
    columns = ("confidence", "forecasts", "mean", "right", "Brier", "calibration error")
    return Section("Confidence", columns, tuple(_honest(name, told) for name, told in found), note)


def _honest(name: str, told: Honesty) -> tuple[str, ...]:
    return (name, str(told.count), *(_figure(value) for value in (told.mean, told.share, told.brier, told.error)))


def _figure(value: float | None) -> str:
    return NONE if value is None else f"{value:.3f}"


def by_level(results: Sequence[Result]) -> Section:
    rows = []
    for name, of in (("topic", lambda r: r.item.topic), ("level", lambda r: r.item.level)):
        rows += [(f"{name} {value}", *_shares(group)) for value, group in _grouped(results, of)]
    columns = ("questions", "count", "by lot", "mean sample", *(NAMES[arm] for arm in ARMS[1:]))
    return Section("By kind of question", columns, tuple(rows))


def _grouped(results: Sequence[Result], of: Callable[[Result], str]) -> list[tuple[str, list[Result]]]:
    values = sorted({of(result) for result in results} - {""})
    return [(value, [result for result in results if of(result) == value]) for value in values]


def _shares(group: Sequence[Result]) -> tuple[str, ...]:
    arms = (hits(group, arm) / len(group) for arm in ARMS[1:])
    return (str(len(group)), *(f"{share:.0%}" for share in (by_lot(group), sample_share(group), *arms)))


def ends(results: Sequence[Result]) -> Section:
    rows = [
        ("debates ended by", _counted(result.stop_reason or NONE for result in results)),
        ("labels", _counted(result.label or "no decision" for result in results)),
        ("rounds with ballots", _counted(str(len(result.rounds)) for result in results)),
        ("abstentions", _listed(abstentions(results))),
        ("runs that failed", str(sum(result.failed_runs for result in results))),
        ("probes besides", f"{sum(cost.probes for result in results for cost in result.costs.values()):,}"),
    ]
    return Section("How it went", ("", ""), tuple(rows))


def _counted(words: Iterable[str]) -> str:
    return _listed(Counter(words))


def _listed(counts: "Counter[str]") -> str:
    return ", ".join(f"{word} {count}" for word, count in counts.most_common()) or "none"


def as_group(found: Iterable[Section]) -> Group:
    parts: list[Table | Text] = []
    for section in found:
        table = Table(title=section.title, title_justify="left", title_style="bold")
        for place, name in enumerate(section.columns):
            table.add_column(name, justify="right" if place and len(section.columns) > 2 else "left")  # noqa: PLR2004
        for row in section.rows:
            table.add_row(*row)
        parts += [table, Text(f"{section.note}\n" if section.note else "")]
    return Group(*parts)


def as_markdown(found: Iterable[Section]) -> str:
    return "\n\n".join(_markdown(section) for section in found)


def _markdown(section: Section) -> str:
    rule = ["---", *("---:" if len(section.columns) > 2 else "---" for _ in section.columns[1:])]  # noqa: PLR2004
    lines = [f"| {' | '.join(row)} |" for row in (section.columns, rule, *section.rows)]
    return "\n".join([f"### {section.title}", "", *lines, *([f"\n{section.note}"] if section.note else [])])
