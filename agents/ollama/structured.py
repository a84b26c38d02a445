"""Replies bound to a JSON schema. `format` is not to be trusted (ollama.md, rule 8): every reply is validated."""

from collections.abc import Mapping
from typing import Any

import orjson
from jsonschema.exceptions import best_match
from jsonschema.validators import validator_for
from referencing import Registry

from agents.ollama.errors import BadReply


def parse_structured(text: str, schema: Mapping[str, Any]) -> dict[str, Any]:
    """The object that `text` is. Raises `BadReply`, in words that the model can be shown for its one repair."""
    try:
        value = orjson.loads(text)
    except orjson.JSONDecodeError as error:
        raise BadReply(f"The reply is not valid JSON: {error}", fault="model") from None
    if not isinstance(value, dict):
        raise BadReply("The reply is not a JSON object.", fault="model")
    # An empty registry: a schema never makes us fetch another one.
    wrong = best_match(validator_for(schema)(schema, registry=Registry()).iter_errors(value))
    if wrong is not None:
        raise BadReply(f"The reply breaks its schema at {wrong.json_path}: {wrong.message}", fault="model")
    return value
