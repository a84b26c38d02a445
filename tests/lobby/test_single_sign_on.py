"""Against a provider of our own, over real HTTP."""

from collections.abc import Iterator
from pathlib import Path
from typing import Any
from urllib.parse import parse_qs, urlsplit

import pytest
from allauth.account.models import EmailAddress
from allauth.socialaccount.models import SocialAccount
from allauth.socialaccount.providers import registry
from allauth.socialaccount.providers.openid_connect.provider import OpenIDConnectProvider
from django.contrib.auth.models import Group, User
from django.test import Client
from pytest_django.fixtures import Settings

from lobby.accounts import invitations
from monitoring.models import AuditEvent
from tests.factories import PASSWORD, make_admin, make_user
from tests.lobby.provider import CLIENT, SECRET, Provider, come, make_key, running
from tests.lobby.signing_in import confirm, is_signed_in, sign_in
from tests.lobby.test_settings import manage

pytestmark = pytest.mark.django_db

TELL = """
from allauth.socialaccount.providers import registry
from django.conf import settings
app = settings.SOCIALACCOUNT_PROVIDERS["openid_connect"]["APPS"][0]
print(app["client_id"], registry.get_class("openid_connect").__name__)
"""


@pytest.fixture
def provider(settings: Settings) -> Iterator[Provider]:
    """As LOBBY_OIDC_URL sets it up; first comers get an account."""
    registry.register(OpenIDConnectProvider)
    with running() as started:
        details = {"server_url": started.url, "oauth_pkce_enabled": True}
        ours = {"provider_id": "sso", "name": "House", "client_id": CLIENT, "secret": SECRET, "settings": details}
        settings.SOCIALACCOUNT_PROVIDERS = {"openid_connect": {"APPS": [ours]}}
        settings.OIDC_URL, settings.OIDC_NAME, settings.OIDC_SIGNUP = started.url, "House", True
        yield started


def test_sign_in_page_offers_the_provider_and_leads_there(client: Client, provider: Provider) -> None:
    assert b"Sign in with House" in client.get("/sign-in/").content

    asked = parse_qs(urlsplit(client.get("/sign-in/single/")["Location"]).query)
    assert asked["redirect_uri"] == ["http://testserver/sign-in/single/back/"]
    assert set(asked["scope"][0].split()) == {"openid", "profile", "email"}


def test_first_comer_gets_an_ordinary_account_without_a_password(client: Client, provider: Provider) -> None:
    answer = come(client, provider, target="/debates/")

    erin = User.objects.get(username="erin")
    assert answer["Location"] == "/debates/"
    assert client.session["_auth_user_id"] == str(erin.pk)
    assert (erin.email, erin.is_staff, erin.has_usable_password()) == ("erin@example.org", False, False)
    assert list(AuditEvent.objects.order_by("pk").values_list("action", "actor_name")) == [
        ("account.signed_up", "erin"),
        ("session.signed_in", "erin"),
    ]


def test_second_time_it_is_the_same_account(provider: Provider) -> None:
    come(Client(), provider)
    provider.claims["preferred_username"] = "erin-married"

    again = Client()
    come(again, provider)

    assert User.objects.count() == 1
    assert is_signed_in(again)


def test_target_outside_the_site_is_not_followed(client: Client, provider: Provider) -> None:
    assert come(client, provider, target="https://elsewhere.example/")["Location"] == "/"


def test_name_that_is_taken_becomes_another(client: Client, provider: Provider) -> None:
    make_user("erin")
    come(client, provider)

    assert User.objects.count() == 2
    assert is_signed_in(client)
    assert client.session["_auth_user_id"] != str(User.objects.get(username="erin").pk)


def test_first_comer_is_refused_where_nobody_may_sign_up(
    client: Client, provider: Provider, settings: Settings
) -> None:
    settings.OIDC_SIGNUP = False

    answer = come(client, provider)

    assert answer.status_code == 403
    assert b"You have no account here yet: ask an admin for one" in answer.content
    assert User.objects.count() == 0


def test_invitation_lets_a_first_comer_in_once(provider: Provider, settings: Settings) -> None:
    settings.OIDC_SIGNUP, settings.LOBBY_SIGNUP = False, "invited"
    readers = Group.objects.create(name="readers")
    _, path = invitations.invite(make_admin(), groups=[readers])
    first, second = Client(), Client()
    for client in (first, second):
        client.get(path)

    come(first, provider)
    provider.claims |= {"sub": "43", "preferred_username": "frank", "email": "frank@example.org"}
    refused = come(second, provider)

    assert list(User.objects.get(username="erin").groups.all()) == [readers]
    assert refused.status_code == 403
    assert not User.objects.filter(username="frank").exists()


@pytest.mark.parametrize("is_verified, status", [(True, 302), (False, 403)])
def test_invitation_for_an_address_needs_the_providers_word_for_it(
    client: Client, provider: Provider, settings: Settings, is_verified: bool, status: int
) -> None:
    settings.OIDC_SIGNUP, settings.LOBBY_SIGNUP = False, "invited"
    client.get(invitations.invite(make_admin(), email="Erin@example.org")[1])
    provider.claims["email_verified"] = is_verified

    assert come(client, provider).status_code == status


@pytest.mark.parametrize("is_mail_known", [True, False])
def test_account_with_the_same_address_is_not_handed_over(
    client: Client, provider: Provider, is_mail_known: bool
) -> None:
    provider.claims["email_verified"] = True
    alice = make_user(email="erin@example.org" if is_mail_known else "")
    if not is_mail_known:
        EmailAddress.objects.create(user=alice, email="erin@example.org", verified=True, primary=True)

    answer = come(client, provider)

    assert answer.status_code == 403
    assert b"There is an account with your e-mail address" in answer.content
    assert not is_signed_in(client)


