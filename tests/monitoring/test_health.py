from datetime import timedelta
from typing import Any

import pytest
from django.db.models.functions import Now
from django.test import Client

from agents.models import Host, Worker
from tests.factories import make_host

pytestmark = pytest.mark.django_db

WELL = {"database": True, "redis": True, "worker": True, "host": True}


def make_worker(*, silent: int = 0) -> Worker:
    """A worker that was last seen `silent` seconds ago."""
    return Worker.objects.create(machine="here", pid=1, seen_at=Now() - timedelta(seconds=silent))


def health(client: Client) -> tuple[int, dict[str, bool]]:
    answer = client.get("/health")
    return answer.status_code, answer.json()["checks"]


def test_all_is_well_when_a_worker_and_a_host_are_there(client: Client) -> None:
    make_worker()
    make_host()

    answer = client.get("/health")

    assert (answer.status_code, answer.json()) == (200, {"status": "ok", "checks": WELL})
    assert "no-store" in answer["Cache-Control"]


def test_missing_worker_is_named(client: Client) -> None:
    make_host()

    assert health(client) == (503, WELL | {"worker": False})


def test_worker_that_is_silent_for_longer_than_its_lease_is_missing(client: Client) -> None:
    make_host()
    make_worker(silent=16)

    assert health(client) == (503, WELL | {"worker": False})


@pytest.mark.parametrize("fields", [{"state": Host.State.DOWN}, {"state": Host.State.UNKNOWN}, {"is_enabled": False}])
def test_host_that_is_not_up_or_switched_off_does_not_count(client: Client, fields: dict[str, Any]) -> None:
    make_worker()
    make_host(**fields)

    assert health(client) == (503, WELL | {"host": False})
