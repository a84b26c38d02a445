"""Every operation of the API is asked what its schema allows and what it forbids; none may answer with a 5xx."""

from typing import Any
from urllib.parse import unquote, urlsplit

import pytest
import requests
import schemathesis
from django.contrib.auth.models import Permission, User
from django.test import Client
from django.utils.timezone import now
from hypothesis import HealthCheck, settings

from lobby.accounts import invitations, keys
from lobby.accounts.models import UserSession
from lobby.api import api
from monitoring.models import Alert, AlertRule
from tests.debates.rows import make_debate
from tests.factories import make_agent, make_conversation, make_host, make_message, make_run, make_user

schema = schemathesis.openapi.from_dict(api.get_openapi_schema(path_prefix="/api/"))
bounded = settings(
    max_examples=20,
    derandomize=True,
    database=None,
    deadline=None,
    suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.filter_too_much, HealthCheck.too_slow],
)


@pytest.fixture
def alice(db: None, client: Client, settings: Any) -> User:
    settings.QUEUED_PER_USER = settings.RUNS_PER_HOUR = 100_000
    settings.DEBATES_PER_USER = settings.DEBATES_PER_HOUR = 100_000
    user = make_user(is_staff=True)
    user.user_permissions.add(Permission.objects.get(codename="add_invitation"))
    client.force_login(user)
    client.raise_request_exception = False
    return user


@pytest.fixture
def known(alice: User) -> dict[str, str]:
    """By the noun of a path: the id of a row that alice owns."""
    make_host()
    agent = make_agent("analyst")
    conversation = make_conversation(owner=alice, agent=agent)
    message = make_message(conversation)
    run = make_run(owner=alice, agent=agent)
    debate = make_debate(owner=alice, votes=["AAB"], status="running", silent=["devils-advocate"])
    key, _ = keys.make(alice, name="script", scopes=["read"])
    rule = AlertRule.objects.create(name="No worker", metric="workers", comparison="below", bound=1)
    alert = Alert.objects.create(rule=rule, value=0, raised_at=now())
    return {
        "conversations": str(conversation.pk),
        "messages": str(message.pk),
        "runs": str(run.pk),
        "agents": agent.slug,
        "debates": str(debate.pk),
        "keys": str(key.pk),
        "sessions": str(UserSession.objects.get().pk),
        "invitations": str(invitations.invite(alice)[0].pk),
        "dashboard": str(alert.pk),
    }


@schema.parametrize()
@bounded
def test_no_operation_breaks(case: Any, client: Client, known: dict[str, str]) -> None:
    noun = next((part for part in reversed(case.path.split("/")) if part in known), "")
    asked = send(client, case)
    said = all_of(asked)
    assert asked.status_code < 500, said
    if case.path_parameters:
        case.path_parameters = {name: known[noun] for name in case.path_parameters}
        asked = send(client, case)
        said = all_of(asked)
        assert asked.status_code < 500, said


def all_of(answer: Any) -> bytes:
    """Files come in pieces."""
    return b"".join(answer.streaming_content) if answer.streaming else bytes(answer.content)


def send(client: Client, case: Any) -> Any:
    """In this process, as the tests' transaction is seen by nobody else."""
    request = requests.Request(**case.as_transport_kwargs(base_url="http://testserver")).prepare()
    body = request.body or b""
    return client.generic(
        request.method or "GET",
        unquote(urlsplit(request.url or "").path),
        body.encode() if isinstance(body, str) else body,
        content_type=str(request.headers.get("Content-Type", "application/json")),
        query_string=urlsplit(request.url or "").query,
    )
