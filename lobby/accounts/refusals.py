"""The page that says why somebody can't come in this way, and what to do instead."""

from django.http import HttpRequest, HttpResponse
from django.shortcuts import render


def refused(request: HttpRequest, *, why: str, status: int = 403) -> HttpResponse:
    return render(request, "accounts/refused.html", {"why": why}, status=status)
