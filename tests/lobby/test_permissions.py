"""What people may do: everybody by default, and what an admin takes away or gives."""

from typing import Any

import pytest
from django.contrib.auth.models import AnonymousUser, Group, Permission, User
from django.core.exceptions import PermissionDenied
from django.test import Client
from pytest_django.asserts import assertNumQueries

from chat.models import Message
from lobby.accounts import permissions
from lobby.accounts.permissions import CHAT, DEBATE, MANAGE_AGENTS, SEE_METRICS, may, require
from tests.debates.rows import make_debate
from tests.factories import make_admin, make_agent, make_conversation, make_host, make_message, make_user
from tests.jsonapi import Api

pytestmark = pytest.mark.django_db


def everybody() -> Group:
    return Group.objects.get(name="Everybody")


def named(permission: str) -> Permission:
    app, _, code = permission.partition(".")
    return Permission.objects.get(content_type__app_label=app, codename=code)


def take_away(permission: str) -> None:
    everybody().permissions.remove(named(permission))


def give(user: User, permission: str) -> User:
    group = Group.objects.create(name=f"those who {permission}")
    group.permissions.add(named(permission))
    user.groups.add(group)
    return User.objects.get(pk=user.pk)


def test_everybody_may_chat_and_debate_and_nothing_else_at_first() -> None:
    bob = make_user("bob")

    assert [may(bob, permission) for permission in (CHAT, DEBATE, MANAGE_AGENTS, SEE_METRICS)] == [
        True,
        True,
        False,
        False,
    ]


def test_admin_may_everything() -> None:
    carol = make_admin("carol")

    assert all(may(carol, permission) for permission in (CHAT, DEBATE, MANAGE_AGENTS, SEE_METRICS))


def test_who_is_deactivated_or_nobody_may_nothing() -> None:
    gone = make_user("dave", is_active=False)

    assert [may(user, CHAT) for user in (gone, AnonymousUser())] == [False, False]


def test_what_is_taken_from_everybody_holds_for_the_group_that_has_it() -> None:
    bob, erin = make_user("bob"), make_user("erin")
    take_away(DEBATE)

    erin = give(erin, DEBATE)

    assert [may(bob, CHAT), may(bob, DEBATE), may(erin, DEBATE)] == [True, False, True]


def test_default_case_costs_no_query() -> None:
    bob = make_user("bob")
    may(bob, CHAT)

    with assertNumQueries(0):
        assert [may(bob, CHAT), may(User.objects.none().model(is_active=True), DEBATE)] == [True, True]


def test_without_the_group_the_defaults_hold() -> None:
    everybody().delete()
    bob = make_user("bob")

    assert [may(bob, permission) for permission in (CHAT, DEBATE, SEE_METRICS)] == [True, True, False]


def test_group_emptied_by_an_admin_stays_empty_after_the_next_migration() -> None:
    everybody().permissions.clear()

    permissions.ensure_everybody()

    bob = make_user("bob")
    assert [may(bob, permission) for permission in (CHAT, DEBATE)] == [False, False]


def test_who_manages_agents_may_change_agents_and_hosts_in_the_admin_and_nothing_else() -> None:
    erin = give(make_user("erin", is_staff=True), MANAGE_AGENTS)

    allowed = ["agents.change_agent", "agents.add_host", "agents.view_agent"]
    refused = ["agents.change_run", "auth.change_user", "accounts.view_apikey"]
    assert [erin.has_perm(one) for one in allowed + refused] == [True] * 3 + [False] * 3
    assert [erin.has_module_perms(app) for app in ("agents", "auth")] == [True, False]


def test_who_lacks_a_permission_is_told_whom_to_ask() -> None:
    take_away(DEBATE)

    with pytest.raises(PermissionDenied, match=r"^You may not start debates here; ask an admin\.$"):
        require(make_user("bob"), DEBATE)


def refusals(*answers: tuple[int, Any]) -> set[tuple[int, str, str]]:
    return {(status, said["kind"], said["detail"]) for status, said in answers}


def test_who_may_not_chat_is_refused_every_way_of_asking() -> None:
    make_host()
    bob = make_user("bob")
    conversation = make_conversation(owner=bob, agent=make_agent("analyst"))
    question = make_message(conversation)
    reply = make_message(conversation, parent=question, role=Message.Role.ASSISTANT, status=Message.Status.FAILED)
    take_away(CHAT)
    api = Api(bob)

    said = refusals(
        api.post("conversations", agent="analyst"),
        api.post(f"conversations/{conversation.pk}/messages", text="Why?"),
        api.post(f"messages/{question.pk}/edit", text="Why?"),
        *(api.post(f"messages/{reply.pk}/{what}") for what in ("regenerate", "continue", "retry")),
    )

    assert said == {(403, "forbidden", "You may not ask agents here; ask an admin.")}
    assert [conversation.messages.count(), bob.conversations.count(), bob.runs.count()] == [2, 1, 0]


def test_who_may_not_chat_still_reads_and_deletes_what_is_his() -> None:
    bob = make_user("bob")
    conversation = make_conversation(owner=bob)
    take_away(CHAT)
    api = Api(bob)

    read, _ = api.get(f"conversations/{conversation.pk}/messages")
    deleted, _ = api.delete(f"conversations/{conversation.pk}")

    assert (read, deleted) == (200, 204)


def test_who_may_not_debate_begins_none_and_has_none_go_on() -> None:
    make_host()
    make_agent("analyst")
    bob = make_user("bob")
    debate = make_debate(votes=["AAB"], owner=bob)
    take_away(DEBATE)
    api = Api(bob)
    plan = {"question": "Why?", "options": ["Yes", "No"], "panel": [{"agent": "analyst"}] * 3}

    said = refusals(
        api.post("debates", **plan),
        api.post("debates/estimate", **plan),
        api.post(f"debates/{debate.pk}/fork", after=0),
        *(api.post(f"debates/{debate.pk}/{what}") for what in ("challenge", "resume")),
    )

    assert said == {(403, "forbidden", "You may not start debates here; ask an admin.")}
    assert bob.debates.count() == 1


def test_pages_offer_what_one_may_do_and_say_why_the_rest_is_missing() -> None:
    make_host()
    make_agent("analyst")
    client = Client()
    client.force_login(make_user("bob"))
    offers = {"/chat/new/": b"<lobby-composer", "/debates/new/": b"<lobby-new-debate", "/": b"New debate"}

    before = {path: offer in client.get(path).content for path, offer in offers.items()}
    everybody().permissions.clear()
    after = {path: offer in client.get(path).content for path, offer in offers.items()}

    assert before == dict.fromkeys(offers, True)
    assert after == dict.fromkeys(offers, False)
    assert b"You may not ask agents here; ask an admin." in client.get("/chat/new/").content
    assert b"You may not start debates here; ask an admin." in client.get("/debates/new/").content
