"""JSON columns written and read by orjson, some eight times as fast: a field's `encoder` and `decoder`."""

import json
from typing import Any

import orjson


class JSONEncoder(json.JSONEncoder):
    """Refuses lone surrogates, as Postgres would, and nesting beyond 254; what is no number becomes null."""

    def encode(self, o: Any) -> str:
        return orjson.dumps(o).decode()


class JSONDecoder(json.JSONDecoder):
    def decode(self, s: str, *_: Any) -> Any:
        return orjson.loads(s)
