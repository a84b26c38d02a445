"""The one-time link that lets the first admin in, as `lobby up` prints it; or anybody, if an admin makes him one.

A link is a signed statement of who may sign in, for as long as that account is as it was when the link was made: its
password and the time of its last sign-in are part of what is signed. So the first use, any other sign-in and any new
password end every link of the account, and nothing has to be stored.
"""

from datetime import timedelta

from django.contrib.auth import get_user_model
from django.contrib.auth.models import User
from django.core import signing
from django.db import IntegrityError, transaction
from django.urls import reverse
from django.utils import timezone
from django.utils.crypto import constant_time_compare, salted_hmac

SALT = "lobby.accounts.links"
MAX_AGE = timedelta(hours=24)


def make(user: User) -> str:
    """The path of a new link, valid for 24 hours and one use."""
    token = signing.TimestampSigner(salt=SALT).sign_object({"user": user.pk, "state": _state(user)})
    return reverse("welcome", kwargs={"token": token})


def redeem(token: str) -> User | None:
    """The user who may sign in; None if the link is wrong, used or too old. Of two at once one gets the user."""
    try:
        said = signing.TimestampSigner(salt=SALT).unsign_object(token, max_age=MAX_AGE)
    except signing.BadSignature:
        return None
    user = get_user_model().objects.filter(pk=said["user"], is_active=True).first()
    if user is None or not constant_time_compare(said["state"], _state(user)):
        return None
    unused = get_user_model().objects.filter(pk=user.pk, last_login=user.last_login, password=user.password)
    return user if unused.update(last_login=timezone.now()) == 1 else None


def ensure_first_admin() -> User:
    """The admin that has been there longest; on the first run one is made, who can sign in by link alone."""
    users = get_user_model().objects
    first = users.filter(is_superuser=True, is_active=True).order_by("pk").first()
    return first or _make_admin()


def _make_admin() -> User:
    """Named "admin", or the like where somebody signed up under that name: he must not become one by it."""
    users = get_user_model().objects
    for name in ("admin", *(f"admin-{number}" for number in range(2, 1000))):
        try:
            with transaction.atomic():
                return users.create_superuser(name, password=None)
        except IntegrityError:
            continue
    raise RuntimeError("every name from admin to admin-999 is taken")


def _state(user: User) -> str:
    return salted_hmac(SALT, f"{user.pk} {user.password} {user.last_login}", algorithm="sha256").hexdigest()
