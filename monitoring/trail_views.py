"""The audit trail on a page, for whoever may read it."""

from dataclasses import replace
from typing import Any

from django import forms
from django.contrib.auth.decorators import login_required
from django.http import Http404, HttpRequest, HttpResponse, StreamingHttpResponse
from django.http.response import HttpResponseBase
from django.shortcuts import render
from django.utils import timezone
from django.views.decorators.cache import never_cache
from django.views.decorators.http import require_POST, require_safe

from lobby.accounts.permissions import may
from monitoring import trail

SHOWN = 100


def _example(text: str) -> forms.TextInput:
    return forms.TextInput(attrs={"placeholder": text})


class TrailForm(forms.Form):
    actor = forms.CharField(label="Who", required=False, max_length=150)
    action = forms.CharField(
        label="Did what", required=False, max_length=60, widget=_example("agent.changed, or agent")
    )
    kind = forms.CharField(label="To what kind", required=False, max_length=80, widget=_example("agents.agent"))
    subject = forms.CharField(label="Its id", required=False, max_length=80)
    since = forms.DateField(required=False, widget=forms.DateInput(attrs={"type": "date"}))
    until = forms.DateField(required=False, widget=forms.DateInput(attrs={"type": "date"}))
    q = forms.CharField(label="Anywhere", required=False, max_length=200)

    def asked(self) -> trail.Asked:
        """What holds of it; a field that makes no sense is said and left out."""
        self.is_valid()
        return replace(trail.Asked(), **{name: value for name, value in self.cleaned_data.items() if value})


@never_cache
@require_safe
@login_required
def audit_trail(request: HttpRequest) -> HttpResponse:
    check(request)
    form = TrailForm(request.GET, label_suffix="")
    found = trail.rows(form.asked())
    if (before := request.GET.get("before", "")).isdecimal():
        found = found.filter(pk__lt=min(int(before), 2**63 - 1))
    shown = list(found[: SHOWN + 1])
    told = trail.tell(shown[:SHOWN])
    rows = [{"event": event, "details": told[event.pk]} for event in shown[:SHOWN]]
    context: dict[str, Any] = {"form": form, "rows": rows, "has_more": len(shown) > SHOWN}
    query = request.GET.copy()
    query.pop("before", None)
    return render(request, "monitoring/audit.html", context | {"query": query.urlencode()})


@never_cache
@require_POST
@login_required
def export_audit(request: HttpRequest) -> HttpResponseBase:
    check(request)
    form: trail.Form = "jsonl" if request.POST.get("form") == "jsonl" else "csv"
    return send(request, TrailForm(request.POST).asked(), form=form)


def send(request: HttpRequest, asked: trail.Asked, *, form: trail.Form) -> StreamingHttpResponse:
    name = f"audit-{timezone.now():%Y-%m-%d}.{form}"
    headers = {"Content-Disposition": f'attachment; filename="{name}"'}
    pieces = trail.export(asked, form=form, request=request)
    return StreamingHttpResponse(pieces, content_type=trail.CONTENT_TYPES[form], headers=headers)


def check(request: HttpRequest) -> None:
    """Raises Http404."""
    if not may(request.user, trail.VIEW):
        raise Http404
