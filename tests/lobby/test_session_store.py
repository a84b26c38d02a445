from datetime import timedelta

import pytest
from django.contrib.sessions.backends import db
from django.contrib.sessions.models import Session
from django.test import Client
from django.utils import timezone
from pytest_django.asserts import assertNumQueries

from lobby.accounts.session_store import SessionStore

pytestmark = pytest.mark.django_db


def make_session(**held: str) -> str:
    session = SessionStore()
    session.update(held)
    session.save()
    assert session.session_key
    return session.session_key


def test_session_is_read_in_one_query_as_django_reads_it() -> None:
    key = make_session(colour="green")

    with assertNumQueries(1):
        assert SessionStore(key)["colour"] == "green"
    assert db.SessionStore(key)["colour"] == "green"


def test_session_that_is_over_is_empty_and_its_key_is_not_used_again() -> None:
    key = make_session(colour="green")
    Session.objects.filter(pk=key).update(expire_date=timezone.now() - timedelta(seconds=1))
    session = SessionStore(key)

    assert (session.get("colour"), session.session_key) == (None, None)


def test_session_that_somebody_wrote_without_the_secret_key_is_empty() -> None:
    key = make_session(colour="green")
    Session.objects.filter(pk=key).update(session_data="eyJjb2xvdXIiOiJyZWQifQ:1xxxxx:forged")

    assert SessionStore(key).get("colour") is None


def test_key_that_a_browser_chose_itself_becomes_no_session(client: Client) -> None:
    client.cookies["sessionid"] = "a" * 32
    session = client.session
    session["colour"] = "green"
    session.save()

    assert session.session_key != "a" * 32
    assert not Session.objects.filter(pk="a" * 32).exists()
