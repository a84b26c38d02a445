from collections.abc import AsyncIterator, Iterator

import pytest

from agents.ollama import Client
from tests.agents.ollama.asking import MODEL
from tests.fake_ollama import FakeModel, FakeOllama


@pytest.fixture
def fake() -> Iterator[FakeOllama]:
    thinker = FakeModel("thinker:latest", capabilities=("completion", "thinking", "tools"))
    vectors = FakeModel("vectors:latest", capabilities=("embedding",))
    with FakeOllama(models=[MODEL, thinker, vectors]) as fake:
        yield fake


@pytest.fixture
async def client(fake: FakeOllama) -> AsyncIterator[Client]:
    async with Client(fake.url) as client:
        yield client
