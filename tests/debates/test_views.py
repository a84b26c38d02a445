"""Pages of debates: who sees what, and how they answer odd requests."""

import pytest
from django.contrib.auth.models import User
from django.test import Client

from debates import sharing
from debates.models import Debate, Round, Speech
from tests.debates.rows import make_ballot, make_claim, make_debate, make_round, make_speech
from tests.factories import alice, make_agent, make_host, make_user

pytestmark = pytest.mark.django_db


@pytest.fixture
def client() -> Client:
    client = Client()
    client.force_login(alice())
    return client


@pytest.fixture
def ended(db: None) -> Debate:
    """Five seats, three votes, a flip with evidence and one without, a refuted claim."""
    debate = make_debate(
        votes=["AABBA", "AABAA", "AAAAA"], models=["llama3.2:3b", "qwen2.5:7b"], silent=["moderator"], seats=5
    )
    first = debate.rounds.get(number=0)
    make_claim(first, debate.seats.all()[0], text="Rust has eaten a third of the main cable.")
    return debate


def text(client: Client, path: str) -> str:
    answer = client.get(path)
    assert answer.status_code == 200, path
    return str(answer.content.decode())


def test_list_shows_ones_own_debates_and_filters_them(client: Client) -> None:
    make_debate(question="Should the bridge be closed?", votes=["AAA", "AAA"])
    make_debate(question="Is tea better?")
    make_debate(question="Of bob", owner=make_user("bob"))

    everything = text(client, "/debates/")
    running = text(client, "/debates/?status=running")
    found = text(client, "/debates/?q=BRIDGE")

    assert ("bridge" in everything, "tea" in everything, "Of bob" in everything) == (True, True, False)
    assert ("bridge" in running, "tea" in running) == (False, True)
    assert ("bridge" in found, "Is tea" in found) == (True, False)


@pytest.mark.parametrize(
    "query", ["?limit=-1", "?limit=99999999999999", "?limit=²", "?status=none", "?q=%25_", "?q=\\"]
)
def test_list_answers_odd_filters(client: Client, query: str) -> None:
    make_debate()
    assert client.get(f"/debates/{query}").status_code == 200


@pytest.mark.parametrize("query", ["", "?round=0", "?round=1", "?round=99", "?round=-1", "?round=x", "?round=²"])
def test_fragments_answer_odd_rounds(client: Client, ended: Debate, query: str) -> None:
    for fragment in ("figures", "lanes"):
        assert client.get(f"/debates/{ended.pk}/{fragment}/{query}").status_code == 200


def test_figures_of_an_earlier_round_know_nothing_of_later_ones(client: Client, ended: Debate) -> None:
    early = text(client, f"/debates/{ended.pk}/figures/?round=0")
    late = text(client, f"/debates/{ended.pk}/figures/")

    assert ("Round 2" in early, "Verdict</h3>" in early) == (False, False)
    assert ("Round 2" in late, "Verdict</h3>" in late) == (True, True)


def test_ballots_of_a_round_under_way_are_nowhere(client: Client) -> None:
    debate = make_debate(seats=3)
    round = make_round(debate, step="ballot")
    first, second, _ = debate.seats.all()
    make_ballot(round, first, "A", reason="Because of Zanzibar.")
    make_ballot(round, second, ".")
    make_claim(round, first, text="Zanzibar is an island.")

    for path in ("", "figures/", "lanes/", "print/"):
        assert "Because of Zanzibar" not in text(client, f"/debates/{debate.pk}/{path}")


def test_what_a_model_says_cannot_break_out(client: Client) -> None:
    evil = "<script>alert(1)</script>"
    debate = make_debate(question=evil, background=evil, options=[evil, "No"], votes=["AAA", "AAB"])
    last = debate.rounds.get(number=1)
    seat = debate.seats.all()[0]
    make_claim(last, seat, text=evil, note=evil)
    last.ballots.update(reason=evil, would_change_if=evil)
    debate.summary = evil
    debate.save()
    Speech.objects.filter(round=last, seat=seat).update(text=evil, html="")

    for path in ("", "figures/", "lanes/", "print/"):
        assert evil not in text(client, f"/debates/{debate.pk}/{path}")


