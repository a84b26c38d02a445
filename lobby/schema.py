"""What the REST API takes and gives."""

from collections.abc import Callable, Iterator
from functools import cache
from operator import attrgetter
from typing import Any, Self

import ninja
from django.db.models import Manager
from pydantic import ModelWrapValidatorHandler, model_validator


class Schema(ninja.Schema):
    """django-ninja's, in place of its way of reading: it asks a row for one field after another through a proxy, which
    was a quarter of the time that a list took. `resolve_<field>(row)` as there, without a context.

    What is neither a row nor an object of JSON is refused; there, a text is something that may have a `title`.
    """

    @model_validator(mode="wrap")
    @classmethod
    def _run_root_validator(cls, values: Any, handler: ModelWrapValidatorHandler[Self]) -> Self:
        is_row = type(values).__module__ != "builtins" and not isinstance(values, cls)
        return handler(dict(_read(cls, values)) if is_row else values)


def _read(schema: type[Schema], row: Any) -> Iterator[tuple[str, Any]]:
    for key, read in _readers(schema):
        try:
            value = read(row)
        except AttributeError:
            continue  # pydantic takes the default, or says that there is none
        if callable(value):
            value = list(value.all()) if isinstance(value, Manager) else value()
        yield key, value


@cache
def _readers(schema: type[Schema]) -> list[tuple[str, Callable[[Any], Any]]]:
    """By the names under which pydantic looks for the fields; `agent.slug` is the slug of a row's agent."""
    keys = [field.alias or name for name, field in schema.model_fields.items()]
    return [(key, getattr(schema, f"resolve_{key}", attrgetter(key))) for key in keys]
