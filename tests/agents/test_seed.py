import math
from io import StringIO
from itertools import combinations
from typing import Any

import pytest
from django.core.management import call_command

from agents.models import Agent, Host
from agents.seed import CHARACTERS, seed
from tests.factories import make_agent, make_host

pytestmark = pytest.mark.django_db

ADDRESS = "http://127.0.0.1:9"  # of tests/conftest.py


def test_seed_makes_the_assistant_and_the_nine_debate_roles() -> None:
    seed()
    agents = list(Agent.objects.all())
    assert [agent.role for agent in agents] == Agent.Role.values
    assert {agent.slug for agent in agents if agent.votes} == {
        "analyst",
        "researcher",
        "specialist",
        "quantifier",
        "skeptic",
        "pragmatist",
    }
    assert [agent.slug for agent in agents if "debate" not in agent.capabilities] == ["assistant"]


def test_seeded_agents_are_valid_as_an_admin_would_have_to_enter_them() -> None:
    seed()
    for agent in Agent.objects.all():
        agent.full_clean()
        assert agent.is_active


def test_prompts_are_short_enough_for_a_small_model() -> None:
    assert [character.role for character in CHARACTERS if len(character.system_prompt) > 600] == []


def test_seeding_again_changes_nothing() -> None:
    seed()
    before = list(Agent.objects.values()), list(Host.objects.values())
    seed()
    assert (list(Agent.objects.values()), list(Host.objects.values())) == before


def test_seed_leaves_alone_what_an_admin_edited_and_deleted() -> None:
    seed()
    Agent.objects.filter(slug="skeptic").update(system_prompt="Doubt everything.")
    Agent.objects.filter(slug="moderator").delete()
    Host.objects.update(name="GPU", max_parallel=8, is_enabled=False)
    seed()
    assert Agent.objects.get(slug="skeptic").system_prompt == "Doubt everything."
    assert Agent.objects.count() == 9
    assert list(Host.objects.values_list("name", "max_parallel", "is_enabled")) == [("GPU", 8, False)]


def test_seed_of_a_database_with_agents_adds_none() -> None:
    make_agent("mine")
    seed()
    assert list(Agent.objects.values_list("slug", flat=True)) == ["mine"]


def test_seed_makes_the_host_that_the_settings_name(settings: Any) -> None:
    settings.OLLAMA_PARALLEL = 3
    seed()
    host = Host.objects.get()
    assert (host.name, host.base_url, host.max_parallel, host.is_embedded) == ("Ollama", ADDRESS, 3, False)


@pytest.mark.parametrize(
    ("given", "address"),
    [
        ("gpu", "http://gpu:11434"),
        ("gpu:8080", "http://gpu:8080"),
        ("http://gpu:8080/", "http://gpu:8080"),
        ("https://gpu.example", "https://gpu.example"),
    ],
)
def test_seed_reads_an_address_as_ollama_does(settings: Any, given: str, address: str) -> None:
    settings.OLLAMA_HOST = given
    seed()
    assert Host.objects.get().base_url == address


def test_a_second_address_gets_a_name_of_its_own(settings: Any) -> None:
    seed()
    settings.OLLAMA_HOST = "http://gpu:11434"
    seed()
    assert set(Host.objects.values_list("name", flat=True)) == {"Ollama", "Ollama at gpu:11434"}


def test_the_demonstration_server_stays_one_host_wherever_it_listens(settings: Any) -> None:
    settings.EMBEDDED_MODEL = True
    seed()
    Host.objects.update(max_parallel=2, state=Host.State.UP)
    settings.OLLAMA_HOST = "http://127.0.0.1:4567"
    seed()
    host = Host.objects.get()
    assert (host.is_embedded, host.base_url, host.max_parallel) == (True, "http://127.0.0.1:4567", 2)
    assert host.state == Host.State.UNKNOWN


def test_the_demonstration_server_goes_when_another_ollama_is_used(settings: Any) -> None:
    agent = make_agent(host=make_host(is_embedded=True))
    seed()
    agent.refresh_from_db()
    assert (Host.objects.get().is_embedded, agent.host) == (False, None)


def test_first_run_seeds_and_prints_a_sign_in_link() -> None:
    said = StringIO()
    call_command("first_run", stdout=said)
    assert Agent.objects.count() == len(CHARACTERS)
    assert said.getvalue().startswith("/welcome/")


# How a dichromat sees linear RGB: Machado, Oliveira, Fernandes 2009, severity 1.
SIGHT = {
    "normal": ((1, 0, 0), (0, 1, 0), (0, 0, 1)),
    "protan": ((0.152286, 1.052583, -0.204868), (0.114503, 0.786281, 0.099216), (-0.003882, -0.048116, 1.051998)),
    "deutan": ((0.367322, 0.860646, -0.227968), (0.280085, 0.672501, 0.047413), (-0.011820, 0.042940, 0.968881)),
    "tritan": ((1.255528, -0.076749, -0.178779), (-0.078411, 0.930809, 0.147602), (0.004733, 0.691367, 0.303900)),
}
# Linear RGB to OKLab (Ottosson 2020), around a cube root
TO_LMS = (
    (0.4122214708, 0.5363325363, 0.0514459929),
    (0.2119034982, 0.6806995451, 0.1073969566),
    (0.0883024619, 0.2817188376, 0.6299787005),
)
TO_LAB = (
    (0.2104542553, 0.7936177850, -0.0040720468),
    (1.9779984951, -2.4285922050, 0.4505937099),
    (0.0259040371, 0.7827717662, -0.8086757660),
)
JUST_NOTICEABLE = 0.02


def times(matrix: Any, vector: list[float]) -> list[float]:
    return [sum(a * b for a, b in zip(row, vector, strict=True)) for row in matrix]


def linear(colour: str) -> list[float]:
    channels = [int(colour[at : at + 2], 16) / 255 for at in (1, 3, 5)]
    return [c / 12.92 if c <= 0.04045 else ((c + 0.055) / 1.055) ** 2.4 for c in channels]


def lab(rgb: list[float]) -> list[float]:
    return times(TO_LAB, [max(0, value) ** (1 / 3) for value in times(TO_LMS, rgb)])


@pytest.mark.parametrize("sight", SIGHT)
def test_colours_can_be_told_apart(sight: str) -> None:
    seen = [lab([min(1, max(0, c)) for c in times(SIGHT[sight], linear(each.colour))]) for each in CHARACTERS]
    assert min(math.dist(*pair) for pair in combinations(seen, 2)) > 2.5 * JUST_NOTICEABLE


def test_initials_are_readable_on_every_colour_and_belong_to_one_agent() -> None:
    for character in CHARACTERS:
        luminance = sum(w * c for w, c in zip((0.2126, 0.7152, 0.0722), linear(character.colour), strict=True))
        assert max(1.05 / (luminance + 0.05), (luminance + 0.05) / 0.05) >= 4.5
    assert len({character.initials for character in CHARACTERS}) == len(CHARACTERS)
