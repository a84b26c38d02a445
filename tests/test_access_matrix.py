"""Who gets in where: every page, every operation of the API, every kind of topic, asked by everybody.

Alice owns what is asked for, bob is another user, carol is an admin. An address, operation or topic that is missing in
the tables (tests/access.py, and the topics below) fails the test that compares them with what there is.
"""

import re
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any
from uuid import uuid4

import orjson
import pytest
from django.contrib.auth.models import AnonymousUser, Permission, User
from django.test import Client
from django.urls import URLResolver, get_resolver

from agents.models import Run
from chat.models import Conversation, Message
from debates.models import Ballot, Claim, Debate, Injection, Round, Seat, Speech
from lobby.accounts import invitations, keys, links
from lobby.accounts.bearer import SCOPES_OF, noun_of
from lobby.accounts.models import ApiKey, Invitation, UserSession
from lobby.api import api
from lobby.live.topics import TOPICS
from monitoring.models import AuditEvent
from tests.access import OPERATIONS, PAGES, Row
from tests.debates.rows import make_debate, make_round
from tests.factories import (
    make_admin,
    make_agent,
    make_conversation,
    make_host,
    make_message,
    make_run,
    make_user,
)

pytestmark = pytest.mark.django_db

SECRET = "Zanzibar"  # in all that alice wrote


@dataclass(frozen=True)
class World:
    people: dict[str, User | None]
    conversation: Conversation
    debate: Debate
    ended: Debate
    open: Debate
    question: Message
    reply: Message
    run: Run
    key: ApiKey
    session: UserSession
    invitation: Invitation

    def browser(self, name: str) -> Client:
        client = Client()
        if user := self.people[name]:
            client.force_login(user)
        return client


@pytest.fixture
def world(db: None) -> World:
    make_host()
    agent = make_agent("analyst", name="Analyst")
    alice = make_user("alice")
    conversation = make_conversation(owner=alice, agent=agent, title=SECRET)
    question = make_message(conversation, text=f"Where is {SECRET}?")
    run = make_run(owner=alice, agent=agent, topic=conversation.topic, text=f"{SECRET} is in the east.")
    failed = {"status": Message.Status.INTERRUPTED, "text": f"{SECRET} is in"}
    reply = make_message(conversation, parent=question, role=Message.Role.ASSISTANT, **failed)
    secret: dict[str, Any] = {"owner": alice, "question": f"Where is {SECRET}?"}
    debate = make_debate(votes=["AAB"], status="running", silent=["devils-advocate"], **secret)
    ended = make_debate(votes=["AAB"], **secret)
    open_debate = make_debate(status="paused", is_open=True, **secret)
    make_round(open_debate, step="options")
    carol = make_admin("carol")
    people = {"anonymous": None, "bob": make_user("bob"), "carol": carol, "alice": alice}
    key, _ = keys.make(alice, name="A script", scopes=["read"])
    Client().force_login(alice)  # elsewhere
    session = UserSession.objects.get()
    invitation, _ = invitations.invite(carol)
    return World(people, conversation, debate, ended, open_debate, question, reply, run, key, session, invitation)


def addresses(patterns: Any, prefix: str = "") -> Iterator[str]:
    for pattern in patterns:
        route = prefix + str(pattern.pattern)
        if isinstance(pattern, URLResolver):
            yield from addresses(pattern.url_patterns, route)
        else:
            yield route


def operations() -> dict[str, str]:
    """`METHOD path` as the OpenAPI names them, each with the address of the URLconf that serves it."""
    paths = api.get_openapi_schema(path_prefix="/api/")["paths"]
    return {
        f"{method.upper()} {path}": path.lstrip("/").replace("{", "<").replace("}", ">")
        for path, methods in paths.items()
        for method in methods
    }


def test_every_address_is_in_a_table() -> None:
    there = set(addresses(get_resolver().url_patterns))
    of_admin = {route for route in there if route.startswith("admin/")}
    of_api = set(operations().values())

    assert len(of_admin) > 40  # all of them are asked below
    assert there - of_admin - of_api == set(PAGES)
    assert set(operations()) == set(OPERATIONS)


def path_of(route: str, world: World) -> str:
    """The address of what is alice's."""
    noun = route.split("/")[1] if "/" in route else ""
    if noun == "messages":
        key: Any = (world.question if route.endswith("edit") else world.reply).pk
    else:
        of_noun = {"runs": world.run, "debates": debate_for(route, world), "invitations": world.invitation}
        of_noun["me"] = world.session if "sessions" in route else world.key
        key = (world.debate if route.startswith("debates/") else of_noun.get(noun, world.conversation)).pk
    values = {
        "uuid:pk": key,
        "id": key,
        "slug": "analyst",
        "slug:slug": "analyst",
        "str:token": "no-token",
        "str:key": "no-key",
    }
    for name, value in values.items():
        route = route.replace(f"<{name}>", str(value)).replace(f"{{{name}}}", str(value))
    assert "<" not in route
    return "/" + route.lstrip("/")


