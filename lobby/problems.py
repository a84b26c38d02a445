"""Problem details (RFC 9457): how the REST API says that something did not work."""

from http import HTTPStatus
from typing import Any

import orjson
from django.http import HttpResponse

from lobby import correlation

MEDIA_TYPE = "application/problem+json"


def problem(status: int, detail: str, *, kind: str = "", retry_after: int | None = None, **more: Any) -> HttpResponse:
    """`detail` is for people; `kind` for programs (by default from the status, e.g. `not_found`); seconds to wait."""
    title = HTTPStatus(status).phrase
    body = {
        "type": "about:blank",
        "title": title,
        "status": status,
        "detail": detail,
        "kind": kind or title.lower().replace(" ", "_"),
        **more,
    }
    if known := correlation.request_id():
        body["request_id"] = known
    response = HttpResponse(status=status, content_type=MEDIA_TYPE)
    if retry_after is not None:
        body["retry_after"] = retry_after
        response["Retry-After"] = str(retry_after)
    response.content = orjson.dumps(body)
    return response
