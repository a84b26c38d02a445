import pytest
from django.core.exceptions import ImproperlyConfigured
from pytest_django.fixtures import Settings

from lobby import env
from lobby.mail import MailServer, read_server


def test_without_an_address_no_mail_is_sent() -> None:
    assert read_server("") is None


@pytest.mark.parametrize(
    ("url", "expected"),
    [
        ("smtp://mail.example", MailServer("mail.example", 25, "", "", starts_tls=False, is_tls=False)),
        ("smtp://mail.example?tls=yes", MailServer("mail.example", 587, "", "", starts_tls=True, is_tls=False)),
        ("smtp://mail.example:2525/?tls=no", MailServer("mail.example", 2525, "", "", starts_tls=False, is_tls=False)),
        (
            "smtps://lobby%40house.example:p%2Fw%3A%40@mail.example",
            MailServer("mail.example", 465, "lobby@house.example", "p/w:@", starts_tls=False, is_tls=True),
        ),
    ],
)
def test_address_says_how_to_reach_the_server(url: str, expected: MailServer) -> None:
    assert read_server(url) == expected


@pytest.mark.parametrize(
    "url",
    [
        "mail.example",
        "imap://mail.example",
        "smtp://",
        "smtp://u:secret@mail.example:0",
        "smtp://u:secret@mail.example:none",
        "smtp://u:secret@mail.example?tls=perhaps",
        "smtp://u:secret@mail.example?ssl=yes",
        "smtp://u:secret@mail.example?tls",
        "smtp://u:secret@mail.example/path",
        "smtp://[::1",
    ],
)
def test_nonsense_is_refused_without_telling_the_password(url: str) -> None:
    with pytest.raises(ImproperlyConfigured, match="LOBBY_EMAIL_URL is not the address of a mail server") as refused:
        read_server(url)
    assert "secret" not in str(refused.value)


@pytest.mark.parametrize("value", ["lobby.example", "ftp://lobby.example", "https://", "https://u:p@x", "http://x:y"])
def test_address_of_the_site_must_be_one(monkeypatch: pytest.MonkeyPatch, value: str) -> None:
    monkeypatch.setenv("LOBBY_URL", value)

    with pytest.raises(ImproperlyConfigured, match="LOBBY_URL must be an address"):
        env.address("LOBBY_URL")


def test_address_of_the_site_ends_without_a_slash(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("LOBBY_URL", "https://house.example/lobby/")

    assert env.address("LOBBY_URL") == "https://house.example/lobby"


def test_networks_that_are_none_are_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("LOBBY_WEBHOOK_NETWORKS", "10.0.0.0/8, 192.168.7.9/16")

    with pytest.raises(ImproperlyConfigured, match="LOBBY_WEBHOOK_NETWORKS must be networks"):
        env.networks("LOBBY_WEBHOOK_NETWORKS")


def test_suite_sends_no_mail(settings: Settings) -> None:
    assert (settings.MAIL, settings.EMAIL_BACKEND.endswith("locmem.EmailBackend")) == (None, True)