def test_speech_is_rendered_when_it_is_first_shown_and_kept(client: Client) -> None:
    debate = make_debate(seats=3)
    speech = make_speech(make_round(debate, step="speech"), debate.seats.all()[0], text="*So* it is.", html="")

    assert "<em>So</em>" in text(client, f"/debates/{debate.pk}/lanes/")
    assert Speech.objects.get(pk=speech.pk).html == "<p><em>So</em> it is.</p>\n"


def test_shared_page_is_read_without_signing_in_until_it_is_taken_back(ended: Debate) -> None:
    path = f"/shared/debates/{sharing.share(ended)}/"
    anybody = Client()

    answer = anybody.get(path)
    assert answer.status_code == 200
    assert ended.question in answer.content.decode()
    assert "data-do=" not in answer.content.decode()
    assert anybody.get(f"{path}seats.css").status_code == 200
    sharing.revoke(ended)
    assert anybody.get(path).status_code == 404


def test_new_debate_offers_the_suggested_panel_and_installed_models(client: Client) -> None:
    make_host(models=("llama3.2:3b", "qwen2.5:7b"))
    make_agent("analyst", name="Analyst", role="analyst")
    page = text(client, "/debates/new/?question=Why%3F")

    assert 'data-prefill="Why?"' in page
    assert "<option>qwen2.5:7b</option>" in page
    assert '"agent": "analyst"' in page


def test_page_costs_the_same_queries_for_few_and_many_rows(
    client: Client, django_assert_max_num_queries: object
) -> None:
    from django.db import connection
    from django.test.utils import CaptureQueriesContext

    few, many = make_debate(votes=["AAA"]), make_debate(votes=["AAAAAA", "AAAAAB", "AAAAAA"])
    counts = []
    for debate in (few, many):
        with CaptureQueriesContext(
            connection,
        ) as queries:
            text(client, f"/debates/{debate.pk}/figures/")
        counts.append(len(queries))
    assert counts[0] == counts[1] <= 25


def test_colours_of_seats_are_those_of_the_start(client: Client, ended: Debate) -> None:
    seat = ended.seats.all()[0]
    seat.colour = "#123456"
    seat.save()

    assert f'[data-seat-colour="{seat.pk}"]{{--agent:#123456' in text(client, f"/debates/{ended.pk}/seats.css")


def test_home_has_recent_debates_and_a_way_to_a_new_one(client: Client, ended: Debate) -> None:
    page = text(client, "/")
    assert f"/debates/{ended.pk}/" in page
    assert 'action="/debates/new/"' in page


def test_stranger_sees_nothing(ended: Debate) -> None:
    bob = Client()
    bob.force_login(make_user("bob"))
    for path in ("", "figures/", "lanes/", "print/", "seats.css"):
        assert bob.get(f"/debates/{ended.pk}/{path}").status_code == 404
    assert "bridge" not in bob.get("/debates/").content.decode()


def test_round_kinds_without_ballots_are_shown(client: Client) -> None:
    """Oxford: speeches alone until the judge speaks."""
    debate = make_debate(protocol="oxford", rule="judge", seats=2, silent=["moderator"])
    for kind in (Round.Kind.OPENING, Round.Kind.REBUTTAL):
        made = make_round(debate, kind=kind)
        for seat in debate.seats.filter(votes=True):
            make_speech(made, seat)
    assert "Round 1" in text(client, f"/debates/{debate.pk}/")


def test_user_is_sent_to_sign_in(ended: Debate) -> None:
    assert User.objects.exists()
    assert Client().get(f"/debates/{ended.pk}/").status_code == 302
