"""Which models a host has on disk and in memory."""

import asyncio
from collections.abc import Mapping
from dataclasses import dataclass, replace
from datetime import datetime
from typing import Any, Self

import httpx
import ollama

from agents.ollama.errors import BadReply, OllamaError
from agents.ollama.wire import get_json

NAMES_WITHIN = 3.0


@dataclass(frozen=True, slots=True)
class Model:
    """A model on a host's disk. `context_length` is the longest it was made for; `size` is in bytes."""

    name: str
    capabilities: tuple[str, ...] = ()
    context_length: int | None = None
    size: int = 0
    parameter_size: str = ""
    quantization: str = ""

    @classmethod
    def from_tag(cls, tag: Mapping[str, Any]) -> Self:
        details = tag.get("details") or {}
        return cls(
            name=tag["name"],
            capabilities=tuple(tag.get("capabilities") or ()),
            context_length=details.get("context_length"),
            size=tag.get("size", 0),
            parameter_size=details.get("parameter_size", ""),
            quantization=details.get("quantization_level", ""),
        )

    def with_shown(self, shown: ollama.ShowResponse) -> Self:
        """Completed from `/api/show`, for servers whose list tells less (ollama.md, rule 14)."""
        lengths = [value for key, value in (shown.modelinfo or {}).items() if key.endswith(".context_length")]
        return replace(
            self,
            capabilities=self.capabilities or tuple(shown.capabilities or ()),
            context_length=self.context_length or next(iter(lengths), None),
        )


@dataclass(frozen=True, slots=True)
class Loaded:
    """A model in memory, with the context it was loaded with and when it will be dropped."""

    name: str
    context_length: int | None = None
    expires_at: datetime | None = None


async def list_models(http: httpx.AsyncClient) -> list[Model]:
    tags = (await get_json(http, "/api/tags")).get("models")
    try:
        return [Model.from_tag(tag) for tag in tags or ()]
    except (AttributeError, KeyError, TypeError):
        raise BadReply("The host's list of models is not Ollama's protocol.") from None


async def model_names(http: httpx.AsyncClient) -> list[str]:
    """For the words of another error: empty where the host can't be asked."""
    try:
        async with asyncio.timeout(NAMES_WITHIN):
            return [model.name for model in await list_models(http)]
    except (OllamaError, TimeoutError):
        return []
