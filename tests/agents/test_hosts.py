import pytest

from agents import hosts
from agents.errors import ModelUnavailable
from agents.models import Host
from tests.factories import make_agent, make_host
from tests.fake_ollama import FakeOllama

pytestmark = pytest.mark.django_db(transaction=True)


def test_probe_writes_down_what_the_host_says(fake: FakeOllama) -> None:
    host = make_host(base_url=fake.url, models=(), state=Host.State.UNKNOWN)
    hosts.probe_all()
    host.refresh_from_db()
    assert (host.state, host.version, host.model_names) == ("up", "0.12.0", ["fake:latest"])
    assert host.loaded == {"fake:latest": 4096}
    assert host.latency_ms is not None
    assert host.probed_at is not None


def test_probe_of_a_host_that_is_away_keeps_its_models_and_says_why() -> None:
    host = make_host(base_url="http://127.0.0.1:9", models=("a:1b",))
    hosts.probe_all()
    host.refresh_from_db()
    assert (host.state, host.model_names) == ("down", ["a:1b"])
    assert "127.0.0.1:9" in host.state_reason


def test_probe_of_an_address_that_is_none_says_so() -> None:
    host = make_host(base_url="nowhere", models=())
    hosts.probe_all()
    host.refresh_from_db()
    assert (host.state, host.state_reason != "") == ("down", True)


def test_disabled_host_is_not_asked(fake: FakeOllama) -> None:
    make_host(base_url=fake.url, is_enabled=False)
    hosts.probe_all()
    assert fake.stats.requests == {}


def test_agent_without_a_model_gets_the_first_that_can_chat() -> None:
    host = make_host(models=())
    host.installed = [
        {"name": "vectors:1b", "capabilities": ["embedding"]},
        {"name": "chat:1b", "capabilities": ["completion"]},
    ]
    host.save()
    assert hosts.resolve_model(make_agent(model="")) == "chat:1b"


def test_setting_names_the_model_of_agents_without_one(settings: object) -> None:
    make_host(models=("a:1b", "b:2b"))
    settings.DEFAULT_MODEL = "b:2b"  # type: ignore[attr-defined]
    assert hosts.resolve_model(make_agent(model="")) == "b:2b"


def test_model_of_a_host_that_was_not_asked_yet_is_taken_on_trust() -> None:
    make_host(models=(), state=Host.State.UNKNOWN)
    assert hosts.resolve_model(make_agent(model="a:1b")) == "a:1b"


@pytest.mark.parametrize(
    ("host", "agent", "words"),
    [
        (None, {"model": "a:1b"}, "No model host is connected"),
        ({"models": ()}, {"model": ""}, "no chat model yet"),
        ({"models": ()}, {"model": "a:1b"}, "They have none"),
        ({"models": ("b:1b",)}, {"model": "a:1b"}, r"There are: b:1b\."),
    ],
)
def test_missing_model_is_told_in_words(host: dict[str, object] | None, agent: dict[str, str], words: str) -> None:
    if host is not None:
        make_host(**host)  # type: ignore[arg-type]
    with pytest.raises(ModelUnavailable, match=words):
        hosts.resolve_model(make_agent(**agent))


def test_agent_of_a_disabled_host_is_told_so() -> None:
    host = make_host(is_enabled=False)
    with pytest.raises(ModelUnavailable, match="is switched off or gone"):
        hosts.resolve_model(make_agent(host=host))
