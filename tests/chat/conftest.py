"""Imports stand inside: this file may be read before the settings can be."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest

if TYPE_CHECKING:
    from django.contrib.auth.models import User

    from agents.models import Agent, Host
    from chat.models import Conversation


@pytest.fixture
def alice(db: None) -> User:
    from tests.factories import make_user

    return make_user("alice")


@pytest.fixture
def bob(db: None) -> User:
    from tests.factories import make_user

    return make_user("bob")


@pytest.fixture
def host(db: None) -> Host:
    from tests.factories import make_host

    return make_host(max_parallel=100)


@pytest.fixture
def agent(host: Host) -> Agent:
    from tests.factories import MODEL, make_agent

    return make_agent("helper", name="Helper", system_prompt="Be brief.", model=MODEL)


@pytest.fixture
def conversation(alice: User, agent: Agent) -> Conversation:
    from chat import conversations

    return conversations.start(owner=alice, agent=agent)


@pytest.fixture
def said(django_capture_on_commit_callbacks: Any) -> Any:
    """Within it what is said on commit is really said: `with said(execute=True): …`"""
    return django_capture_on_commit_callbacks
