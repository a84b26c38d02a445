"""Lists of the REST API in pages: a cursor names the last row that was given, so rows added meanwhile shift nothing."""

from base64 import urlsafe_b64decode, urlsafe_b64encode
from typing import Any, TypeVar

import orjson
from django.core.exceptions import ValidationError
from django.db.models import Model, Q, QuerySet

from agents.errors import Refused

M = TypeVar("M", bound=Model)

SIZE = 50  # rows of a page, unless asked otherwise
MAX_SIZE = 200


class BadCursor(Refused):
    kind = "bad_cursor"
    status = 422


def page(rows: QuerySet[M], *, by: tuple[str, ...], cursor: str = "", size: int = SIZE) -> dict[str, Any]:
    """`{items, next}`: rows in descending order of the fields `by` (the last one unique); `next` is None at the end.

    Raises BadCursor.
    """
    rows = rows.order_by(*(f"-{name}" for name in by))
    if cursor:
        rows = rows.filter(_below(rows.model, by, cursor))
    found = list(rows[: size + 1])
    more = len(found) > size
    return {"items": found[:size], "next": _cursor(found[size - 1], by) if more else None}


def _cursor(row: Model, by: tuple[str, ...]) -> str:
    return urlsafe_b64encode(orjson.dumps([getattr(row, name) for name in by])).decode()


def _below(model: type[Model], by: tuple[str, ...], cursor: str) -> Q:
    values = dict(zip(by, _values(model, by, cursor), strict=True))
    below = Q()
    for position, name in enumerate(by):
        same = {earlier: values[earlier] for earlier in by[:position]}
        below |= Q(**same, **{f"{name}__lt": values[name]})
    return below


def _values(model: type[Model], by: tuple[str, ...], cursor: str) -> list[Any]:
    try:
        said = orjson.loads(urlsafe_b64decode(cursor.encode()))
        if not isinstance(said, list) or len(said) != len(by) or None in said:
            raise ValueError("not as many values as fields")  # noqa: TRY301  (one answer to whatever is wrong with it)
        return [model._meta.get_field(name).to_python(value) for name, value in zip(by, said, strict=True)]  # type: ignore[union-attr]
    except (ValueError, TypeError, ValidationError) as error:
        raise BadCursor("The cursor is not one that this list gave out; start without one.") from error
