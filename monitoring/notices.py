"""Who is told of alerts: an outbox of rows, so that nobody is told twice or not at all.

A row is taken by a conditional UPDATE that also says when the next attempt is due: who dies while sending is followed
by somebody else, later. Webhooks are signed after the Standard Webhooks specification, version 1
(https://www.standardwebhooks.com).
"""

import base64
import hashlib
import hmac
import secrets
import smtplib
import time
from collections.abc import Mapping
from datetime import timedelta
from typing import Any
from uuid import uuid4

import orjson
import structlog
from django.conf import settings
from django.core.mail import EmailMessage
from django.db.models import Exists, F, OuterRef, QuerySet
from django.db.models.functions import Now

from lobby import audit, egress, sealing
from monitoring.models import Alert, Notification, Receiver
from monitoring.rules import METRICS

log = structlog.get_logger()

PAUSES = [timedelta(seconds=seconds) for seconds in (30, 60, 300, 900, 3600)]  # after each attempt but the last
BUDGET = 30.0  # seconds that one round of sending may take; the rest is for the next one
SECRET_BYTES = 24
PREFIX = "whsec_"


class NotSent(Exception):
    """Why, in words; `is_final` where trying again can't help."""

    def __init__(self, words: str, *, is_final: bool = False) -> None:
        self.is_final = is_final
        super().__init__(words)


def send_due() -> int:
    """Send what waits, oldest first; how many were sent. Raises django.db.Error."""
    give_up = time.monotonic() + BUDGET
    sent = 0
    for notice in _due().select_related("alert__rule", "receiver"):
        if time.monotonic() > give_up:
            break
        if _claim(notice):
            sent += _send(notice)
    return sent


def send_test(receiver: Receiver) -> None:
    """Raises NotSent, with words for the admin who asked."""
    _deliver(receiver, _test_message(), ident=uuid4().hex)


def new_secret(receiver: Receiver) -> str:
    """A key that signs what this webhook is sent, for its receiver to check; shown now, kept sealed."""
    secret = PREFIX + base64.b64encode(secrets.token_bytes(SECRET_BYTES)).decode()
    receiver.secret = sealing.seal(secret)
    Receiver.objects.filter(pk=receiver.pk).update(secret=receiver.secret)
    return secret


def renew_secrets() -> None:
    """Seal all with the present key, so that an old one may go. What no key opens stays, and is told of on use."""
    for receiver in Receiver.objects.exclude(secret=""):
        try:
            renewed = sealing.renew(receiver.secret)
        except sealing.NotOurs as error:
            log.warning("secret_not_renewed", receiver=str(receiver), error=str(error))
            continue
        Receiver.objects.filter(pk=receiver.pk, secret=receiver.secret).update(secret=renewed)


def sign(body: bytes, *, ident: str, at: int, secret: str) -> str:
    """The value of webhook-signature. `at` in seconds since 1970."""
    key = base64.b64decode(secret.removeprefix(PREFIX))
    digest = hmac.new(key, f"{ident}.{at}.".encode() + body, hashlib.sha256).digest()
    return f"v1,{base64.b64encode(digest).decode()}"


def _due() -> QuerySet[Notification]:
    """That something is over is told after that it began."""
    begun = Notification.objects.filter(
        alert=OuterRef("alert"), receiver=OuterRef("receiver"), event="raised", state=Notification.State.WAITING
    )
    waiting = Notification.objects.filter(state=Notification.State.WAITING, next_at__lte=Now())
    return waiting.exclude(Exists(begun), event="resolved").order_by("next_at")


def _claim(notice: Notification) -> bool:
    pause = PAUSES[min(notice.attempts, len(PAUSES) - 1)]
    unclaimed = Notification.objects.filter(pk=notice.pk, state=Notification.State.WAITING, attempts=notice.attempts)
    return unclaimed.update(attempts=F("attempts") + 1, next_at=Now() + pause) == 1


def _send(notice: Notification) -> bool:
    mine = Notification.objects.filter(pk=notice.pk, state=Notification.State.WAITING)
    try:
        _deliver(notice.receiver, _message(notice), ident=notice.pk.hex)
    except NotSent as error:
        is_over = error.is_final or notice.attempts >= len(PAUSES)
        mine.update(state=Notification.State.FAILED if is_over else Notification.State.WAITING, error=str(error))
        log.warning("notice_given_up" if is_over else "notice_not_sent", to=str(notice.receiver), error=str(error))
        if is_over:
            audit.record("notification.given-up", subject=notice.receiver, alert=str(notice.alert), error=str(error))
        return False
    mine.update(state=Notification.State.SENT, error="")
    return True


