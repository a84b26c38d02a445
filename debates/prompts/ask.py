from dataclasses import dataclass, field
from typing import Any


@dataclass(frozen=True, slots=True)
class Ask:
    """What a run is asked: its messages, the JSON schema of its answer, options on top of the agent's own."""

    messages: list[dict[str, str]]
    format: dict[str, Any] | None = None
    options: dict[str, Any] = field(default_factory=dict)
    top_logprobs: int = 0
