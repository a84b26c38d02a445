"""What `format` may be, and the JSON schema that llama.cpp is given for it."""

import json
from typing import Any

import orjson

from lobby.embedded.model_server.wire import StreamFault

# Fixed: where any white space is allowed between JSON's tokens, a small model goes on with it for ever.
SPACING = {"whitespace_flexible": False, "item_separator": ", ", "key_separator": ": "}
ANY_OBJECT = {"type": "object"}
NOT_ENFORCED = {  # what Ollama's grammar leaves out too; the caller checks the answer anyway
    *("not", "if", "then", "else", "contains", "minContains", "maxContains", "uniqueItems", "propertyNames"),
    *("dependentRequired", "dependentSchemas", "dependencies", "unevaluatedProperties", "unevaluatedItems"),
}
MAPS = ("properties", "patternProperties", "$defs", "definitions")
LISTS = ("anyOf", "oneOf", "allOf", "prefixItems")
SINGLE = ("items", "additionalProperties")


def schema_for(format: Any) -> dict[str, Any] | None:
    """None: any text. Raises StreamFault where `format` is neither "json" nor a schema that can be followed."""
    if format in (None, ""):
        return None
    if format == "json":
        return {**ANY_OBJECT, "x-guidance": SPACING}
    if not isinstance(format, dict):
        raw = orjson.dumps(format).decode()
        quoted = orjson.dumps(raw).decode()
        raise StreamFault(500, f'invalid format: {quoted}; expected "json" or a valid JSON Schema object')
    try:
        return {**strict(format), "x-guidance": SPACING}
    except RecursionError as error:
        raise refusal("too deep") from error


def refusal_of(schema: Any) -> StreamFault:
    """Why llama.cpp does not follow this schema, as far as known; in Ollama's words where it is no schema at all."""
    from jsonschema import Draft202012Validator, SchemaError  # 60 ms, and only here

    try:
        Draft202012Validator.check_schema(schema)
    except SchemaError as error:
        return refusal(f"Unrecognized schema: {at(schema, list(error.absolute_path)[:-1])}")
    except RecursionError:
        return refusal("too deep")
    return refusal(f"Unsupported schema: {at(schema, [])}")


def at(schema: Any, path: list[Any]) -> str:
    for step in path:
        schema = schema[step]
    return json.dumps(schema, separators=(",", ":"), ensure_ascii=False)


def refusal(reason: str) -> StreamFault:
    text = f"Field 'json_schema': \"json_schema\": JSON schema conversion failed:\n{reason}"
    return invalid_request(text)


def invalid_request(text: str) -> StreamFault:
    """Ollama passes llama.cpp's own answer on: JSON inside the error's text."""
    inside = {"error": {"code": 400, "message": text, "type": "invalid_request_error"}}
    return StreamFault(400, orjson.dumps(inside).decode())


def strict(schema: Any, *, is_part: bool = False) -> Any:
    """The schema with the names it gives and no others, as Ollama's grammar has it (`is_part`: of an `allOf`)."""
    if not isinstance(schema, dict):
        return schema
    found = {name: inside(name, value) for name, value in schema.items() if name not in NOT_ENFORCED}
    if "properties" in found and not is_part and "allOf" not in found:
        found.setdefault("additionalProperties", False)
    return found


def inside(name: str, value: Any) -> Any:
    if name in MAPS and isinstance(value, dict):
        return {key: strict(each) for key, each in value.items()}
    if name in LISTS and isinstance(value, list):
        return [strict(each, is_part=name == "allOf") for each in value]
    return strict(value) if name in SINGLE else value
