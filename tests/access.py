"""Who gets in where: what each page and each operation of the API answers to everybody who may ask."""

from dataclasses import dataclass, field
from typing import Any


@dataclass(frozen=True)
class Row:
    """The statuses that each of them gets, and what is sent."""

    anonymous: int
    bob: int
    carol: int
    alice: int
    body: dict[str, Any] = field(default_factory=dict)


def owned(done: int = 200, **body: Any) -> Row:
    """An operation on what alice owns. For the others, admins too, it is not there."""
    return Row(anonymous=401, bob=404, carol=404, alice=done, body=body)


def shared(done: int = 200, **body: Any) -> Row:
    """An operation for everybody who is signed in, on what is his own or everybody's."""
    return Row(anonymous=401, bob=done, carol=done, alice=done, body=body)


PAGE_OF_ALL = Row(anonymous=302, bob=200, carol=200, alice=200)
POST_OF_ALL = Row(anonymous=302, bob=405, carol=405, alice=405)
REDIRECT_OF_ALL = Row(anonymous=302, bob=302, carol=302, alice=302)
PAGE_OF_ALICE = Row(anonymous=302, bob=404, carol=404, alice=200)

PAGES = {
    "": PAGE_OF_ALL,
    "chat/": Row(anonymous=302, bob=302, carol=302, alice=302),
    "chat/new/": PAGE_OF_ALL,
    "chat/new/<slug:slug>/": PAGE_OF_ALL,
    "chat/sidebar/": PAGE_OF_ALL,
    "chat/messages/<uuid:pk>/": PAGE_OF_ALICE,
    "chat/<uuid:pk>/": PAGE_OF_ALICE,
    "chat/<uuid:pk>/thread/": PAGE_OF_ALICE,
    "agents.css": PAGE_OF_ALL,
    "debates/": PAGE_OF_ALL,
    "debates/new/": PAGE_OF_ALL,
    "debates/<uuid:pk>/": PAGE_OF_ALICE,
    "debates/<uuid:pk>/figures/": PAGE_OF_ALICE,
    "debates/<uuid:pk>/lanes/": PAGE_OF_ALICE,
    "debates/<uuid:pk>/print/": PAGE_OF_ALICE,
    "debates/<uuid:pk>/seats.css": PAGE_OF_ALICE,
    "shared/debates/<str:key>/": Row(anonymous=404, bob=404, carol=404, alice=404),  # with a key that is none
    "shared/debates/<str:key>/seats.css": Row(anonymous=404, bob=404, carol=404, alice=404),
    "sign-in/": Row(anonymous=200, bob=302, carol=302, alice=302),
    "sign-out/": Row(anonymous=405, bob=405, carol=405, alice=405),
    "sign-up/": Row(anonymous=404, bob=404, carol=404, alice=404),
    "sign-up/<str:token>/": Row(anonymous=404, bob=404, carol=404, alice=404),
    "sign-in/code/": REDIRECT_OF_ALL,
    "sign-in/second-factor/": REDIRECT_OF_ALL,
    "sign-in/single/": Row(anonymous=404, bob=302, carol=302, alice=302),  # there is no provider
    "sign-in/single/back/": Row(anonymous=404, bob=404, carol=404, alice=404),
    "password/": PAGE_OF_ALL,
    "password/forgotten/": Row(anonymous=200, bob=200, carol=200, alice=200),
    "password/new/<str:key>/": Row(anonymous=410, bob=410, carol=410, alice=410),  # with a key that is none
    "email/sent/": Row(anonymous=200, bob=200, carol=200, alice=200),
    "email/confirm/<str:key>/": Row(anonymous=410, bob=410, carol=410, alice=410),
    "account/": PAGE_OF_ALL,
    "account/keys/": PAGE_OF_ALL,
    "account/keys/<uuid:pk>/rotate/": POST_OF_ALL,
    "account/keys/<uuid:pk>/revoke/": POST_OF_ALL,
    "account/use/": PAGE_OF_ALL,
    "account/data/": POST_OF_ALL,
    "account/delete/": PAGE_OF_ALL,
    "account/confirm/": PAGE_OF_ALL,
    "account/security/": PAGE_OF_ALL,
    "account/security/second-factor/": REDIRECT_OF_ALL,  # to the page that asks for the password again
    "account/security/second-factor/off/": REDIRECT_OF_ALL,
    "account/security/recovery-codes/": REDIRECT_OF_ALL,
    "account/security/connect/": REDIRECT_OF_ALL,
    "account/security/disconnect/": REDIRECT_OF_ALL,
    "account/sessions/": PAGE_OF_ALL,
    "account/email/": REDIRECT_OF_ALL,
    "account/invitations/": Row(anonymous=302, bob=404, carol=200, alice=404),
    "account/invitations/<uuid:pk>/revoke/": Row(anonymous=302, bob=405, carol=405, alice=405),
    "welcome/<str:token>/": Row(anonymous=410, bob=302, carol=302, alice=302),  # with a token that is none
    "audit/": Row(anonymous=302, bob=404, carol=200, alice=404),
    "audit/export/": Row(anonymous=405, bob=405, carol=405, alice=405),
    "dashboard/": Row(anonymous=302, bob=404, carol=200, alice=404),
    "dashboard/alerts/": Row(anonymous=302, bob=404, carol=200, alice=404),
    "dashboard/alerts/<uuid:pk>/acknowledge/": Row(anonymous=405, bob=405, carol=405, alice=405),
    "health": Row(anonymous=503, bob=503, carol=503, alice=503),  # no worker runs in this test
    "health/live": Row(anonymous=200, bob=200, carol=200, alice=200),
    "health/ready": Row(anonymous=503, bob=503, carol=503, alice=503),
    "health/deep": Row(anonymous=302, bob=404, carol=200, alice=404),
    "metrics": Row(anonymous=404, bob=404, carol=200, alice=404),
    "api/openapi.json": PAGE_OF_ALL,
    "api/docs": PAGE_OF_ALL,
    "api/": Row(anonymous=404, bob=404, carol=404, alice=404),
}

