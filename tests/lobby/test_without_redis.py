"""Redis is killed for real: people come in and go all the same."""

from http import HTTPStatus

import pytest
from django.contrib.auth.models import User
from django.test import Client

from tests.conftest import RedisServer
from tests.factories import PASSWORD, make_user

pytestmark = pytest.mark.django_db(transaction=True)


def test_people_sign_in_change_their_password_and_sign_out(client: Client, redis_server: RedisServer) -> None:
    make_user()
    redis_server.kill()
    new = "another long phrase"

    came_in = client.post("/sign-in/", {"username": "alice", "password": PASSWORD})
    changed = client.post("/password/", {"old_password": PASSWORD, "new_password1": new, "new_password2": new})
    went = client.post("/sign-out/")

    assert [answer.status_code for answer in (came_in, changed, went)] == [302, 302, 302]
    assert client.get("/password/").status_code == HTTPStatus.FOUND
    assert User.objects.get().check_password(new)


def test_health_names_redis(client: Client, redis_server: RedisServer) -> None:
    redis_server.kill()

    answer = client.get("/health")

    assert (answer.status_code, answer.json()["checks"]["redis"]) == (HTTPStatus.SERVICE_UNAVAILABLE, False)
    assert answer.json()["checks"]["database"] is True
