import pytest
from django.test import Client
from pytest_django.fixtures import Settings

from tests.factories import make_admin, make_user

pytestmark = pytest.mark.django_db


def scrape(client: Client, token: str | None = None) -> int:
    headers = {"Authorization": f"Bearer {token}"} if token is not None else {}
    return client.get("/metrics", headers=headers).status_code


def test_admin_sees_the_figures_of_requests(client: Client) -> None:
    client.force_login(make_admin())

    answer = client.get("/metrics")

    assert answer.status_code == 200
    assert b"django_http_requests_before_middlewares_total" in answer.content


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
