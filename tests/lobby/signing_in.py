"""What tests of accounts do again and again."""

from http import HTTPStatus
from typing import Any

from django.contrib.auth.models import User
from django.test import Client

from lobby.live.connections import sync_redis
from lobby.live.streams import key
from tests.factories import PASSWORD


def sign_in(client: Client, username: str = "alice", password: str = PASSWORD, address: str = "192.0.2.1") -> Any:
    data = {"username": username, "password": password}
    return client.post("/sign-in/", data, REMOTE_ADDR=address)


def is_signed_in(client: Client) -> bool:
    return client.get("/password/").status_code == HTTPStatus.OK


def told(user: User) -> int:
    """How often the sockets of this user were told to look at their session."""
    length: Any = sync_redis().xlen(key(f"user:{user.pk}"))
    return int(length)


def confirm(client: Client, password: str = PASSWORD, **more: str) -> Any:
    """Show again that it is still he."""
    return client.post("/account/confirm/", {"password": password, **more})
