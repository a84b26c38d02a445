"""What is secret, or looks like it, is written neither into a log nor into a trace."""

import re
from typing import Any

HIDDEN = "[hidden]"
NAMES = re.compile(r"password|passwd|secret|token$|authorization|cookie|session_?key|csrf|api_?key", re.IGNORECASE)
VALUES = re.compile(
    r"lob_[0-9A-Za-z]{8,}"  # keys of the API
    r"|(?<=Bearer )\S+"
    r"|(?<=/welcome/)[^/\s\"']+"  # one-time links
    r"|(?<=://)[^/\s:@]*:[^/\s@]+(?=@)"  # user:password in an address
    r"|(?<=sessionid=)\w+"
)


def redact(value: Any, *, name: str = "") -> Any:
    """The value without its secrets: all of it where its name says that it is one, else what looks like one."""
    if value and NAMES.search(name):
        return HIDDEN
    match value:
        case str():
            return VALUES.sub(HIDDEN, value)
        case dict():
            return {key: redact(inner, name=str(key)) for key, inner in value.items()}
        case list() | tuple():
            return [redact(inner) for inner in value]
        case _:
            return value
