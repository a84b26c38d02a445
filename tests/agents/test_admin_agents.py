"""Agents in the admin: copies, switches, and a prompt tried in place."""

import html
from typing import Any
from uuid import uuid4

import pytest
from django.contrib.auth.models import Permission, User
from django.test import Client

from agents.models import Agent, Run
from lobby.live.topics import TOPICS
from monitoring.models import AuditEvent
from tests.factories import MODEL, make_admin, make_agent, make_host, make_run, make_user

pytestmark = pytest.mark.django_db
UNSAVED = {"system_prompt": "You rhyme.", "model": "", "host": "", "options": '{"temperature": 0.1}', "think": "false"}


@pytest.fixture
def carol(client: Client) -> User:
    user = make_admin()
    client.force_login(user)
    return user


@pytest.fixture
def agent() -> Agent:
    make_host()
    return make_agent("critic", name="Critic", system_prompt="You doubt.", options={"temperature": 0.9, "num_ctx": 512})


def attempt(client: Client, agent: Agent, **fields: str) -> Any:
    return client.post(f"/admin/agents/agent/{agent.pk}/try/", UNSAVED | {"prompt": "Why?"} | fields)


def act(client: Client, action: str, *agents: Agent) -> Any:
    chosen = {"action": action, "_selected_action": [str(agent.pk) for agent in agents]}
    return client.post("/admin/agents/agent/", chosen, follow=True)


def actions() -> list[str]:
    rows = AuditEvent.objects.exclude(action="session.signed_in").order_by("pk")
    return list(rows.values_list("action", flat=True))


def test_prompt_is_tried_with_what_the_form_holds_and_nothing_is_saved(
    client: Client, carol: User, agent: Agent
) -> None:
    said = attempt(client, agent).json()

    run = Run.objects.get()
    assert said == {"run": str(run.pk), "topic": f"trial:{run.pk}", "model": MODEL}
    assert (run.purpose, run.owner, run.topic, run.think) == ("trial", carol, f"trial:{run.pk}", False)
    assert run.options == {"temperature": 0.1}
    assert run.messages == [{"role": "system", "content": "You rhyme."}, {"role": "user", "content": "Why?"}]
    agent.refresh_from_db()
    assert (agent.system_prompt, agent.options["temperature"]) == ("You doubt.", 0.9)
    row = AuditEvent.objects.get(action="agent.tried")
    assert (row.subject_id, row.detail) == (str(agent.pk), {"run": str(run.pk)})


def change(client: Client, agent: Agent, **fields: str) -> Any:
    """The page of an agent sent back as it was shown, but for `fields`."""
    path = f"/admin/agents/agent/{agent.pk}/change/"
    form = client.get(path).context["adminform"].form
    shown = {name: form[name].value() for name in form.fields}
    return client.post(path, {name: value for name, value in shown.items() if value is not None} | fields)


def test_agent_is_saved_with_options_as_an_object_and_without_any(client: Client, carol: User, agent: Agent) -> None:
    for options, kept in (
        (
            '{"temperature": 0.5, "stop": ["END"], "num_ctx": 4096}',
            {"temperature": 0.5, "stop": ["END"], "num_ctx": 4096},
        ),
        ("", {}),
    ):
        assert change(client, agent, options=options).status_code == 302
        agent.refresh_from_db()
        assert agent.options == kept


@pytest.mark.parametrize(
    "options, words",
    [
        ("temperature 1", "Write the options as an object in JSON, for example"),
        ("[1]", "Write the options as an object in JSON, for example"),
        ('{"temperature": "hot"}', "temperature is a number, or true or false."),
        ('{"temperature": NaN}', "temperature is a number, or true or false."),
        ('{"num_ctx": "8k"}', "num_ctx is a whole number of tokens above 0, for example 8192."),
        ('{"num_ctx": 0}', "num_ctx is a whole number of tokens above 0, for example 8192."),
        ('{"stop": 1}', "stop is a text or a list of texts"),
        ('{"stop": "\\u0000"}', "stop is a text or a list of texts"),
        ('{"top p": 1}', "is no option of Ollama"),
    ],
)
def test_options_that_no_model_could_take_are_refused_with_words(
    client: Client, carol: User, agent: Agent, options: str, words: str
) -> None:
    answer = change(client, agent, options=options)
    assert answer.status_code == 200
    assert words in html.unescape(answer.content.decode())
    agent.refresh_from_db()
    assert agent.options == {"temperature": 0.9, "num_ctx": 512}


