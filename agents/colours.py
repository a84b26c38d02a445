"""Agents' colours as stylesheets: the policy of the pages forbids styles in HTML."""

from collections.abc import Iterable

SRGB_LINEAR_BELOW = 0.04045


def stylesheet(attribute: str, colours: Iterable[tuple[str, str]]) -> str:
    """A rule for each (value of the attribute, #rrggbb); both are checked where they are kept."""
    rule = '[{}="{}"]{{--agent:{};--on-agent:{}}}\n'
    return "".join(rule.format(attribute, value, colour, readable_on(colour)) for value, colour in colours)


def readable_on(colour: str) -> str:
    """Black or white, whichever has more contrast (WCAG 2.2, relative luminance)."""
    red, green, blue = (_linear(int(colour[at : at + 2], 16) / 255) for at in (1, 3, 5))
    luminance = 0.2126 * red + 0.7152 * green + 0.0722 * blue
    return "#fff" if 1.05 / (luminance + 0.05) >= (luminance + 0.05) / 0.05 else "#000"


def _linear(channel: float) -> float:
    return channel / 12.92 if channel <= SRGB_LINEAR_BELOW else ((channel + 0.055) / 1.055) ** 2.4
