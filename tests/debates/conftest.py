"""Imports stand inside: this file may be read before the settings can be."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

if TYPE_CHECKING:
    from django.contrib.auth.models import User

    from tests.jsonapi import Api


@pytest.fixture
def alice(db: None) -> User:
    from tests.factories import make_user

    return make_user("alice")


@pytest.fixture
def api(alice: User) -> Api:
    from tests.jsonapi import Api

    return Api(alice)


@pytest.fixture
def panel(db: None) -> list[dict[str, str]]:
    from tests.debates.pump import make_panel

    return [{"agent": place.agent.slug} for place in make_panel()]
