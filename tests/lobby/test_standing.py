"""What everybody sees of his limits before he meets them."""

from typing import Any

import pytest
from django.contrib.auth.models import User
from django.db.models.functions import Now
from django.test import Client

from chat.models import Conversation
from lobby.accounts import standing, tokens
from lobby.accounts.allowances import Kind, Scope
from lobby.accounts.models import Limit
from tests.factories import make_agent, make_conversation, make_host, make_run, make_user

pytestmark = pytest.mark.django_db


@pytest.fixture
def alice(client: Client) -> User:
    user = make_user()
    client.force_login(user)
    return user


def hold(kind: Kind, value: int | None, scope: str = Scope.EACH) -> None:
    Limit.objects.update_or_create(kind=kind, scope=scope, defaults={"value": value})


def limits_of(client: Client) -> dict[str, dict[str, Any]]:
    answer = client.get("/api/me/limits")
    assert answer.status_code == 200
    return {item["kind"]: item for item in answer.json()["items"]}


def test_the_api_tells_each_kind_with_what_is_left(client: Client, alice: User) -> None:
    tokens.spend(alice.pk, 1_000_000)
    told = limits_of(client)
    assert list(told) == list(Kind)
    day = told["tokens_per_day"]
    assert (day["limit"], day["used"], day["remaining"], day["percent"]) == (10_000_000, 1_000_000, 9_000_000, 10)
    assert day["resets_at"].endswith("T00:00:00+00:00")
    seats = told["debate_seats"]
    assert (seats["limit"], seats["used"], seats["remaining"], seats["percent"]) == (15, None, None, None)


def test_the_api_tells_room_in_bytes(client: Client, alice: User) -> None:
    Conversation.objects.filter(pk=make_conversation(owner=alice).pk).update(stored=5)
    room = limits_of(client)["storage"]
    assert (room["limit"], room["used"], room["unit"]) == (500_000_000, 5, "bytes")


def test_what_all_together_leave_counts(client: Client, alice: User) -> None:
    hold(Kind.RUNS_PER_HOUR, 10)
    hold(Kind.RUNS_PER_HOUR, 5, Scope.INSTALLATION)
    agent = make_agent()
    for owner in (alice, make_user("bob"), make_user("dora")):
        make_run(owner=owner, agent=agent)
    told = limits_of(client)["runs_per_hour"]
    assert (told["limit"], told["used"], told["remaining"], told["percent"]) == (10, 1, 2, 60)
    assert told["everybody"] == {"limit": 5, "used": 3, "remaining": 2}


def test_no_limit_is_told_as_none(client: Client, alice: User) -> None:
    hold(Kind.TOKENS_PER_DAY, None)
    tokens.spend(alice.pk, 7)
    told = limits_of(client)["tokens_per_day"]
    assert (told["limit"], told["used"], told["remaining"], told["percent"]) == (None, 7, None, None)


def test_the_page_shows_a_meter_for_each_limit_that_has_one(client: Client, alice: User) -> None:
    hold(Kind.TOKENS_PER_DAY, 200_000)
    hold(Kind.RUNS_QUEUED, None)
    hold(Kind.STORAGE, 10, Scope.INSTALLATION)
    tokens.spend(alice.pk, 170_000)
    Conversation.objects.filter(pk=make_conversation(owner=make_user("bob")).pk).update(stored=9_000_000)
    page = client.get("/account/use/").content.decode()
    words = " ".join(page.split())
    assert page.count("<meter") == 6  # nine kinds, two of them sizes, one without a limit
    assert 'value="85" aria-labelledby="use-tokens_per_day"' in words
    assert "170,000 of 200,000" in words
    assert "renew at 00:00 UTC" in words
    assert "up to 15" in words
    assert "0 MB of 500 MB" in words
    assert "0 (no limit)" in words
    assert "90 % of what all users together may use is used" in words


@pytest.mark.parametrize(("used", "words", "is_high"), [(799, None, False), (800, 80, False), (900, 90, True)])
def test_the_composer_says_from_80_percent_on(
    client: Client, alice: User, used: int, words: int | None, is_high: bool
) -> None:
    make_host()
    make_agent()
    hold(Kind.TOKENS_PER_DAY, 1000)
    tokens.spend(alice.pk, used)
    page = " ".join(client.get("/chat/new/").content.decode().split())
    said = f"You have used {words} % of today&#x27;s tokens; they renew at 00:00 UTC." if words else ""
    high, hidden = " is-high" if is_high else "", "" if words else " hidden"
    assert f'<p class="use-line{high}" role="status" data-use{hidden}>' in page
    assert f"<span data-words>{said}</span>" in page


def test_the_composer_names_what_ends_first(alice: User) -> None:
    hold(Kind.TOKENS_PER_DAY, 1000)
    hold(Kind.RUNS_PER_HOUR, 10)
    tokens.spend(alice.pk, 850)
    agent = make_agent()
    for _ in range(9):
        make_run(owner=alice, agent=agent, queued_at=Now())
    near = standing.nearest(alice.pk)
    assert near == standing.Nearness(90, "You have had 90 % of the replies you may have within an hour.")
