from typing import Any

import pytest

from agents.presence import look
from tests.factories import make_agent, make_host

pytestmark = pytest.mark.django_db


def test_an_agent_is_down_where_its_own_host_lacks_its_model() -> None:
    make_host(models=("m",))
    host = make_host(models=("n",))
    [present] = look([make_agent(model="m", host=host)]).agents
    assert (present.kind, present.words) == ("down", "no host has m")


def test_a_model_is_found_by_its_short_name() -> None:
    make_host(models=("m:latest",))
    assert look([make_agent(model="m")]).agents[0].kind == "idle"


def test_an_unasked_host_may_have_anything() -> None:
    make_host(models=(), state="unknown")
    desk = look([make_agent(model="m")])
    assert desk.agents[0].kind == "idle"
    assert (desk.note, desk.reason) == ("none", "The model hosts have not been asked yet; reload in a few seconds.")


def test_a_host_without_models_is_said() -> None:
    make_host(models=())
    assert look([]).reason == "The model hosts have no chat model yet."


def test_the_wanted_model_is_the_one_that_is_named(settings: Any) -> None:
    settings.DEFAULT_MODEL = "n"
    make_host(models=("m", "n:latest"))
    desk = look([])
    assert (desk.model, desk.more) == ("n:latest", 1)


def test_a_disabled_host_is_not_there() -> None:
    make_host(is_enabled=False)
    assert look([]).reason == "No model host is connected."
    assert look([make_agent()]).agents[0].words == "no model host"
