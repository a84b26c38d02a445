import math

import pytest

from debates.simulation import BadPanel, Panel, SimulatedAgent, expect


@pytest.mark.parametrize(
    ("figures", "words"),
    [
        ({"count": 2}, "agents: from 3 to 15, not 2"),
        ({"count": 16}, "agents: from 3 to 15, not 16"),
        ({"accuracy": 1.2}, "accuracy: from 0 to 1, not 1.2"),
        ({"conformity": -0.1}, "conformity: from 0 to 1, not -0.1"),
        ({"correlation": math.nan}, "correlation: from 0 to 1, not nan"),
        ({"options": 1}, "options: from 2 to 6, not 1"),
        ({"overconfidence": 0}, "overconfidence: from 0.01 to 100, not 0"),
        ({"failure_rate": 2}, "failure rate: from 0 to 1, not 2"),
        ({"latency": -1}, "latency: from 0 to 3600, not -1"),
    ],
)
def test_a_panel_that_cannot_be_says_which_figure_is_wrong(figures: dict[str, float], words: str) -> None:
    count = int(figures.pop("count", 5))
    with pytest.raises(BadPanel) as raised:
        Panel.of(count, **figures)  # type: ignore[arg-type]
    assert str(raised.value) == words


@pytest.mark.parametrize(
    ("asked", "words"),
    [
        ({"rounds": 0}, "rounds: from 1 to 5, the blind one included, not 0"),
        ({"debates": 0}, "debates: from 1 to 1,000,000, not 0"),
        ({"rule": "judge"}, "rule: one of plurality, majority, two-thirds, three-quarters, unanimity, not judge"),
    ],
)
def test_a_forecast_that_cannot_be_says_why(asked: dict[str, int], words: str) -> None:
    with pytest.raises(BadPanel) as raised:
        expect(Panel.of(3), **asked)  # type: ignore[arg-type]
    assert str(raised.value) == words


def test_words_leave_out_what_its_agents_do_not_share() -> None:
    panel = Panel(agents=(SimulatedAgent(), SimulatedAgent(), SimulatedAgent(accuracy=0.9)), correlation=0.25)
    assert panel.words == (
        "3 agents, 2 options, correlation 0.25, overconfidence 1, stubbornness 0, conformity 0, insight 0, "
        "failure rate 0, latency 0"
    )
    assert panel.accuracy == pytest.approx(0.7667, abs=1e-4)
