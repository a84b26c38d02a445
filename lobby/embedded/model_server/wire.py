"""How Ollama reads and writes JSON: Go's types and error texts, its times and durations, what it leaves out."""

import binascii
import re
from base64 import b64decode
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from json import JSONDecodeError, JSONDecoder
from time import time_ns
from typing import Any

import orjson

FOREVER = 292 * 365 * 86_400.0  # seconds: the longest that Go can say
KINDS: dict[type, str] = {str: "string", bool: "bool", int: "number", float: "number", list: "array", dict: "object"}
UNITS = {"ns": 1e-9, "us": 1e-6, "µs": 1e-6, "μs": 1e-6, "ms": 1e-3, "s": 1.0, "m": 60.0, "h": 3600.0}
QUANTITY = re.compile(r"(\d+\.?\d*|\.\d+)(ns|us|µs|μs|ms|s|m|h)")
SYNTAX = {
    "Expecting value": "looking for beginning of value",
    "Expecting property name enclosed in double quotes": "looking for beginning of object key string",
    "Illegal trailing comma before end of object": "looking for beginning of object key string",
    "Illegal trailing comma before end of array": "looking for beginning of value",
    "Expecting ':' delimiter": "after object key",
    "Expecting ',' delimiter": "after object key:value pair",
    "Invalid control character at": "in string literal",
}


class Fault(Exception):
    """What the caller, or the model, did wrong: answered as `{"error": text}`."""

    def __init__(self, status: int, text: str) -> None:
        super().__init__(text)
        self.status = status


class StreamFault(Fault):
    """A fault found when the headers of a stream were already decided: Ollama answers those a little differently."""


@dataclass(frozen=True)
class Struct:
    """A Go struct as its errors name it: each field's JSON kind and Go type."""

    name: str
    fields: Mapping[str, tuple[str, str]]


def read(body: bytes, struct: Struct) -> dict[str, Any]:
    """The first JSON value of a body, checked against a struct as Go's decoder does. Raises Fault (400)."""
    value = decode(body.decode(errors="replace"))
    if value is None:
        return {}
    if not isinstance(value, dict):
        raise Fault(400, f"json: cannot unmarshal {kind_of(value)} into Go value of type api.{struct.name}")
    check(value, struct)
    return {name: field for name, field in value.items() if field is not None}


def decode(text: str) -> Any:
    text = text.lstrip(" \t\r\n")
    if not text:
        raise Fault(400, "missing request body")
    try:
        value, _ = JSONDecoder(parse_float=number, parse_constant=not_json).raw_decode(text)
    except JSONDecodeError as error:
        raise Fault(400, syntax_error(text, error)) from error
    except RecursionError as error:
        raise Fault(400, "exceeded max depth") from error
    return whole_characters(value)


def syntax_error(text: str, error: JSONDecodeError) -> str:
    if error.pos >= len(text) or error.msg.startswith("Unterminated string"):
        return "unexpected EOF"
    return f"invalid character {text[error.pos]!r} {SYNTAX.get(error.msg, 'in string escape code')}"


def number(text: str) -> float:
    value = float(text)
    if value in (float("inf"), float("-inf")):
        raise Fault(400, f"json: cannot unmarshal number {text} into Go value of type float64")
    return value


def not_json(text: str) -> float:
    raise Fault(400, f"invalid character {text[0]!r} looking for beginning of value")


def whole_characters(value: Any) -> Any:
    """Halves of a UTF-16 pair are no text: replaced, as Go does."""
    match value:
        case str():
            return value.encode("utf-16", "surrogatepass").decode("utf-16", "replace")
        case list():
            return [whole_characters(item) for item in value]
        case dict():
            return {whole_characters(name): whole_characters(item) for name, item in value.items()}
        case _:
            return value


def check(value: Mapping[str, Any], struct: Struct) -> None:
    for name, field in value.items():
        kind, go_type = struct.fields.get(name, ("", ""))
        if field is None or kind in ("", kind_of(field)):
            if go_type == "int" and isinstance(field, float):
                raise mismatch(f"number {field}", struct, name, go_type)
            continue
        raise mismatch(kind_of(field), struct, name, go_type)


def mismatch(what: str, struct: Struct, name: str, go_type: str) -> Fault:
    return Fault(400, f"json: cannot unmarshal {what} into Go struct field {struct.name}.{name} of type {go_type}")


def kind_of(value: Any) -> str:
    return KINDS.get(type(value), "null")


def seconds(value: Any) -> float:
    """A duration: a number of seconds or Go's text (`1h30m`); a negative one is for ever. Raises Fault (400)."""
    if isinstance(value, str):
        value = parse_duration(value)
    elif isinstance(value, bool) or not isinstance(value, int | float):
        raise Fault(400, f"Unsupported type: '{kind_of(value)}'")
    return FOREVER if value < 0 else min(float(value), FOREVER)


def parse_duration(text: str) -> float:
    sign, rest = (-1, text[1:]) if text.startswith("-") else (1, text.removeprefix("+"))
    if rest == "0":
        return 0
    parts = QUANTITY.findall(rest)
    if rest and "".join(map("".join, parts)) == rest:
        return sign * sum(float(amount) * UNITS[unit] for amount, unit in parts)
    if re.fullmatch(r"\d+\.?\d*|\.\d+", rest):
        raise Fault(400, f'time: missing unit in duration "{text}"')
    raise Fault(400, f'time: invalid duration "{text}"')


def base64(text: str) -> bytes:
    """Raises Fault (400) that names the first byte that is not base64."""
    try:
        return b64decode(text.replace("\r", "").replace("\n", ""), validate=True)
    except binascii.Error as error:
        bad = re.search(r"[^A-Za-z0-9+/\r\n]", text)
        at = bad.start() if bad else len(text)
        raise Fault(400, f"illegal base64 data at input byte {at}") from error


def encode(value: Any) -> bytes:
    return orjson.dumps(value)


def now() -> str:
    return moment(time_ns())


def moment(nanoseconds: int) -> str:
    """RFC 3339 as Go prints it: as many digits of the second as it needs, UTC as Z."""
    whole, rest = divmod(nanoseconds, 1_000_000_000)
    fraction = f".{rest:09d}".rstrip("0").rstrip(".")
    return f"{datetime.fromtimestamp(whole, UTC):%Y-%m-%dT%H:%M:%S}{fraction}Z"


def at(time: datetime) -> str:
    return moment(int(time.timestamp()) * 1_000_000_000 + time.microsecond * 1000)
