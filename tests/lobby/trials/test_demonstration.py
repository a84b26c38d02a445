"""What `lobby demo-data` makes, and that all of it can be taken away again."""

from collections.abc import Iterator

import pytest
from django.contrib.auth.models import User
from django.test import Client
from django.utils.timezone import now

from agents.models import Agent, Host, Run
from chat.models import Conversation, Message
from debates.models import Debate
from lobby.trials import demonstration
from monitoring import history
from monitoring.models import Snapshot
from tests.factories import make_conversation, make_run, make_user

pytestmark = pytest.mark.django_db

KINDS = (User, Host, Agent, Run, Conversation, Message, Debate, Snapshot)


def rows() -> dict[str, int]:
    return {kind.__name__: kind.objects.count() for kind in KINDS}


@pytest.fixture
def made() -> Iterator[demonstration.Made]:
    yield demonstration.make(runs=3000)


def test_says_what_it_made(made: demonstration.Made) -> None:
    assert rows() == {
        "User": made.users,
        "Host": made.hosts,
        "Agent": made.agents,
        "Run": 3000,
        "Conversation": made.conversations,
        "Message": made.messages,
        "Debate": made.debates,
        "Snapshot": made.snapshots,
    }
    assert (made.users, made.conversations > 50, made.snapshots > 500) == (200, True, True)


def test_waits_for_nobody_and_nobody_can_sign_in(made: demonstration.Made) -> None:
    assert not Run.objects.unfinished().exists()
    assert not Host.objects.enabled().exists()
    assert not Agent.objects.filter(is_active=True).exists()
    assert not Debate.objects.running().exists()
    assert not any(user.has_usable_password() for user in User.objects.all())


def test_runs_are_those_of_a_season_and_end_in_every_way(made: demonstration.Made) -> None:
    first, last = Run.objects.earliest("queued_at"), Run.objects.latest("queued_at")
    ended = set(Run.objects.values_list("status", flat=True))

    assert (85 <= (last.queued_at - first.queued_at).days <= 91, last.queued_at < now()) == (True, True)
    assert ended == {"done", "failed", "cancelled", "interrupted"}
    assert not Run.objects.filter(finished_at__gt=now()).exists()


def test_pages_show_it(made: demonstration.Made) -> None:
    conversation, debate = Conversation.objects.earliest("created_at"), Debate.objects.earliest("created_at")
    pages = {f"/chat/{conversation.pk}/": conversation.owner, f"/debates/{debate.pk}/": debate.owner}
    answers = {}
    for page, owner in pages.items():
        client = Client()
        client.force_login(owner)
        answers[page] = client.get(page).status_code

    assert answers == dict.fromkeys(pages, 200)


def test_charts_have_their_lines(made: demonstration.Made) -> None:
    month = history.read("30d").series

    assert sum(value or 0 for value in month["runs_finished:done"]) > 300
    assert {"first_token_seconds:0.95", "queue_runs", "tokens_written", "ws_connections"} < set(month)


def test_all_of_it_goes_and_nothing_else() -> None:
    mine = make_conversation(owner=make_user("demonstrator"))
    make_run(owner=mine.owner)
    before = rows()
    demonstration.make(runs=500)

    demonstration.remove()

    assert rows() == before


def test_is_made_once(made: demonstration.Made) -> None:
    with pytest.raises(demonstration.AlreadyThere):
        demonstration.make(runs=10)


def test_knows_what_is_real() -> None:
    demonstration.make(runs=10)
    assert not demonstration.has_real_data()

    make_run()

    assert demonstration.has_real_data()
