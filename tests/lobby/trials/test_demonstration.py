"""What `lobby demo-data` makes, and that all of it can be taken away again."""

import json
from collections.abc import Iterator
from typing import Any

import pytest
from django.contrib.auth.models import User
from django.test import Client
from django.utils.timezone import now

from agents.models import Agent, Host, Run
from chat import storage
from chat.models import Conversation, Message
from debates.costs import spent
from debates.models import Ballot, Claim, Debate, Round, Seat, Speech
from debates.verdicts import conclude
from lobby.trials import demonstration
from monitoring import history
from monitoring.models import Snapshot
from tests.debates.rows import score
from tests.factories import make_conversation, make_run, make_user

pytestmark = pytest.mark.django_db

KINDS = (User, Host, Agent, Run, Conversation, Message, Debate, Snapshot)
PARTS = (Round, Speech, Ballot, Claim, Seat)  # of debates


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


def test_every_kind_of_debate_has_whole_pages() -> None:
    demonstration.make(runs=40_000)
    assert len(alike()) >= 4
    for debate in alike():
        client = Client()
        client.force_login(debate.owner)
        for rest in ("", "figures/", "lanes/", "print/", "figures/?round=0"):
            answer = client.get(f"/debates/{debate.pk}/{rest}")
            page = answer.content.decode()
            assert (answer.status_code, ">None<" in page, "No round is scored" in page) == (200, False, False)
        page = client.get(f"/debates/{debate.pk}/").content.decode()
        assert all(words in page for words in (debate.summary[:20], "The Moderator’s account", "Lawyer", "I hold “"))


def alike() -> list[Debate]:
    """One of each course, with its question."""
    found: dict[tuple[str, int, str], Debate] = {}
    for debate in Debate.objects.select_related("owner"):
        found.setdefault((debate.stop_reason, debate.max_rounds, str((debate.verdict or {}).get("label"))), debate)
    return list(found.values())


def test_debates_decide_in_every_way_and_stand_by_their_rows() -> None:
    demonstration.make(runs=40_000)
    labels = {(debate.verdict or {})["label"] for debate in Debate.objects.all()}

    assert labels == {"robust", "procedural", "hollow", None}
    for debate in Debate.objects.all():
        assert debate.verdict == json.loads(json.dumps(conclude(debate)))
        kept = metrics_of(debate)
        for round in debate.rounds.all():
            score(round, rounds=debate.max_rounds - 1, challenges=0)
        assert metrics_of(debate) == kept
        assert debate.ended_at and debate.created_at < debate.ended_at < now()
        assert spent(debate).calls == sum(2 * round.ballots.count() for round in debate.rounds.all())


def metrics_of(debate: Debate) -> list[Any]:
    return list(debate.rounds.values_list("metrics", flat=True))


def test_conversations_know_how_much_they_hold(made: demonstration.Made) -> None:
    for conversation in Conversation.objects.all()[:20]:
        assert conversation.stored == sum(storage.of_message(message) for message in conversation.messages.all()) > 0


def test_charts_have_their_lines(made: demonstration.Made) -> None:
    month = history.read("30d").series

    assert sum(value or 0 for value in month["runs_finished:done"]) > 300
    assert {"first_token_seconds:0.95", "queue_runs", "tokens_written", "ws_connections"} < set(month)


def test_all_of_it_goes_and_nothing_else() -> None:
    mine = make_conversation(owner=make_user("demonstrator"))
    make_run(owner=mine.owner)
    before = rows()
    demonstration.make(runs=500)
    assert all(part.objects.exists() for part in PARTS)

    demonstration.remove()

    assert rows() == before
    assert not any(part.objects.exists() for part in PARTS)


def test_is_made_once(made: demonstration.Made) -> None:
    with pytest.raises(demonstration.AlreadyThere):
        demonstration.make(runs=10)


def test_knows_what_is_real() -> None:
    demonstration.make(runs=10)
    assert not demonstration.has_real_data()

    make_run()

    assert demonstration.has_real_data()
