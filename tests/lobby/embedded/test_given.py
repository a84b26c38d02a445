import os

import pytest

from lobby.embedded import given
from lobby.embedded.child import StartFailed

NOBODY = "127.0.0.1:9"  # the discard port


@pytest.mark.parametrize(
    ("asked", "called"),
    [
        ("http://10.0.0.7:11434", "http://10.0.0.7:11434"),
        ("http://10.0.0.7:11434/", "http://10.0.0.7:11434"),
        ("https://models.example/ollama", "https://models.example/ollama"),
        ("http://box", "http://box:11434"),
        ("box", "http://box:11434"),
        ("box:8080", "http://box:8080"),
        ("0.0.0.0", "http://127.0.0.1:11434"),
        ("0.0.0.0:8080", "http://127.0.0.1:8080"),
        ("[::1]:8080", "http://[::1]:8080"),
    ],
)
def test_every_form_of_ollama_host_is_understood(asked: str, called: str) -> None:
    assert given.ollama_address(asked) == called


@pytest.mark.parametrize("asked", ["ftp://box", "http://", "http://box:port", ":11434", "http://[::1"])
def test_an_ollama_host_that_is_no_address_is_refused(asked: str) -> None:
    with pytest.raises(StartFailed, match="OLLAMA_HOST is not an address"):
        given.ollama_address(asked)


def test_a_host_where_nothing_answers_is_told() -> None:
    with pytest.raises(StartFailed, match=f"^OLLAMA_HOST: no Ollama answers at http://{NOBODY}$"):
        given.check_ollama(f"http://user:hunter2@{NOBODY}")


def test_a_database_is_named_without_its_password() -> None:
    assert given.check_database(os.environ["DATABASE_URL"]).startswith("PostgreSQL 18, lobby on ")
    with pytest.raises(StartFailed) as refused:
        given.check_database(f"postgresql://lobby:hunter2@{NOBODY}/lobby")
    assert str(refused.value).startswith("DATABASE_URL: can't open database lobby on 127.0.0.1: connection failed")
    assert "hunter2" not in str(refused.value)
    assert "\n" not in str(refused.value)


@pytest.mark.parametrize("url", ["mysql://host/name", "postgresql://host:port/name?nonsense=1", "not an address"])
def test_a_database_url_that_is_no_address_is_refused(url: str) -> None:
    with pytest.raises(StartFailed, match="DATABASE_URL"):
        given.check_database(url)


def test_a_redis_is_named_without_its_password() -> None:
    assert given.check_redis(os.environ["REDIS_URL"]).startswith("Valkey 9.")
    with pytest.raises(StartFailed) as refused:
        given.check_redis(f"redis://:hunter2@{NOBODY}/0")
    assert str(refused.value).startswith("REDIS_URL: can't reach Redis at 127.0.0.1: ")
    assert "hunter2" not in str(refused.value)


@pytest.mark.parametrize("url", ["http://host", "redis", "redis://host:port/0"])
def test_a_redis_url_that_is_no_address_is_refused(url: str) -> None:
    with pytest.raises(StartFailed, match="REDIS_URL is not a Redis address"):
        given.check_redis(url)