def debate_for(route: str, world: World) -> Debate:
    """One in the state for it."""
    return {"settle": world.ended, "options": world.open}.get(route.rsplit("/", 1)[-1], world.debate)


@pytest.mark.parametrize("route", PAGES)
@pytest.mark.parametrize("name", ["anonymous", "bob", "carol", "alice"])
def test_page(world: World, route: str, name: str) -> None:
    answer = world.browser(name).get(path_of(route, world))

    assert answer.status_code == getattr(PAGES[route], name)
    if name != "alice":
        assert SECRET.encode() not in answer.content


@pytest.mark.parametrize("operation", OPERATIONS)
@pytest.mark.parametrize("name", ["anonymous", "bob", "carol", "alice"])
def test_operation(world: World, operation: str, name: str) -> None:
    method, path = operation.split()
    row = OPERATIONS[operation]
    before = state(world)

    answer = world.browser(name).generic(
        method, path_of(path.replace("{", "<").replace("}", ">").lstrip("/"), world), **sent(row)
    )

    content = all_of(answer)
    assert answer.status_code == getattr(row, name), content
    if name != "alice":
        assert SECRET.encode() not in content
        assert state(world) == before


def scope_of(operation: str) -> str | None:
    method, path = operation.split()
    return SCOPES_OF[noun_of(path)][method != "GET"]


@pytest.mark.parametrize("operation", OPERATIONS)
def test_operation_with_a_key(world: World, operation: str) -> None:
    """Bob's key opens what bob may, with the scope that it takes and with no other."""
    method, path = operation.split()
    scope = scope_of(operation)
    before = state(world)
    path = path_of(path.replace("{", "<").replace("}", ">").lstrip("/"), world)
    expected = {True: 403 if scope is None else OPERATIONS[operation].bob, False: 403}

    for has_scope, status in expected.items():
        scopes = [scope or "read"] if has_scope else [other for other in keys.SCOPES if other != scope]
        _, key = keys.make(world.people["bob"], name="bob's", scopes=scopes)
        answer = Client(enforce_csrf_checks=True).generic(
            method, path, headers={"authorization": f"Bearer {key}"}, **sent(OPERATIONS[operation])
        )
        content = all_of(answer)
        assert answer.status_code == status, (scopes, content)
        assert SECRET.encode() not in content
    assert state(world) == before


def all_of(answer: Any) -> bytes:
    """Files come in pieces."""
    return b"".join(answer.streaming_content) if answer.streaming else bytes(answer.content)


def sent(row: Row) -> dict[str, Any]:
    return {"data": orjson.dumps(row.body), "content_type": "application/json"}


def state(world: World) -> list[Any]:
    """All that is alice's."""
    alice = world.people["alice"]
    rows = [
        Conversation.objects.filter(owner=alice),
        Message.objects.filter(conversation__owner=alice),
        Run.objects.filter(owner=alice),
        ApiKey.objects.filter(user=alice),
        UserSession.objects.filter(user=alice),
        Debate.objects.filter(owner=alice),
        *(model.objects.filter(debate__owner=alice) for model in (Seat, Round, Claim, Injection)),
        *(model.objects.filter(round__debate__owner=alice) for model in (Speech, Ballot)),
    ]
    return [sorted(query.values_list("pk", *columns(query.model)), key=str) for query in rows]


def columns(model: Any) -> list[str]:
    return [column.attname for column in model._meta.concrete_fields]


@pytest.mark.parametrize(
    "kind, rest",
    [("runs", "{}"), ("conversations", "{}/messages"), ("messages", "{}"), ("debates", "{}"), ("debates", "{}/events")],
)
def test_what_is_not_there_and_what_is_anothers_look_alike(world: World, kind: str, rest: str) -> None:
    keys = {"runs": world.run.pk, "conversations": world.conversation.pk, "messages": world.reply.pk}
    keys["debates"] = world.debate.pk
    bob = world.browser("bob")

    of_alice, of_nobody = (bob.get(f"/api/{kind}/{rest.format(key)}") for key in (keys[kind], uuid4()))

    said = [answer.json() for answer in (of_alice, of_nobody)]
    assert said[0].pop("request_id") != said[1].pop("request_id")
    assert (of_alice.status_code, said[0]) == (of_nobody.status_code, said[1])


@pytest.mark.parametrize("name", ["bob", "carol"])
@pytest.mark.parametrize(
    "path",
    [
        "/",
        "/chat/sidebar/?q=Where",
        "/api/conversations",
        "/api/conversations?q=Where",
        "/api/runs?size=200",
        "/debates/",
        "/debates/?q=Where",
        "/api/debates",
        "/api/debates?q=Where",
        "/agents.css",
    ],
)
def test_lists_hold_nothing_of_anothers(world: World, name: str, path: str) -> None:
    assert SECRET.encode() not in world.browser(name).get(path).content


