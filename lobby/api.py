"""The REST API under /api/: a key, or session and CSRF token as the pages have them; every error a problem document."""

from http import HTTPStatus
from typing import Any

import orjson
from django.contrib.auth.decorators import login_required
from django.core.exceptions import PermissionDenied, RequestDataTooBig
from django.http import Http404, HttpRequest, HttpResponse, UnreadablePostError
from ninja import NinjaAPI, Swagger
from ninja.errors import AuthenticationError, HttpError, ValidationError
from ninja.parser import Parser
from ninja.renderers import BaseRenderer

from agents.errors import Refused
from lobby.accounts import marks
from lobby.accounts.attempts import TooManyAttempts
from lobby.accounts.bearer import Key, Session, WrongKey
from lobby.accounts.own_data import TooManyExports
from lobby.live import tally
from lobby.problems import problem

PROBLEM = {
    "description": "A problem document (RFC 9457): `detail` is for people, `kind` for programs.",
    "content": {
        "application/problem+json": {
            "schema": {
                "type": "object",
                "required": ["type", "title", "status", "detail", "kind"],
                "properties": {
                    "type": {"type": "string"},
                    "title": {"type": "string"},
                    "status": {"type": "integer"},
                    "detail": {"type": "string"},
                    "kind": {"type": "string"},
                    "request_id": {"type": "string", "description": "What the logs know it by."},
                    "retry_after": {"type": "integer", "description": "Seconds until it may work."},
                    "errors": {"type": "array", "items": {"type": "object"}},
                },
            }
        }
    },
}


class NulInText(ValueError):
    """PostgreSQL takes no NUL in text."""


class JsonParser(Parser):
    def parse_body(self, request: HttpRequest) -> Any:
        """orjson refuses lone surrogates and nesting beyond 1,024; NUL it lets through."""
        body = request.body
        data = orjson.loads(body)
        if rb"\u0000" in body and _holds_nul(data):
            raise NulInText
        return data


class JsonRenderer(BaseRenderer):
    media_type = "application/json"

    def render(self, request: HttpRequest, data: Any, *, response_status: int) -> bytes:
        return orjson.dumps(data, default=str)  # str: Django's lazy texts, pydantic's addresses


class Docs(Swagger):
    """The page that django-ninja ships, of its own files alone: nothing is asked of other sites."""

    default_settings = {"layout": "BaseLayout", "deepLinking": True, "validatorUrl": None}


class Api(NinjaAPI):
    def get_openapi_schema(self, **where: Any) -> Any:
        schema = super().get_openapi_schema(**where)
        for path in schema["paths"].values():
            for operation in path.values():
                operation["responses"]["default"] = PROBLEM
        return schema


api = Api(
    title="Agent Lobby",
    version="1",
    description=(
        "Programs send a key, made on the account page: `Authorization: Bearer lob_…`. From a browser that is signed "
        "in, requests carry its session cookie, and those that change something the `X-CSRFToken` header with the "
        "value of the `csrftoken` cookie. Where there is a key, cookies are not looked at."
    ),
    urls_namespace="api",
    auth=[Key(), Session()],
    parser=JsonParser(),
    renderer=JsonRenderer(),
    docs=Docs(),
    docs_decorator=login_required,
)
api.add_router("", "agents.api.router")
api.add_router("", "chat.api.router")
api.add_router("", "debates.api.router")
api.add_router("", "monitoring.api.router")
api.add_router("/me", "lobby.accounts.api.router")
api.add_router("/me/sessions", "lobby.accounts.session_api.router")
api.add_router("/invitations", "lobby.accounts.invitation_api.router")


@api.exception_handler(Refused)
def refused(request: HttpRequest, error: Refused) -> HttpResponse:
    if error.limit:
        tally.count("limits_hit")
        marks.refused(request.user.pk, error.limit)
    return problem(error.status, error.message, kind=error.kind, retry_after=error.retry_after)


@api.exception_handler(ValidationError)
def invalid(request: HttpRequest, error: ValidationError) -> HttpResponse:
    errors = [{"field": _field(said["loc"]), "message": said["msg"]} for said in error.errors]
    detail = " ".join(f"{said['field']}: {said['message']}." for said in errors)
    return problem(422, detail, kind="invalid", errors=errors)


@api.exception_handler(HttpError)
def http_error(request: HttpRequest, error: HttpError) -> HttpResponse:
    match error.__cause__:
        case NulInText():
            return problem(422, "The text holds a NUL character, which cannot be kept.", kind="nul_in_text")
        case orjson.JSONDecodeError() as cause:
            return problem(400, f"The body is not JSON that can be read: {cause.msg}.", kind="bad_json")
        case _ if isinstance(error, WrongKey):
            return _unauthorized(error.message, kind="wrong_key")
        case _ if isinstance(error, AuthenticationError):
            return _unauthorized("Sign in first.")
        case _ if error.status_code == HTTPStatus.FORBIDDEN:
            return problem(403, "The CSRF token is missing or wrong: reload the page and try again.", kind="csrf")
        case _:
            return problem(error.status_code, error.message)


@api.exception_handler(Http404)
def not_found(request: HttpRequest, error: Http404) -> HttpResponse:
    return problem(404, "There is nothing here, or it is not yours.")


@api.exception_handler(PermissionDenied)
def forbidden(request: HttpRequest, error: PermissionDenied) -> HttpResponse:
    return problem(403, str(error) or "You may not do this.")


@api.exception_handler(TooManyExports)
@api.exception_handler(TooManyAttempts)
def too_many(request: HttpRequest, error: TooManyAttempts | TooManyExports) -> HttpResponse:
    return problem(429, str(error), retry_after=error.retry_after)


@api.exception_handler(RequestDataTooBig)
def too_big(request: HttpRequest, error: RequestDataTooBig) -> HttpResponse:
    return problem(413, "The request is larger than 4 MiB, the limit.", kind="too_large")


@api.exception_handler(UnreadablePostError)
def cut_off(request: HttpRequest, error: UnreadablePostError) -> HttpResponse:
    return problem(400, "The request ended before it was complete.")


def _unauthorized(detail: str, *, kind: str = "") -> HttpResponse:
    answer = problem(401, detail, kind=kind)
    answer["WWW-Authenticate"] = "Bearer"
    return answer


def _field(location: tuple[Any, ...]) -> str:
    """`("body", "payload", "title")` as `title`: where it came from and what our code calls it say nothing."""
    return ".".join(map(str, location[2:] if location[:1] == ("body",) else location[1:])) or "the body"


def _holds_nul(data: Any) -> bool:
    """Not recursive: JSON may be nested deeper than Python's stack."""
    rest = [data]
    while rest:
        match rest.pop():
            case str(text) if "\0" in text:
                return True
            case dict(pairs):
                rest += [*pairs.keys(), *pairs.values()]
            case list(items):
                rest += items
    return False
