"""The environment, read once and loudly: every helper takes a default and refuses nonsense.

For each variable `X` a variable `X_FILE` may name a file that holds the value, so that secrets need not stand in the
environment.
"""

import os
from dataclasses import dataclass
from ipaddress import IPv4Network, IPv6Network, ip_network
from pathlib import Path
from urllib.parse import urlsplit

from django.core.exceptions import ImproperlyConfigured


@dataclass(frozen=True, slots=True)
class Reading:
    """What was found for a variable, and where: "default", "environment", or the name of the `_FILE` variable."""

    name: str
    value: str
    default: str
    source: str


READ: dict[str, Reading] = {}  # all that this process has asked for


def text(name: str, default: str = "") -> str:
    READ[name] = read(name, default)
    return READ[name].value


def read(name: str, default: str = "") -> Reading:
    if path := os.environ.get(f"{name}_FILE"):
        return Reading(name, _content(path, of=name), default, f"{name}_FILE")
    if value := os.environ.get(name):
        return Reading(name, value, default, "environment")
    return Reading(name, default, default, "default")


def _content(path: str, *, of: str) -> str:
    try:
        return Path(path).read_text().strip()
    except OSError as error:
        raise ImproperlyConfigured(f"{of}_FILE names {path}, which can't be read: {error.strerror}") from error


def number(name: str, default: int, *, least: int = 0) -> int:
    value = text(name, str(default))
    try:
        result = int(value)
    except ValueError:
        raise ImproperlyConfigured(f"{name} must be a whole number, not {value!r}") from None
    if result < least:
        raise ImproperlyConfigured(f"{name} must be at least {least}, not {result}")
    return result


def limit(name: str, default: int) -> int | None:
    """A whole number, or `none`: no limit."""
    return None if text(name).lower() == "none" else number(name, default)


def flag(name: str, default: bool) -> bool:
    value = text(name, "yes" if default else "no").lower()
    if value in {"1", "true", "yes", "on"}:
        return True
    if value in {"0", "false", "no", "off"}:
        return False
    raise ImproperlyConfigured(f"{name} must be yes or no, not {value!r}")


def words(name: str, default: str = "") -> list[str]:
    return [word.strip() for word in text(name, default).split(",") if word.strip()]


def choice(name: str, default: str, *, among: set[str]) -> str:
    value = text(name, default).lower()
    if value not in among:
        raise ImproperlyConfigured(f"{name} must be one of {', '.join(sorted(among))}, not {value!r}")
    return value


def address(name: str) -> str:
    """`http(s)://host[:port][/path]` without a slash at the end, or nothing."""
    value = text(name).rstrip("/")
    try:
        parts = urlsplit(value)
        good = parts.scheme in {"http", "https"} and parts.hostname and parts.port != 0 and not parts.username
    except ValueError:  # a port that is no number
        good = False
    if value and not good:
        raise ImproperlyConfigured(f"{name} must be an address such as https://lobby.example, not {value!r}")
    return value


def networks(name: str) -> list[IPv4Network | IPv6Network]:
    try:
        return [ip_network(word) for word in words(name)]
    except ValueError as error:
        raise ImproperlyConfigured(
            f"{name} must be networks such as 10.0.0.0/8, separated by commas: {error}"
        ) from None
