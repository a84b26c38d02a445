from django.contrib.auth.decorators import login_required
from django.http import HttpRequest, HttpResponse
from django.shortcuts import render
from django.views.decorators.http import require_safe

from lobby.accounts.standing import standings


@require_safe
@login_required
def use(request: HttpRequest) -> HttpResponse:
    """What one has used of what one may."""
    return render(request, "accounts/use.html", {"standings": standings(request.user.pk)})  # type: ignore[arg-type]
