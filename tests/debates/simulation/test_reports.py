from io import StringIO
from xml.etree import ElementTree as ET

import pytest
from rich.console import Console

from debates.simulation import Panel, expect
from debates.simulation.forecasts import Curve
from debates.simulation.plots import bar, svg
from debates.simulation.reports import as_group

CURVE = Curve(agreement=[-0.1, 0.5, 1.0], right=[0.7, 0.7, 0.71], under_way=[10, 10, 4])


@pytest.mark.parametrize(
    ("value", "drawn"), [(-0.2, ""), (0, ""), (0.5, "█" * 20), (1, "█" * 40), (1.3, "█" * 40), (0.0125, "▌")]
)
def test_a_bar_is_as_long_as_its_value_and_never_outside(value: float, drawn: str) -> None:
    assert bar(value) == drawn.ljust(40)


def test_the_chart_is_well_formed_and_tells_its_figures_in_words() -> None:
    chart = ET.fromstring(svg(CURVE, title="3 < 5 & more"))
    namespace = "{http://www.w3.org/2000/svg}"
    assert chart.findtext(f"{namespace}title") == "3 < 5 & more"
    assert chart.findtext(f"{namespace}desc") == (
        "round 0: agreement -0.100, right 0.700; round 1: agreement 0.500, right 0.700; "
        "round 2: agreement 1.000, right 0.710"
    )
    lines = [line.attrib["points"] for line in chart.findall(f"{namespace}polyline")]
    assert lines[0] == "60.0,280.0 300.0,160.0 540.0,40.0"


def test_one_round_is_a_chart_too() -> None:
    assert "round 0" in svg(Curve([0.2], [0.5], [3]), title="Blind")


def printed(panel: Panel, **asked: int) -> str:
    console = Console(width=160, file=StringIO(), record=True)
    console.print(as_group(expect(panel, debates=40, **asked)))  # type: ignore[arg-type]
    return console.export_text()


def test_a_report_compares_with_condorcet_where_that_says_something() -> None:
    assert "Condorcet's theorem, so correlated, gives the blind leader 74.4%." in printed(
        Panel.of(5, accuracy=0.7, correlation=0.3)
    )
    assert "Condorcet" not in printed(Panel.of(5, options=3))
    assert "Condorcet" not in printed(Panel.of(4))


def test_a_report_of_nothing_but_failures_shows_no_figures() -> None:
    told = printed(Panel.of(3, failure_rate=1))
    assert "single answer           │     – │" in told
    assert "quorum_lost 40" in told
