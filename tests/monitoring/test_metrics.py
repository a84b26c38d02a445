import pytest
from django.test import Client
from prometheus_client.parser import text_string_to_metric_families
from pytest_django.fixtures import Settings

from tests.factories import make_admin, make_user

pytestmark = pytest.mark.django_db


def scrape(client: Client, token: str | None = None) -> int:
    headers = {"Authorization": f"Bearer {token}"} if token is not None else {}
    return client.get("/metrics", headers=headers).status_code


def test_admin_sees_the_figures_of_requests(client: Client) -> None:
    client.force_login(make_admin())

    before = look(client)
    client.get("/api/agents")
    client.get("/nothing-here/")
    after = look(client)

    by_view = "django_http_responses_total_by_status_view_method_total"
    listed = {"view": "api:list_agents", "method": "GET"}
    expected = {
        sample("django_http_requests_before_middlewares_total"): 3,  # the second look is one
        sample(by_view, status="200", **listed): 1,
        sample(by_view, status="404", view="<unnamed view>", method="GET"): 1,
        sample("django_http_requests_latency_seconds_by_view_method_count", **listed): 1,
    }
    assert {name: after[name] - before.get(name, 0) for name in expected} == expected


Sample = tuple[str, frozenset[tuple[str, str]]]


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
    settings.METRICS_TOKEN = "let the scraper in"

    assert [scrape(client, token) for token in ("let the scraper in", "let", "", None, "\u00e4")] == [
        200,
        404,
        404,
        404,
        404,
    ]


def test_empty_token_lets_nobody_in(client: Client) -> None:
    assert [scrape(client, token) for token in ("", None)] == [404, 404]