def forged(provider: Provider) -> None:
    provider.key = make_key("another")


def for_another_client(provider: Provider) -> None:
    provider.in_token["aud"] = "another"


def of_another_issuer(provider: Provider) -> None:
    provider.in_token["iss"] = "http://elsewhere.example"


def expired(provider: Provider) -> None:
    provider.in_token["exp"] = 1_700_000_000


def somebody_elses(provider: Provider) -> None:
    provider.in_token["sub"] = "1"


def no_token(provider: Provider) -> None:
    provider.left_out.add("id_token")


def no_access(provider: Provider) -> None:
    provider.left_out.add("access_token")


def no_keys(provider: Provider) -> None:
    provider.answers["/jwks"] = b"{}"


def nonsense(provider: Provider) -> None:
    provider.answers["/userinfo"] = b"<html>"


def no_subject(provider: Provider) -> None:
    provider.answers["/userinfo"] = b"[]"


@pytest.mark.parametrize(
    "spoil",
    [
        forged,
        for_another_client,
        of_another_issuer,
        expired,
        somebody_elses,
        no_token,
        no_access,
        no_keys,
        nonsense,
        no_subject,
    ],
)
def test_what_the_provider_should_not_have_said_lets_nobody_in(client: Client, provider: Provider, spoil: Any) -> None:
    spoil(provider)

    answer = come(client, provider)

    assert answer.status_code == 502
    assert b"Signing in with House did not work" in answer.content
    assert User.objects.count() == 0


def test_answer_to_a_question_of_another_browser_is_refused(client: Client, provider: Provider) -> None:
    left = Client().get("/sign-in/single/")

    answer = client.get("/sign-in/single/back/", provider.approve(left["Location"]))

    assert answer.status_code == 403
    assert not is_signed_in(client)


def test_who_thinks_better_of_it_there_is_told_so_in_words(client: Client, provider: Provider) -> None:
    state = provider.approve(client.get("/sign-in/single/")["Location"])["state"]

    answer = client.get("/sign-in/single/back/", {"error": "access_denied", "state": state})

    assert answer.status_code == 403
    assert b"Signing in with House did not work" in answer.content


def test_provider_that_is_away_is_said_in_words(client: Client, provider: Provider, settings: Settings) -> None:
    apps = settings.SOCIALACCOUNT_PROVIDERS["openid_connect"]["APPS"]
    apps[0]["settings"]["server_url"] = "http://127.0.0.1:9"

    assert client.get("/sign-in/single/").status_code == 502


def connect(client: Client, provider: Provider) -> Any:
    page = client.post("/account/security/connect/")
    return client.get("/sign-in/single/back/", provider.approve(page.context["address"]))


def test_account_is_connected_after_the_password_and_opened_from_then_on(client: Client, provider: Provider) -> None:
    alice = make_user()
    sign_in(client)
    assert client.post("/account/security/connect/")["Location"].startswith("/account/confirm/")
    confirm(client)

    assert connect(client, provider)["Location"] == "/account/security/"

    other = Client()
    come(other, provider)
    assert other.session["_auth_user_id"] == str(alice.pk)
    assert AuditEvent.objects.filter(action="single_sign_on.connected", actor=alice).count() == 1


def test_connecting_what_belongs_to_another_is_refused(client: Client, provider: Provider) -> None:
    come(Client(), provider)
    make_user()
    sign_in(client)
    confirm(client)

    answer = connect(client, provider)

    assert (answer.status_code, SocialAccount.objects.get().user.username) == (403, "erin")


def test_disconnecting_needs_another_way_in(client: Client, provider: Provider) -> None:
    come(client, provider)
    client.post("/account/security/disconnect/")
    assert SocialAccount.objects.count() == 1

    erin = User.objects.get()
    erin.set_password(PASSWORD)
    erin.save()
    sign_in(client, "erin")
    confirm(client)
    client.post("/account/security/disconnect/")
    assert SocialAccount.objects.count() == 0


def test_groups_that_the_provider_names_are_his_at_each_sign_in(provider: Provider, settings: Settings) -> None:
    settings.OIDC_GROUPS = "roles"
    for name in ("readers", "writers"):
        Group.objects.create(name=name)
    provider.claims["roles"] = ["readers", "of another system", 7]
    come(Client(), provider)
    erin = User.objects.get()
    assert [group.name for group in erin.groups.all()] == ["readers"]

    provider.claims["roles"] = ["writers"]
    come(Client(), provider)
    assert [group.name for group in erin.groups.all()] == ["writers"]


def test_inactive_account_does_not_come_in_by_the_provider_either(client: Client, provider: Provider) -> None:
    come(Client(), provider)
    User.objects.update(is_active=False)

    assert come(client, provider)["Location"] == "/sign-in/"
    assert not is_signed_in(client)


def test_installation_with_a_provider_starts_and_without_its_client_id_says_what_is_missing(tmp_path: Path) -> None:
    home, url, shell = str(tmp_path), "https://id.example", ("shell", "-v0", "-c", TELL)

    started = manage(*shell, LOBBY_HOME=home, LOBBY_OIDC_URL=url, LOBBY_OIDC_CLIENT_ID="lobby")
    refused = manage(*shell, LOBBY_HOME=home, LOBBY_OIDC_URL=url)

    assert started.stdout.split() == ["lobby", "OpenIDConnectProvider"]
    assert "LOBBY_OIDC_URL needs LOBBY_OIDC_CLIENT_ID" in refused.stderr
