"""At the edge: what no page or operation should have to think of."""

from collections.abc import Callable
from http import HTTPStatus

from django.core.exceptions import BadRequest
from django.http import HttpRequest, HttpResponse, HttpResponseNotAllowed
from django.template.loader import render_to_string

from lobby.problems import MEDIA_TYPE, problem

Next = Callable[[HttpRequest], HttpResponse]

WORDS = {
    400: "The request was not understood.",
    404: "There is nothing here, or it is not yours.",
    405: "This method is not possible here.",
    500: "Something broke on our side. It is in the log; trying again is safe.",
}


def refuse_nul(get_response: Next) -> Next:
    """PostgreSQL takes no NUL in text: an address that holds one names nothing."""

    def middleware(request: HttpRequest) -> HttpResponse:
        if "\0" in request.path_info or "%00" in request.META.get("QUERY_STRING", ""):
            raise BadRequest("NUL in the address")
        return get_response(request)

    return middleware


def speak_problems(get_response: Next) -> Next:
    """Under /api/ every error is a problem document, also those that Django answers before an operation is found."""

    def middleware(request: HttpRequest) -> HttpResponse:
        response = get_response(request)
        is_error = response.status_code >= HTTPStatus.BAD_REQUEST and request.path_info.startswith("/api/")
        if not is_error or response["Content-Type"].startswith(MEDIA_TYPE):
            return response
        answer = problem(response.status_code, WORDS.get(response.status_code, response.reason_phrase))
        if "Allow" in response:
            answer["Allow"] = response["Allow"]
        return answer

    return middleware


def show_wrong_method(get_response: Next) -> Next:
    """Django answers these with an empty page."""

    def middleware(request: HttpRequest) -> HttpResponse:
        response = get_response(request)
        if isinstance(response, HttpResponseNotAllowed) and not response.content:
            response.content = render_to_string("405.html", request=request)
        return response

    return middleware
