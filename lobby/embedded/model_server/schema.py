"""What `format` may be, and the JSON schema that llama.cpp is given for it."""

from collections.abc import Mapping
from typing import Any

import orjson

from lobby.embedded.model_server.wire import StreamFault

# Space between JSON's tokens: at most one line and its indentation, so that a small model cannot go on with it.
WHITE_SPACE = {"whitespace_pattern": r"( |\n[ ]{0,20})?"}
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
    if format is None:
        return None
    if format == "json":
        return {**ANY_OBJECT, "x-guidance": WHITE_SPACE}
    if not isinstance(format, dict):
        raw = orjson.dumps(format).decode()
        quoted = orjson.dumps(raw).decode()
        raise StreamFault(500, f'invalid format: {quoted}; expected "json" or a valid JSON Schema object')
    validate(format)
    return {**strict(format), "x-guidance": WHITE_SPACE}


def validate(schema: Mapping[str, Any]) -> None:
    """llama.cpp as built here ignores a schema it does not understand; Ollama refuses it, and so must we."""
    from jsonschema import Draft202012Validator, SchemaError  # 60 ms, and only here

    try:
        Draft202012Validator.check_schema(schema)
    except SchemaError as error:
        raise refusal(f"Unrecognized schema: {at(schema, list(error.absolute_path)[:-1])}") from error


def at(schema: Any, path: list[Any]) -> str:
    for step in path:
        schema = schema[step]
    return orjson.dumps(schema).decode()


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
    if "(?" in str(found.get("pattern", "")):
        raise refusal(f"Unsupported pattern: {found['pattern']}")
    if "properties" in found and not is_part and "allOf" not in found:
        found.setdefault("additionalProperties", False)
    return found


def inside(name: str, value: Any) -> Any:
    if name in MAPS and isinstance(value, dict):
        return {key: strict(each) for key, each in value.items()}
    if name in LISTS and isinstance(value, list):
        return [strict(each, is_part=name == "allOf") for each in value]
    return strict(value) if name in SINGLE else value