def test_reply_to_anothers_question_cannot_be_slipped_into_ones_own_chat(world: World) -> None:
    bob = world.people["bob"]
    own = make_conversation(owner=bob)
    body = {"text": "Why?", "parent": str(world.reply.pk)}

    asked = world.browser("bob").post(f"/api/conversations/{own.pk}/messages", body, content_type="application/json")
    shown = world.browser("bob").patch(
        f"/api/conversations/{own.pk}", {"head": str(world.reply.pk)}, content_type="application/json"
    )

    assert (asked.status_code, shown.status_code) == (404, 404)
    assert own.messages.count() == 0


def admin_paths(world: World) -> list[str]:
    """Every address of the admin, on rows that are there."""
    event = AuditEvent.objects.create(action="test")
    keys = {
        "auth/user": world.run.owner_id,
        "auth/group": 1,
        "agents/agent": world.run.agent_id,
        "agents/host": uuid4(),
        "agents/run": world.run.pk,
        "agents/worker": uuid4(),
        "agents/pull": uuid4(),
        "accounts/apikey": world.key.pk,
        "accounts/invitation": uuid4(),
        "monitoring/alert": uuid4(),
        "monitoring/alertrule": uuid4(),
        "monitoring/receiver": uuid4(),
        "chat/conversation": world.conversation.pk,
        "debates/debate": world.debate.pk,
        "debates/calibration": "no-model",
        "monitoring/auditevent": event.pk,
    }
    paths = []
    for route in addresses(get_resolver().url_patterns):
        if not route.startswith("admin/"):
            continue
        model = "/".join(route.split("/")[1:3])
        path = route.replace("<path:object_id>", str(keys.get(model, 1))).replace("<id>", str(keys.get(model, 1)))
        paths.append("/" + path.replace("<path:content_type_id>", "1").replace("(?P<url>.*)$", "anything"))
    return [re.sub(r"\^\(\?P<app_label>[a-z|_]+\)/\$", "agents/", path) for path in paths]


def test_admin_lets_in_admins_alone(world: World) -> None:
    paths = admin_paths(world)
    assert not [path for path in paths if "<" in path]

    for path in paths:
        anonymous = world.browser("anonymous").get(path, follow=True)
        bob = world.browser("bob").get(path, follow=True)
        if path == "/admin/logout/":
            continue
        assert anonymous.redirect_chain[-1][0].startswith("/sign-in/?next="), path
        assert bob.status_code == 403, path
        assert SECRET.encode() not in anonymous.content + bob.content


@pytest.mark.parametrize(
    "path",
    ["/admin/", "/admin/chat/conversation/", "/admin/auth/user/", "/admin/agents/run/", "/admin/debates/debate/"],
)
def test_staff_without_permissions_sees_no_rows(world: World, path: str) -> None:
    client = Client()
    client.force_login(make_user("dave", is_staff=True))

    assert client.get(path).status_code == (200 if path == "/admin/" else 403)


def test_staff_who_may_change_users_cannot_make_himself_superuser(world: World) -> None:
    dave = make_user("dave", is_staff=True)
    dave.user_permissions.set(Permission.objects.filter(content_type__app_label="auth"))
    client = Client()
    client.force_login(dave)

    changed = client.post(f"/admin/auth/user/{dave.pk}/change/", {"username": "dave", "is_superuser": "on"})

    assert changed.status_code == 403
    assert not User.objects.get(username="dave").is_superuser


OF_ADMINS = {"dashboard": "0", "host": str(uuid4())}


def test_every_kind_of_topic_is_attached_by_its_owner_alone(world: World) -> None:
    alice = world.people["alice"]
    assert alice is not None
    of_alice = {"chat": str(world.conversation.pk), "debate": str(world.debate.pk), "user": str(alice.pk)}
    of_alice["trial"] = str(make_run(owner=alice, purpose="trial").pk)

    assert {*of_alice, *OF_ADMINS} == set(TOPICS)
    for kind, ident in (of_alice | OF_ADMINS).items():
        allowed = {name: TOPICS[kind].may_attach(user or AnonymousUser(), ident) for name, user in world.people.items()}
        who = "carol" if kind in OF_ADMINS else "alice"
        assert allowed == {name: name == who for name in world.people}, kind


def test_deleted_chat_is_brought_back_by_its_owner_alone_and_its_topic_is_nobodys(world: World) -> None:
    path = f"/api/conversations/{world.conversation.pk}"
    world.browser("alice").delete(path)

    for name in ("bob", "carol"):
        assert world.browser(name).post(f"{path}/restore").status_code == 404
    assert not TOPICS["chat"].may_attach(world.people["alice"], str(world.conversation.pk))


def test_one_time_link_is_for_the_account_it_was_made_for(world: World) -> None:
    carol = world.people["carol"]
    assert carol is not None
    client = Client()
    client.get(links.make(carol))

    assert client.session["_auth_user_id"] == str(carol.pk)