def test_agent_that_is_switched_off_can_be_tried_and_stays_off(client: Client, carol: User, agent: Agent) -> None:
    Agent.objects.update(is_active=False)
    assert attempt(client, agent).status_code == 200
    assert not Agent.objects.get().is_active


@pytest.mark.parametrize(
    "wrong, words",
    [
        ({"prompt": ""}, "Write something to try the agent with."),
        ({"prompt": "x" * 20_001}, "at most 20000 characters"),
        ({"options": "{"}, "Options: Write the options as an object in JSON, for example"),
        ({"options": "[1]"}, "Options: Write the options as an object in JSON, for example"),
        ({"host": str(uuid4())}, "Host: Select a valid choice."),
        ({"model": "llama9"}, "No model host has the model llama9"),
    ],
)
def test_what_cannot_be_tried_is_refused_with_words(
    client: Client, carol: User, agent: Agent, wrong: dict[str, str], words: str
) -> None:
    answer = attempt(client, agent, **wrong)

    assert answer.status_code == (409 if "model" in wrong else 422)
    assert words in answer.json()["detail"]
    assert Run.objects.count() == 0


def test_only_who_may_change_the_agent_may_try_it(client: Client, agent: Agent) -> None:
    dave = make_user("dave", is_staff=True)
    dave.user_permissions.add(Permission.objects.get(codename="view_agent"))
    client.force_login(dave)
    assert attempt(client, agent).status_code == 404
    assert client.get(f"/admin/agents/agent/{agent.pk}/change/").status_code == 200
    assert Run.objects.count() == 0


def test_trial_is_heard_by_its_owner_alone_and_its_snapshot_tells_how_it_went(agent: Agent) -> None:
    carol = make_admin()
    run = make_run(owner=carol, purpose="trial", status="done", text="Because.", output_tokens=2, cursor="5-0")
    other = make_run(owner=carol)
    may_attach = TOPICS["trial"].may_attach

    heard = [may_attach(user, str(run.pk)) for user in (carol, make_user("bob"))]
    assert heard == [True, False]
    assert not may_attach(carol, str(other.pk))
    assert not may_attach(carol, "7")
    (told,) = TOPICS["trial"].snapshot(str(run.pk))["runs"]
    assert (told["status"], told["text"], told["cursor"]) == ("done", "Because.", "5-0")
    assert told["stats"]["output_tokens"] == 2


def test_clone_is_a_copy_under_a_fresh_slug_that_waits_to_be_looked_at(
    client: Client, carol: User, agent: Agent
) -> None:
    act(client, "clone", agent)
    act(client, "clone", agent)

    first, second = Agent.objects.exclude(pk=agent.pk).order_by("slug")
    assert [(each.name, each.slug) for each in (first, second)] == [
        ("Critic (copy)", "critic-copy"),
        ("Critic (copy)", "critic-copy2"),
    ]
    assert (first.system_prompt, first.options, first.is_active) == (agent.system_prompt, agent.options, False)
    assert actions() == ["agent.cloned", "agent.cloned"]


def test_longest_name_and_slug_can_be_cloned(client: Client, carol: User) -> None:
    act(client, "clone", make_agent("s" * 50, name="n" * 80))
    copy = Agent.objects.get(slug=f"{'s' * 40}-copy")
    assert copy.name == f"{'n' * 73} (copy)"


def test_save_and_clone_saves_first(client: Client, carol: User, agent: Agent) -> None:
    form = {
        "slug": "critic",
        "name": "Doubter",
        "role": "skeptic",
        "options": "{}",
        "think": "unknown",
        "capabilities": "[]",
        "colour": "#112233",
        "initials": "CR",
        "position": "5",
        "agents_agent_save_and_clone": "1",
    }
    client.post(f"/admin/agents/agent/{agent.pk}/change/", form)

    assert sorted(Agent.objects.values_list("name", flat=True)) == ["Doubter", "Doubter (copy)"]


def test_switching_says_and_records_what_changed_and_nothing_else(client: Client, carol: User, agent: Agent) -> None:
    other = make_agent(is_active=False)
    page = act(client, "disable", agent, other).content.decode()

    assert "Disabled: Critic." in page
    assert actions() == ["agent.disabled"]
    act(client, "enable", agent, other)
    assert list(Agent.objects.values_list("is_active", flat=True)) == [True, True]
    assert actions() == ["agent.disabled", "agent.enabled", "agent.enabled"]
