"""Mails about accounts: a template each, its first line the subject; sent by a thread, so that no page waits.

A page must also take as long for an address that has an account as for one that has none.
"""

from concurrent.futures import ThreadPoolExecutor
from smtplib import SMTPException
from typing import Any

import structlog
from allauth.account.models import EmailAddress
from django.conf import settings
from django.core.mail import EmailMessage
from django.db import transaction
from django.http import HttpRequest
from django.template.loader import render_to_string
from django.urls import reverse

from lobby.accounts import attempts

log = structlog.get_logger()

_post = ThreadPoolExecutor(1, thread_name_prefix="post")


def send(template: str, *, to: str, **context: Any) -> None:
    """Once what it speaks of is committed."""
    subject, _, text = render_to_string(f"accounts/mail/{template}.txt", context).strip().partition("\n")
    message = EmailMessage(subject.strip(), text.strip() + "\n", to=[to])
    transaction.on_commit(lambda: _post.submit(_deliver, message))


def send_about_account(request: HttpRequest, *, to: str) -> None:
    """To somebody with an account whose address was used for signing up again."""
    if attempts.may_mail(to):
        send("already", to=to, address=absolute(request, reverse("sign-in")))


def tell(user: Any, what: str) -> None:
    """That something changed in an account: its owner may not be who changed it."""
    if settings.MAIL and (address := EmailAddress.objects.filter(user=user, verified=True).first()):
        send("changed", to=address.email, user=user, what=what)


def absolute(request: HttpRequest, path: str) -> str:
    return settings.SITE_URL + path if settings.SITE_URL else request.build_absolute_uri(path)


def _deliver(message: EmailMessage) -> None:
    try:
        message.send()
    except (OSError, SMTPException) as error:
        log.error("mail.not_sent", error=f"{type(error).__name__}: {error}")  # noqa: TRY400  (a traceback tells no more)
