import pytest

from agents.ollama import (
    BadReply,
    BadRequest,
    Client,
    Model,
)
from tests.agents.ollama.asking import MODEL, answer
from tests.fake_ollama import FakeOllama


async def test_rule_14_list_tells_capabilities_and_context(client: Client) -> None:
    assert (await client.models())[1] == Model(
        "thinker:latest", ("completion", "thinking", "tools"), 8192, 98_362_745, "134.52M", "Q4_1"
    )


async def test_rule_14_older_server_is_asked_about_each_model(fake: FakeOllama, client: Client) -> None:
    fake.replay(answer(200, '{"models":[{"name":"vectors:latest","size":5,"details":{}}]}'))

    assert await client.models() == [Model("vectors:latest", ("embedding",), 8192, 5)]
    assert fake.stats.requests["/api/show"] == 1


async def test_rule_14_embedding_model_gives_a_vector_per_text(client: Client) -> None:
    one, two, again = await client.embed(["a cat", "a dog", "a cat"], model="vectors:latest")

    assert one == again
    assert one != two


async def test_rule_14_chat_model_gives_no_vectors(client: Client) -> None:
    with pytest.raises(BadRequest) as caught:
        await client.embed(["a cat"], model=MODEL)

    assert caught.value.message == "This server does not support embeddings. Start it with `--embeddings`"


@pytest.mark.parametrize("headers", [{"Host": "evil.example"}, {"Origin": "https://evil.example"}])
async def test_rule_14_foreign_name_is_refused_with_a_hint(headers: dict[str, str], fake: FakeOllama) -> None:
    async with Client(fake.url, headers=headers) as client:
        with pytest.raises(BadRequest) as caught:
            await client.models()

    assert "OLLAMA_ORIGINS" in caught.value.message


@pytest.mark.parametrize("body", ["[]", "{}", '{"models": 5}', '{"models": [5]}', '{"models": [{}]}', "<html>"])
async def test_list_that_is_none_is_a_bad_reply_or_empty(body: str, fake: FakeOllama, client: Client) -> None:
    fake.replay(answer(200, body))

    if body == "{}":
        assert await client.models() == []
    else:
        with pytest.raises(BadReply):
            await client.models()


@pytest.mark.parametrize("status", [200, 500])
async def test_answer_that_is_a_list_is_a_bad_reply(status: int, fake: FakeOllama, client: Client) -> None:
    fake.replay(answer(status, "[]"))
    with pytest.raises(BadReply):
        await client.show(MODEL)

    fake.replay(answer(status, "[]\n"))
    with pytest.raises(BadReply):
        _ = [step async for step in client.pull(MODEL)]


@pytest.mark.parametrize("body", ["[]", "{}", '{"models": 5}', "<html>"])
async def test_loaded_models_that_are_none_are_a_bad_reply(body: str, fake: FakeOllama, client: Client) -> None:
    fake.replay(answer(200, body))

    with pytest.raises(BadReply):
        await client.loaded()
