"""What can go wrong with Ollama, whose fault it is, and the words for it. The tree is in the package's docstring."""

import re
from typing import Any, ClassVar, Literal

import orjson

Fault = Literal["host", "model", "caller"]

LONGEST_WORDS = 500
NESTING = 4
CLIENT_ERROR, FORBIDDEN, NOT_FOUND, SERVER_ERROR = 400, 403, 404, 500
MISSING = re.compile(r"model .*not found")
# 500s that a change of the request would cure: Ollama answers these where others say 400.
CALLERS_500 = ("invalid format", "must be of type")


class OllamaError(Exception):
    """`message` for people, `kind` for storage, `fault` and `retryable` for retry and breaker."""

    kind: ClassVar[str] = "ollama_error"
    fault: Fault = "host"
    retryable: bool = False

    def __init__(self, message: str) -> None:
        super().__init__(message)
        self.message = message


class HostUnreachable(OllamaError):
    kind = "host_unreachable"
    retryable = True


class HostBusy(OllamaError):
    kind = "host_busy"
    retryable = True


class ModelMissing(OllamaError):
    kind = "model_missing"
    fault = "caller"

    def __init__(self, model: str, *, available: list[str] | None = None) -> None:
        self.model = model
        self.available = available or []
        has = f" It has {', '.join(self.available)}." if self.available else ""
        super().__init__(f"This host has no model “{model}”.{has}")


class ModelFailed(OllamaError):
    kind = "model_failed"
    fault = "model"
    retryable = True


class ContextFull(OllamaError):
    """The prompt is longer than the context; both in tokens, 0 where the server did not say."""

    kind = "context_full"
    fault = "caller"

    def __init__(self, *, n_prompt_tokens: int = 0, n_ctx: int = 0) -> None:
        self.n_prompt_tokens = n_prompt_tokens
        self.n_ctx = n_ctx
        words = f"The conversation has {n_prompt_tokens:,} tokens and the model's context holds {n_ctx:,}."
        super().__init__(words if n_ctx else "The conversation is longer than the model's context.")


class StreamCut(OllamaError):
    kind = "stream_cut"
    retryable = True


class Stalled(OllamaError):
    """A deadline of `Deadlines` passed: `deadline` is its name, `seconds` how long it was."""

    kind = "stalled"
    WORDS: ClassVar[dict[str, str]] = {
        "first_token": "The model did not begin to answer within {} s.",
        "between": "The model fell silent for {} s in the middle of its answer.",
        "total": "The answer was not complete after {} s.",
        "answer": "The host did not answer within {} s.",
    }

    def __init__(self, deadline: str, *, seconds: float) -> None:
        self.deadline = deadline
        self.seconds = seconds
        self.retryable = deadline != "total"
        self.fault = "model" if deadline == "total" else "host"
        super().__init__(self.WORDS[deadline].format(f"{seconds:g}"))


class BadRequest(OllamaError):
    kind = "bad_request"
    fault = "caller"


class BadReply(OllamaError):
    kind = "bad_reply"

    def __init__(self, message: str, *, fault: Fault = "host") -> None:
        super().__init__(message)
        self.fault = fault


BY_STATUS: dict[int, type[OllamaError]] = {
    429: HostBusy,
    501: BadRequest,  # no vectors from a chat model
    502: HostUnreachable,  # a gateway before the host speaks
    503: HostBusy,
    504: HostUnreachable,
}


def error_for_status(status: int, body: str) -> OllamaError:
    """The typed error of an answer that is not 200 (ollama.md, rules 3, 4, 5, 10 and 14)."""
    words, details = unwrap(body)
    if full := context_error(details):
        return full
    if status == FORBIDDEN and not body:
        words = "The host refuses requests under this name (403): see its OLLAMA_HOST and OLLAMA_ORIGINS."
    return _class_for(status, words)(words or f"The host answered with HTTP status {status} and no words.")


def _class_for(status: int, words: str) -> type[OllamaError]:
    if status == NOT_FOUND and MISSING.search(words):
        return ModelMissing
    if status == SERVER_ERROR and any(sign in words for sign in CALLERS_500):
        return BadRequest
    if status in BY_STATUS:
        return BY_STATUS[status]
    if status >= SERVER_ERROR:
        return ModelFailed
    return BadRequest if status >= CLIENT_ERROR else BadReply


def error_for_line(line: dict[str, Any]) -> OllamaError:
    """The typed error of an `{"error": …}` line in a stream that began with status 200."""
    words, details = unwrap(orjson.dumps(line).decode())
    return context_error(details) or ModelFailed(words)


def unwrap(body: str) -> tuple[str, dict[str, Any]]:
    """The innermost words of an error body, and the object they stood in.

    Ollama passes on the errors of its runner as JSON inside the string of its own JSON.
    """
    words: Any = body
    details: dict[str, Any] = {}
    for _ in range(NESTING):
        parsed = words if isinstance(words, dict) else _object(words)
        if parsed is None:
            break
        details = parsed
        words = parsed.get("error", parsed.get("message", ""))
    return _for_people(words), details


def context_error(details: dict[str, Any]) -> ContextFull | None:
    match details:
        case {"type": "exceed_context_size_error", "n_prompt_tokens": int(prompt), "n_ctx": int(context)}:
            return ContextFull(n_prompt_tokens=prompt, n_ctx=context)
        case {"type": "exceed_context_size_error"}:
            return ContextFull()
    return None


def _object(text: Any) -> dict[str, Any] | None:
    try:
        parsed = orjson.loads(text)
    except orjson.JSONDecodeError:
        return None
    return parsed if isinstance(parsed, dict) else None


def _for_people(words: Any) -> str:
    text = words if isinstance(words, str) else ""
    if text.lstrip().startswith("<"):
        return "A page of HTML came instead of an answer: is it Ollama at this address?"
    return text[:LONGEST_WORDS]