OPERATIONS = {
    "GET /api/agents": shared(),
    "GET /api/agents/{slug}": shared(),
    "GET /api/runs": shared(),
    "GET /api/runs/{id}": owned(),
    "POST /api/runs/{id}/cancel": owned(),
    "GET /api/conversations": shared(),
    "POST /api/conversations": shared(201, agent="analyst"),
    "GET /api/conversations/{id}": owned(),
    "PATCH /api/conversations/{id}": owned(title="Changed"),
    "DELETE /api/conversations/{id}": owned(204),
    "POST /api/conversations/{id}/restore": owned(),
    "GET /api/conversations/{id}/messages": owned(),
    "POST /api/conversations/{id}/messages": owned(201, text="Why?"),
    "GET /api/messages/{id}": owned(),
    "POST /api/messages/{id}/edit": owned(201, text="Why?"),
    "POST /api/messages/{id}/regenerate": owned(201, agent="analyst"),
    "POST /api/messages/{id}/continue": owned(),
    "POST /api/messages/{id}/retry": owned(),
    "POST /api/messages/{id}/stop": owned(),
    "GET /api/me/limits": shared(),
    "GET /api/me/keys": shared(),
    "GET /api/me/export": shared(),
    "POST /api/me/keys": shared(201, name="A script", scopes=["read"]),
    "POST /api/me/keys/{id}/rotate": owned(201),
    "DELETE /api/me/keys/{id}": owned(204),
    "GET /api/me/sessions": shared(),
    "POST /api/me/sessions/end-others": shared(),
    "DELETE /api/me/sessions/{id}": owned(204),
    "GET /api/invitations": Row(anonymous=401, bob=404, carol=200, alice=404),
    "POST /api/invitations": Row(anonymous=401, bob=404, carol=201, alice=404),
    "DELETE /api/invitations/{id}": Row(anonymous=401, bob=404, carol=204, alice=404),  # of carol's
    "GET /api/debates": shared(),
    "POST /api/debates": shared(201, question="Why?", options=["Yes", "No"], panel=[{"agent": "analyst"}] * 3),
    "GET /api/debates/protocols": shared(),
    "POST /api/debates/estimate": shared(options=["Yes", "No"], panel=[{"agent": "analyst"}] * 3),
    "GET /api/debates/{id}": owned(),
    "DELETE /api/debates/{id}": owned(204),
    "POST /api/debates/{id}/pause": owned(),
    "POST /api/debates/{id}/resume": owned(),
    "POST /api/debates/{id}/stop": owned(),
    "POST /api/debates/{id}/challenge": owned(),
    "POST /api/debates/{id}/inject": owned(201, kind="evidence", text="It rusts."),
    "POST /api/debates/{id}/options": owned(options=["Yes", "No"]),
    "POST /api/debates/{id}/fork": owned(201, after=0),
    "POST /api/debates/{id}/settle": owned(option="A"),
    "POST /api/debates/{id}/share": owned(),
    "DELETE /api/debates/{id}/share": owned(204),
    "GET /api/debates/{id}/events": owned(),
    "GET /api/debates/{id}/export": owned(),
    "GET /api/audit": Row(anonymous=401, bob=404, carol=200, alice=404),
    "GET /api/audit/export": Row(anonymous=401, bob=404, carol=200, alice=404),
    "GET /api/dashboard": Row(anonymous=401, bob=404, carol=200, alice=404),
    "GET /api/dashboard/alerts": Row(anonymous=401, bob=404, carol=200, alice=404),
    "POST /api/dashboard/alerts/{id}/acknowledge": Row(anonymous=401, bob=404, carol=404, alice=404),  # of none
    "GET /api/dashboard/history": Row(anonymous=401, bob=404, carol=200, alice=404),
}
