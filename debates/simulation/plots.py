"""Agreement and accuracy, round by round: as bars of text, and as an SVG."""

from collections.abc import Sequence
from html import escape

from rich.text import Text

from debates.simulation.forecasts import Curve

WIDTH = 40  # characters of a bar that stands for 1
EIGHTHS = " ▏▎▍▌▋▊▉"
# Paul Tol's "bright" blue and red: apart for colour-blind readers, and told by their places besides.
AGREEMENT, RIGHT = "#4477aa", "#ee6677"
LEFT, TOP, ACROSS, DOWN, MARGIN = 60, 40, 480, 240, 150


def bars(curve: Curve) -> Text:
    """Two bars per round."""
    text = Text()
    for number, (agreement, right) in enumerate(zip(curve.agreement, curve.right, strict=True)):
        text.append(f"round {number}  agreement ")
        text.append(bar(agreement), style=AGREEMENT)
        text.append(f" {agreement:.3f}\n         right     ")
        text.append(bar(right), style=RIGHT)
        text.append(f" {right:.3f}\n")
    return text


def bar(value: float) -> str:
    """Nothing below 0, where the ballots split more evenly than by lot."""
    eighths = round(max(0.0, min(1.0, value)) * WIDTH * 8)
    full, rest = divmod(eighths, 8)
    return ("█" * full + (EIGHTHS[rest] if rest else "")).ljust(WIDTH)


def svg(curve: Curve, *, title: str) -> str:
    """A chart that stands alone; what it shows is also told in its description."""
    told = "; ".join(
        f"round {number}: agreement {agreement:.3f}, right {right:.3f}"
        for number, (agreement, right) in enumerate(zip(curve.agreement, curve.right, strict=True))
    )
    parts = [
        f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {LEFT + ACROSS + MARGIN} {TOP + DOWN + 50}" '
        'role="img" font-family="sans-serif" font-size="13">',
        f"<title>{escape(title)}</title><desc>{escape(told)}</desc>",
        '<rect width="100%" height="100%" fill="#ffffff"/>',
        f'<text x="{LEFT}" y="22" font-size="14">{escape(title)}</text>',
        *_grid(len(curve.right)),
        _line(curve.agreement, colour=AGREEMENT, name="agreement", dashes=""),
        _line(curve.right, colour=RIGHT, name="right", dashes=' stroke-dasharray="7 4"'),
        "</svg>",
    ]
    return "\n".join(parts) + "\n"


def _grid(rounds: int) -> list[str]:
    found = []
    for tenths in range(0, 11, 2):
        y = _y(tenths / 10)
        found.append(f'<line x1="{LEFT}" y1="{y}" x2="{LEFT + ACROSS}" y2="{y}" stroke="#dddddd"/>')
        found.append(f'<text x="{LEFT - 10}" y="{y + 4}" text-anchor="end">{tenths / 10:.1f}</text>')
    for number in range(rounds):
        x = _x(number, rounds)
        found.append(f'<text x="{x}" y="{TOP + DOWN + 22}" text-anchor="middle">round {number}</text>')
    return found


def _line(values: Sequence[float], *, colour: str, name: str, dashes: str) -> str:
    points = [(_x(number, len(values)), _y(value)) for number, value in enumerate(values)]
    line = " ".join(f"{x},{y}" for x, y in points)
    dots = "".join(f'<circle cx="{x}" cy="{y}" r="4" fill="{colour}"/>' for x, y in points)
    x, y = points[-1]
    return (
        f'<polyline points="{line}" fill="none" stroke="{colour}" stroke-width="2"{dashes}/>{dots}'
        f'<text x="{x + 12}" y="{y + 4}" fill="{colour}">{name} {values[-1]:.2f}</text>'
    )


def _x(number: int, rounds: int) -> float:
    return round(LEFT + ACROSS * number / max(rounds - 1, 1), 1)


def _y(value: float) -> float:
    return round(TOP + DOWN * (1 - max(0.0, min(1.0, value))), 1)
