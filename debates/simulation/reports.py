"""A forecast for people: what to expect of such a panel, and what not."""

from collections import Counter

from rich.console import Group, RenderableType
from rich.table import Table
from rich.text import Text

from debates.consensus import majority_accuracy
from debates.simulation.forecasts import Forecast, Share
from debates.simulation.plots import bars
from debates.statistics import wilson_interval

NONE = "–"


def as_group(forecast: Forecast) -> Group:
    parts: list[RenderableType] = [
        _accuracy(forecast),
        Text(f"{_words(forecast)}\n"),
        _decided(forecast),
        _rounds(forecast),
        Text("Agreement (beyond chance) and share of right ballots, by round\n", style="bold"),
        bars(forecast.curve),
        Text(CAVEAT),
    ]
    return Group(*parts)


CAVEAT = (
    "In a panel that only matches beliefs agreement grows and the share of right ballots does not: what it agrees on "
    "is no better than what its seats thought alone. Accuracy comes from seats that recognise a right answer "
    "(insight). Seats that join the majority make it larger, whether it is right or wrong."
)


def _accuracy(forecast: Forecast) -> Table:
    table = _table("What to expect", "", "right", "95 % (Wilson)", "decided", "right where decided")
    rows = (
        ("single answer", forecast.single, None, None),
        ("blind vote, leader", forecast.blind_leader, None, None),
        ("blind vote, by the rule", forecast.blind_rule, forecast.blind_decided, forecast.blind_rule),
        ("debate, leader", forecast.leader, None, None),
        ("debate, by the rule", forecast.rule, forecast.decided, forecast.rule),
    )
    for name, right, decided, hits in rows:
        table.add_row(name, _share(right), _interval(right, forecast), _share(decided), _of(hits, decided))
    return table


def _of(hits: Share | None, decided: Share | None) -> str:
    return "" if hits is None or decided is None else _share(Share(hits.hits, decided.hits))


def _share(share: Share | None) -> str:
    if share is None:
        return ""
    return NONE if share.value is None else f"{share.value:.1%}"


def _interval(share: Share, forecast: Forecast) -> str:
    """Answers to the same question are no independent trials: a single answer is one trial per debate."""
    hits = round((share.value or 0.0) * forecast.debates)
    low, high = wilson_interval(hits, forecast.debates)
    return f"{low:.1%} – {high:.1%}"


def _words(forecast: Forecast) -> str:
    panel, measured = forecast.panel, forecast.correlation
    told = f", measured from these votes {measured:.2f}" if measured is not None else ""
    words = [
        f"{len(panel.agents)} seats are worth {forecast.n_eff:.1f} independent votes (correlation "
        f"{panel.correlation:.2f}{told})."
    ]
    alike = len(set(panel.agents)) == 1
    if alike and panel.options == 2 and len(panel.agents) % 2:  # noqa: PLR2004  (a majority is a leader)
        chance = majority_accuracy(len(panel.agents), accuracy=panel.accuracy, correlation=panel.correlation)
        words.append(f"Condorcet's theorem, so correlated, gives the blind leader {chance:.1%}.")
    if forecast.brier is not None:
        words.append(f"Brier score of the verdict's confidence in the leader: {forecast.brier:.3f} (0 best).")
    return " ".join(words)


def _decided(forecast: Forecast) -> Table:
    kept, hurt = forecast.changed[True, True], forecast.changed[True, False]
    helped, neither = forecast.changed[False, True], forecast.changed[False, False]
    table = _table("What the debates did", "", "")
    rows = {
        "blind leader right, then right / wrong": f"{kept:,} / {hurt:,} (hurt)",
        "blind leader wrong, then right / wrong": f"{helped:,} (helped) / {neither:,}",
        "flips": _counted(forecast.flips),
        "labels": _counted(forecast.labels),
        "hollow, of those decided": _share(forecast.hollow),
        "ended by": _counted(forecast.stops),
        "ballots per debate": f"{forecast.ballots / forecast.debates:.1f}",
    }
    for name, words in rows.items():
        table.add_row(name, words)
    return table


def _counted(counts: Counter[str]) -> str:
    return ", ".join(f"{word} {count:,}" for word, count in counts.most_common()) or "none"


def _rounds(forecast: Forecast) -> Table:
    table = _table("Round by round", "round", "still held", "agreement", "share of ballots right")
    curve = forecast.curve
    for number, figures in enumerate(zip(curve.under_way, curve.agreement, curve.right, strict=True)):
        under_way, agreement, right = figures
        table.add_row(str(number), f"{under_way:,}", f"{agreement:.3f}", f"{right:.3f}")
    return table


def _table(title: str, *columns: str) -> Table:
    table = Table(title=title, title_justify="left", title_style="bold")
    for place, name in enumerate(columns):
        table.add_column(name, justify="right" if place and len(columns) > 2 else "left")  # noqa: PLR2004
    return table
