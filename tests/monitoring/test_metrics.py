"""`/metrics`: who gets it, and that it tells what is there."""

from ipaddress import ip_network

import pytest
from django.contrib.auth.models import Permission
from django.db import DatabaseError, connection, transaction
from django.db.models.functions import Now
from django.test import Client
from prometheus_client.parser import text_string_to_metric_families
from pytest_django.fixtures import Settings

from monitoring import figures, metrics
from tests.conftest import RedisServer
from tests.factories import make_admin, make_host, make_run, make_user

pytestmark = pytest.mark.django_db

Sample = tuple[str, frozenset[tuple[str, str]]]
TOKEN = "let the scraper in"


def scrape(client: Client, token: str | None = None, *, address: str = "127.0.0.1") -> int:
    headers = {"Authorization": f"Bearer {token}"} if token is not None else {}
    return client.get("/metrics", headers=headers, REMOTE_ADDR=address).status_code


def sample(name: str, **labels: str) -> Sample:
    return name, frozenset(labels.items())


def look(client: Client) -> dict[Sample, float]:
    families = text_string_to_metric_families(client.get("/metrics").content.decode())
    return {sample(each.name, **each.labels): each.value for family in families for each in family.samples}


def test_anonymous_and_ordinary_users_get_nothing(client: Client) -> None:
    assert scrape(client) == 404
    client.force_login(make_user())
    assert scrape(client) == 404


def test_scraper_comes_in_with_the_token_and_no_other(client: Client, settings: Settings) -> None:
    settings.METRICS_TOKEN = TOKEN

    answers = [scrape(client, token) for token in (TOKEN, "let", "", None, "\u00e4")]
    assert answers == [200, 404, 404, 404, 404]


def test_empty_token_lets_nobody_in(client: Client) -> None:
    assert [scrape(client, token) for token in ("", None)] == [404, 404]


def test_scraper_comes_in_from_networks_that_are_named(client: Client, settings: Settings) -> None:
    settings.METRICS_NETWORKS = [ip_network("10.1.0.0/16"), ip_network("2001:db8::/32")]

    asked_from = ("10.1.2.3", "10.2.2.3", "2001:db8::7", "2001:db9::7", "::ffff:10.1.2.3", "")
    assert [scrape(client, address=address) for address in asked_from] == [200, 404, 200, 404, 200, 404]


def test_header_of_a_client_does_not_move_it_into_a_network(client: Client, settings: Settings) -> None:
    settings.METRICS_NETWORKS = [ip_network("10.1.0.0/16")]

    answer = client.get("/metrics", headers={"X-Forwarded-For": "10.1.2.3"}, REMOTE_ADDR="192.0.2.1")
    assert answer.status_code == 404


def test_permission_to_see_metrics_lets_in_without_being_an_admin(client: Client) -> None:
    bob = make_user("bob")
    bob.user_permissions.add(Permission.objects.get(codename="see_metrics"))
    client.force_login(bob)

    assert scrape(client) == 200


def test_plain_http_is_answered_in_production_for_a_scraper_beside_us(client: Client, settings: Settings) -> None:
    settings.SECURE_SSL_REDIRECT = True
    client.force_login(make_admin())

    assert (scrape(client), client.get("/").status_code) == (200, 301)


def test_requests_are_counted_by_view_method_and_status(client: Client) -> None:
    client.force_login(make_admin())

    before = look(client)
    client.get("/api/agents")
    client.get("/nothing-here/")
    client.generic("BREW", "/api/agents")
    after = look(client)

    listed = {"view": "api:list_agents", "method": "GET"}
    expected = {
        sample("http_requests_total", status="200", view="metrics", method="GET"): 1,
        sample("http_requests_total", status="200", **listed): 1,
        sample("http_requests_total", status="404", view="none", method="GET"): 1,
        sample("http_requests_total", status="405", view="api:list_agents", method="other"): 1,
        sample("http_request_duration_seconds_count", **listed): 1,
    }
    assert {name: after[name] - before.get(name, 0) for name in expected} == expected


def test_runs_are_told_as_counters_and_histograms(client: Client) -> None:
    client.force_login(make_admin())
    make_run(status="done", model='a "b"\n', queued_at=Now(), started_at=Now(), finished_at=Now(), output_tokens=7)

    told = look(client)
    model = 'a "b"\n'
    expected = {
        sample("lobby_runs_total", status="done", purpose="test"): 1,
        sample("lobby_tokens_total", kind="output", model=model): 7,
        sample("lobby_run_seconds_bucket", model=model, le="0.5"): 1,
        sample("lobby_run_seconds_bucket", model=model, le="+Inf"): 1,
        sample("lobby_run_seconds_count", model=model): 1,
        sample("lobby_run_seconds_sum", model=model): 0,
        sample("lobby_scrape_ok", part="totals"): 1,
        sample("lobby_scrape_ok", part="figures"): 1,
    }
    assert {name: told.get(name) for name in expected} == expected


def test_series_that_are_known_begin_at_nought_and_each_is_told_once(client: Client) -> None:
    client.force_login(make_admin())
    make_run(status="failed", purpose="chat.reply", error_kind="host_busy", finished_at=Now())

    lines = client.get("/metrics").content.decode().splitlines()
    told = [line for line in lines if line.startswith(("lobby_runs_total", "lobby_run_failures_total", "lobby_chats"))]
    series = [line.rpartition(" ")[0] for line in told]
    assert len(series) == len(set(series))
    assert {line for line in told if not line.endswith(" 0.0")} == {
        'lobby_runs_total{purpose="chat.reply",status="failed"} 1.0',
        'lobby_run_failures_total{kind="host_busy"} 1.0',
    }
    nought = {"lobby_chats_total 0.0", 'lobby_runs_total{purpose="debate.ballot",status="done"} 0.0'}
    assert nought - set(told) == set()


def test_every_figure_is_told_as_a_gauge_with_help(client: Client) -> None:
    client.force_login(make_admin())
    make_host(name="attic")
    make_run(status="failed", error_kind="host_unreachable", first_token_at=Now(), finished_at=Now())

    told = look(client)
    names = {each.name for each in figures.collect()}
    assert names <= metrics.GAUGES.keys()
    assert {name for name in names if not any(key[0] == f"lobby_{name}" for key in told)} == set()


def test_figures_of_redis_are_missing_while_it_is_away_and_the_rest_is_told(
    client: Client, redis_server: RedisServer
) -> None:
    client.force_login(make_admin())
    redis_server.kill()

    told = look(client)
    names = {"lobby_redis_bytes", "lobby_database_bytes", "lobby_queue_oldest_seconds"}
    assert names & {name for name, _ in told} == {"lobby_database_bytes", "lobby_queue_oldest_seconds"}
    parts = {part: told[sample("lobby_scrape_ok", part=part)] for part in ("totals", "figures", "redis")}
    assert parts == {"totals": 1, "figures": 1, "redis": 0}


def test_requests_are_told_while_the_database_is_away(client: Client) -> None:
    client.get("/nothing-here/")
    with transaction.atomic():
        spoil_the_transaction()
        told = {family.name: family for family in text_string_to_metric_families(metrics.expose().decode())}
        transaction.set_rollback(True)

    assert "http_requests" in told
    parts = {each.labels["part"]: each.value for each in told["lobby_scrape_ok"].samples}
    assert parts == {"totals": 0, "figures": 0, "redis": 0}


def spoil_the_transaction() -> None:
    """No statement is answered any more."""
    with pytest.raises(DatabaseError), connection.cursor() as cursor:
        cursor.execute("SELECT 1 / 0")
