"""What a real Ollama finds wrong with a chat before it begins: status and words as recorded."""

from typing import Any

from tests.fake_ollama.models import FakeModel

WHOLE = {"num_ctx", "num_predict", "seed", "top_k"}
REAL = {"temperature", "top_p", "min_p", "repeat_penalty"}
MOST_LOGPROBS = 20


def wrong_with(request: Any, models: dict[str, FakeModel]) -> tuple[int, str] | None:
    if not isinstance(request, dict):
        return 400, "json: cannot unmarshal"
    if not isinstance(request.get("messages", []), list):
        return 400, ("json: cannot unmarshal string into Go struct field ChatRequest.messages of type []api.Message")
    name = request.get("model")
    if not name:
        return 400, "model is required"
    if name not in models:
        return 404, f"model '{name}' not found"
    return _wrong_with_fields(request, models[name])


def _wrong_with_fields(  # noqa: PLR0911 - one for each thing that may be wrong
    request: dict[str, Any], model: FakeModel
) -> tuple[int, str] | None:
    if not 0 <= request.get("top_logprobs", 0) <= MOST_LOGPROBS:
        return 400, "top_logprobs must be between 0 and 20"
    if request.get("think") and "thinking" not in model.capabilities:
        return 400, f'"{model.name}" does not support thinking'
    if request.get("tools") and "tools" not in model.capabilities:
        return 400, f"registry.ollama.ai/library/{model.name} does not support tools"
    for option, value in (request.get("options") or {}).items():
        if option in WHOLE and not isinstance(value, int):
            return 500, f'option "{option}" must be of type integer'
        if option in REAL and not isinstance(value, int | float):
            return 500, f'option "{option}" must be of type float32'
    wanted = request.get("format")
    if isinstance(wanted, str) and wanted not in ("", "json"):
        return 500, f'invalid format: "\\"{wanted}\\""; expected "json" or a valid JSON Schema object'
    return None
