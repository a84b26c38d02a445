"""Imports stand inside: this file is read before the settings can be."""

from collections.abc import Iterator
from typing import TYPE_CHECKING

import pytest

from tests.fake_ollama import FakeOllama

if TYPE_CHECKING:
    from agents.runner import Runner


@pytest.fixture
def fake() -> Iterator[FakeOllama]:
    with FakeOllama(["fake:latest"]) as server:
        yield server


@pytest.fixture
def runner(transactional_db: None) -> "Iterator[Runner]":
    """A worker's runner in this process."""
    from agents.runner import Runner

    one = Runner()
    one.start()
    yield one
    one.stop()
