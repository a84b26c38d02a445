"""What a caller asks of the server, checked in the order and with the words of Ollama."""

import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from lobby.embedded.model_server.weights import NAME, STOP
from lobby.embedded.model_server.wire import Fault, Struct, base64, check, kind_of, read, seconds

CHAT = Struct(
    "ChatRequest",
    {
        "model": ("string", "string"),
        "messages": ("array", "[]api.Message"),
        "stream": ("bool", "bool"),
        "tools": ("array", "api.Tools"),
        "options": ("object", "map[string]interface {}"),
        "truncate": ("bool", "bool"),
        "shift": ("bool", "bool"),
        "logprobs": ("bool", "bool"),
        "top_logprobs": ("number", "int"),
    },
)
MESSAGE = Struct(
    "Alias",  # the name it has where Ollama decodes it
    {
        "role": ("string", "string"),
        "content": ("string", "string"),
        "thinking": ("string", "string"),
        "images": ("array", "[]api.ImageData"),
        "tool_calls": ("array", "[]api.ToolCall"),
        "tool_name": ("string", "string"),
        "tool_call_id": ("string", "string"),
    },
)
SHOW = Struct("ShowRequest", {"model": ("string", "string"), "name": ("string", "string")})
PULL = Struct("PullRequest", {"model": ("string", "string"), "name": ("string", "string"), "stream": ("bool", "bool")})
EMBED = Struct("EmbedRequest", {"model": ("string", "string"), "dimensions": ("number", "int")})

MOST_ALTERNATIVES = 20
LEAST_CONTEXT = 4
LEVELS = ("high", "medium", "low", "max")
PART = r"[A-Za-z0-9_][A-Za-z0-9_.-]{0,79}"
MODEL = re.compile(rf"(?:(?:[A-Za-z0-9_][A-Za-z0-9_.:-]*/)?{PART}/)?{PART}(?::{PART})?")
OURS = {NAME, f"library/{NAME}", f"registry.ollama.ai/library/{NAME}"}

INTEGERS = (
    *("num_ctx", "num_batch", "num_gpu", "main_gpu", "num_thread", "draft_num_predict"),
    *("num_keep", "num_predict", "seed", "top_k", "repeat_last_n"),
)
FLOATS = ("top_p", "min_p", "typical_p", "temperature", "repeat_penalty", "presence_penalty", "frequency_penalty")
NUMBER_RANGE = 2**31 - 1


@dataclass(frozen=True)
class Message:
    role: str
    content: str
    images: list[bytes]


@dataclass(frozen=True)
class Options:
    """Ollama's names and defaults."""

    num_ctx: int = 0  # 0: what the server was started with
    num_keep: int = 4
    num_predict: int = -1
    seed: int = -1
    temperature: float = 0.8
    top_k: int = 40
    top_p: float = 0.9
    min_p: float = 0.0
    typical_p: float = 1.0
    repeat_last_n: int = 64
    repeat_penalty: float = 1.0
    presence_penalty: float = 0.0
    frequency_penalty: float = 0.0
    stop: list[str] = field(default_factory=lambda: list(STOP))


@dataclass(frozen=True)
class Chat:
    model: str
    messages: list[Message]
    given_options: Mapping[str, Any]
    format: Any
    keep_alive: float | None
    stream: bool
    thinks: bool
    has_tools: bool
    truncate: bool
    shift: bool
    logprobs: bool
    top_logprobs: int

    @property
    def is_unload(self) -> bool:
        return not self.messages and self.keep_alive == 0


def read_chat(body: bytes) -> Chat:
    """Raises Fault."""
    given = read(body, CHAT)
    chat = Chat(
        model=given.get("model", ""),
        messages=[read_message(message) for message in given.get("messages", [])],
        given_options=given.get("options", {}),
        format=given.get("format"),
        keep_alive=seconds(given["keep_alive"]) if "keep_alive" in given else None,
        stream=given.get("stream", True),
        thinks=read_think(given.get("think", False)),
        has_tools=bool(given.get("tools")),
        truncate=given.get("truncate", True),
        shift=given.get("shift", True),
        logprobs=given.get("logprobs", False),
        top_logprobs=given.get("top_logprobs", 0),
    )
    if not 0 <= chat.top_logprobs <= MOST_ALTERNATIVES:
        raise Fault(400, f"top_logprobs must be between 0 and {MOST_ALTERNATIVES}")
    return chat


def read_message(value: Any) -> Message:
    if value is None:
        value = {}
    if not isinstance(value, dict):
        raise Fault(400, f"json: cannot unmarshal {kind_of(value)} into Go value of type api.Alias")
    check(value, MESSAGE)
    images = [base64(str(image)) for image in value.get("images") or ()]
    return Message((value.get("role") or "").lower(), value.get("content") or "", images)


def read_think(value: Any) -> bool:
    if isinstance(value, bool):
        return value
    levels = ", ".join(f'"{level}"' for level in LEVELS)
    if not isinstance(value, str):
        raise Fault(400, f"think must be a boolean or string ({levels}, true, or false)")
    if value not in LEVELS:
        raise Fault(400, f'invalid think value: "{value}" (must be {levels}, true, or false)')
    return True


def read_options(given: Mapping[str, Any]) -> Options:
    """Unknown options are ignored; one of the wrong type is a Fault of status 500, though the caller's."""
    known = Options.__dataclass_fields__
    read = {name: read_option(name, value) for name, value in given.items() if value is not None}
    return Options(**{name: value for name, value in read.items() if name in known})


def read_option(name: str, value: Any) -> Any:
    is_number = isinstance(value, int | float) and not isinstance(value, bool)
    if name in INTEGERS and not is_number:
        raise Fault(500, f'option "{name}" must be of type integer')
    if name in FLOATS and not is_number:
        raise Fault(500, f'option "{name}" must be of type float32')
    if name == "use_mmap" and not isinstance(value, bool):
        raise Fault(500, f'option "{name}" must be of type boolean')
    if name == "stop":
        return read_stop(value)
    return int(max(-NUMBER_RANGE, min(value, NUMBER_RANGE))) if name in INTEGERS else value


def read_stop(value: Any) -> list[str]:
    if not isinstance(value, list):
        raise Fault(500, 'option "stop" must be of type array')
    if not all(isinstance(item, str) for item in value):
        raise Fault(500, 'option "stop" must be of an array of strings')
    return value


def is_name(text: str) -> bool:
    return MODEL.fullmatch(text) is not None


def is_ours(name: str) -> bool:
    return name.lower() in OURS


def with_tag(name: str) -> str:
    return name if ":" in name.rpartition("/")[2] else f"{name}:latest"