def _deliver(receiver: Receiver, message: Mapping[str, Any], *, ident: str) -> None:
    if receiver.kind == Receiver.Kind.EMAIL:
        _mail(receiver.address, message)
    else:
        _call(receiver, message, ident=ident)


def _mail(address: str, message: Mapping[str, Any]) -> None:
    if settings.MAIL is None:
        raise NotSent("No mail server is set: LOBBY_EMAIL_URL (docs/configuration.md).")
    mail = EmailMessage(subject=message["subject"], body=message["text"], to=[address])
    try:
        mail.send()
    except (OSError, smtplib.SMTPException) as error:
        raise NotSent(f"The mail server did not take it: {' '.join(str(error).split())[:300]}") from None


def _call(receiver: Receiver, message: Mapping[str, Any], *, ident: str) -> None:
    body = orjson.dumps({"type": message["type"], "timestamp": message["at"], "data": message["data"]})
    at = int(time.time())
    headers = {"Content-Type": "application/json", "webhook-id": f"msg_{ident}", "webhook-timestamp": str(at)}
    try:
        secret = sealing.unseal(receiver.secret) if receiver.secret else new_secret(receiver)
        signature = sign(body, ident=headers["webhook-id"], at=at, secret=secret)
        answer = egress.post(receiver.address, body=body, headers=headers | {"webhook-signature": signature})
    except egress.NotReached as error:
        raise NotSent(str(error)) from None
    except (sealing.NotOurs, egress.Refused) as error:
        raise NotSent(str(error), is_final=True) from None
    if not answer.is_success:
        raise NotSent(f"It answered with status {answer.status}. {answer.words}".strip())


def _message(notice: Notification) -> dict[str, Any]:
    alert, rule = notice.alert, notice.alert.rule
    is_over = notice.event == "resolved"
    subject = f"over: {alert}" if is_over else f"{rule.get_severity_display()}: {alert}"
    lines = [
        f"{alert} is over." if is_over else f"{alert}.",
        describe(alert),
        "" if is_over else rule.advice,
        f"{settings.SITE_URL}/dashboard/" if settings.SITE_URL else "",
    ]
    data = {
        "id": str(alert.pk),
        "rule": rule.name,
        "subject": alert.subject,
        "severity": rule.severity,
        "metric": rule.metric,
        "value": alert.value,
        "comparison": rule.comparison,
        "bound": rule.bound,
        "since": alert.since,
        "raised_at": alert.raised_at,
        "resolved_at": alert.resolved_at,
        "text": describe(alert),
        "advice": rule.advice,
        "url": f"{settings.SITE_URL}/dashboard/" if settings.SITE_URL else None,
    }
    at = alert.resolved_at if is_over else alert.raised_at
    return _envelope(f"alert.{notice.event}", subject, "\n\n".join(line for line in lines if line), at=at, data=data)


def describe(alert: Alert) -> str:
    """The figure behind it, in a sentence."""
    metric = METRICS.get(alert.rule.metric)
    if metric is None:
        return f"{alert.rule.metric}: {alert.value:g}"
    words = f"{metric.words[0].upper()}{metric.words[1:]}: {metric.show(alert.value)}"
    if metric.unit == "switch":
        return f"{words}."
    return f"{words} ({alert.rule.comparison} {metric.show(alert.rule.bound)})."


def _test_message() -> dict[str, Any]:
    text = "This is a test: alerts will reach you here."
    return _envelope("test", "a test", text, at=None, data={"text": text})


def _envelope(kind: str, subject: str, text: str, *, at: Any, data: dict[str, Any]) -> dict[str, Any]:
    at = at.isoformat() if at else time.strftime("%Y-%m-%dT%H:%M:%S+00:00", time.gmtime())
    line = " ".join(f"[Agent Lobby] {subject}".split())  # names may hold a line's end, headers may not
    return {"type": kind, "subject": line, "text": text, "at": at, "data": data}
