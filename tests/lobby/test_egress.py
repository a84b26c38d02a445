"""Where a webhook may go. Names are resolved by the test, as there is no public network here; all else is real."""

import socket
from collections.abc import Iterator, Sequence
from ipaddress import ip_network

import pytest
from pytest_django.fixtures import Settings

from lobby import egress
from lobby.egress import NotReached, Refused, check, post
from tests.listening import Answer, Listener, dripping, endless, listening, replying, silent

OK = b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok"
PUBLIC = "93.184.215.14"


def meaning(*addresses: str) -> egress.Resolve:
    return lambda _: addresses


@pytest.fixture
def loopback_permitted(settings: Settings) -> None:
    """As an operator would permit a network of the house."""
    settings.WEBHOOK_NETWORKS = [ip_network("127.0.0.1/32")]


def sent(url: str, *, seconds: float = 60, resolve: egress.Resolve = egress.look_up) -> egress.Answer:
    return post(url, body=b'{"a": 1}', headers={"webhook-id": "1"}, seconds=seconds, resolve=resolve)


@pytest.mark.parametrize(
    "host",
    [
        "127.0.0.1",
        "127.1",
        "0x7f000001",
        "0x7f.1",
        "017700000001",
        "2130706433",
        "0.0.0.0",
        "0",
        "localhost",
        "LOCALHOST",
        "[::1]",
        "[::]",
        "[::ffff:127.0.0.1]",
        "[::ffff:7f00:1]",
        "[::ffff:10.0.0.1]",
        "[64:ff9b::7f00:1]",
        "[2002:7f00:1::]",
        "[fe80::1]",
        "[fd00::1]",
        "[ff02::1]",
        "10.0.0.1",
        "172.16.0.1",
        "192.168.1.1",
        "100.64.0.1",
        "169.254.169.254",
        "224.0.0.1",
        "255.255.255.255",
        "240.0.0.1",
    ],
)
def test_address_of_our_own_network_is_refused_however_it_is_written(host: str) -> None:
    with pytest.raises(Refused, match="is not on the public internet"):
        check(f"http://{host}/hook")


@pytest.mark.parametrize(
    "addresses",
    [
        ("10.0.0.7",),
        (PUBLIC, "10.0.0.7"),
        ("10.0.0.7", PUBLIC),
        (PUBLIC, "::1"),
        ("fe80::1%eth0",),
        ("169.254.169.254",),
    ],
)
def test_name_is_refused_if_any_of_its_addresses_is_private(addresses: tuple[str, ...]) -> None:
    with pytest.raises(Refused, match=r"hooks\.example \("):
        check("https://hooks.example/x", resolve=meaning(*addresses))


@pytest.mark.parametrize("address", [PUBLIC, "2606:4700::6810:84e5", f"::ffff:{PUBLIC}", f"64:ff9b::{PUBLIC}"])
def test_public_address_is_taken(address: str) -> None:
    assert len(check("https://hooks.example/x", resolve=meaning(address)).addresses) == 1


@pytest.mark.parametrize(
    "url",
    [
        "",
        "hooks.example",
        "ftp://hooks.example/",
        "file:///etc/passwd",
        "gopher://127.0.0.1:6379/_FLUSHALL",
        "http://",
        "http:///path",
        "http://hooks.example:0/",
        "http://hooks.example:99999/",
        "http://user:secret@hooks.example/",
        "http://hooks.example/\r\nX-Injected: 1",
        "http://hooks example/",
        "http://[::1/",
    ],
)
def test_what_is_no_address_is_refused(url: str) -> None:
    with pytest.raises(Refused) as refused:
        check(url, resolve=meaning(PUBLIC))
    assert "secret" not in str(refused.value)


def test_name_that_nobody_knows_is_not_reached() -> None:
    def unknown(_: str) -> Sequence[str]:
        raise socket.gaierror(socket.EAI_NONAME, "Name or service not known")

    with pytest.raises(NotReached, match=r"There is no machine of the name hooks\.example\."):
        check("https://hooks.example/", resolve=unknown)


@pytest.fixture
def receiver() -> Iterator[Listener]:
    with listening(replying(OK)) as listener:
        yield listener


def test_private_address_is_refused_when_sending_too(receiver: Listener) -> None:
    with pytest.raises(Refused):
        sent(receiver.url)
    assert receiver.heard == []


@pytest.mark.usefixtures("loopback_permitted")
def test_network_that_the_operator_permits_is_reached(receiver: Listener) -> None:
    answer = sent(f"{receiver.url}/hook?a=b")

    assert (answer.status, answer.is_success) == (200, True)
    (request,) = receiver.heard
    assert request.startswith(b"POST /hook?a=b HTTP/1.1\r\n")
    assert request.endswith(b'\r\n\r\n{"a": 1}')


@pytest.mark.usefixtures("loopback_permitted")
def test_permitted_network_is_no_door_to_others() -> None:
    with pytest.raises(Refused):
        check("http://127.0.0.2/")


@pytest.mark.usefixtures("loopback_permitted")
def test_connection_goes_to_the_address_that_was_checked_whatever_the_name_means_later(receiver: Listener) -> None:
    meanings = iter([["127.0.0.1"], ["127.0.0.2"], ["127.0.0.3"]])

    answer = sent(f"http://hooks.example:{receiver.port}/", resolve=lambda _: next(meanings))

    assert answer.status == 200
    assert f"\r\nhost: hooks.example:{receiver.port}\r\n".encode() in receiver.heard[0].lower()
    assert next(meanings) == ["127.0.0.2"]  # it was asked for once


def test_next_address_of_a_name_is_tried_where_one_does_not_answer(settings: Settings, receiver: Listener) -> None:
    settings.WEBHOOK_NETWORKS = [ip_network("127.0.0.0/8")]

    answer = sent(f"http://hooks.example:{receiver.port}/", resolve=meaning("127.0.0.9", "127.0.0.1"))

    assert answer.status == 200


@pytest.mark.usefixtures("loopback_permitted")
def test_redirect_is_not_followed(receiver: Listener) -> None:
    location = f"HTTP/1.1 307 Temporary Redirect\r\nLocation: {receiver.url}/\r\nContent-Length: 0\r\n\r\n".encode()
    with listening(replying(location)) as redirecting:
        answer = sent(redirecting.url)

    assert (answer.status, answer.is_success) == (307, False)
    assert answer.words == "It redirects elsewhere, which is not followed: enter the final address."
    assert receiver.heard == []


@pytest.mark.usefixtures("loopback_permitted")
@pytest.mark.parametrize(
    ("answer", "expected"),
    [
        (endless(b"HTTP/1.1 500 No\r\n\r\n"), (500, "x" * egress.LONGEST_WORDS)),
        (endless(b"HTTP/1.1 200 OK\r\n\r\n"), (200, "")),
    ],
)
def test_body_that_never_ends_is_not_read(answer: Answer, expected: tuple[int, str]) -> None:
    with listening(answer) as listener:
        told = sent(listener.url)

    assert (told.status, told.words) == expected


@pytest.mark.usefixtures("loopback_permitted")
@pytest.mark.parametrize("answer", [silent, dripping])
def test_server_that_hangs_is_given_up(answer: Answer) -> None:
    with listening(answer) as listener, pytest.raises(NotReached, match=r"It did not answer within 0\.3 s\."):
        sent(listener.url, seconds=0.3)


@pytest.mark.usefixtures("loopback_permitted")
@pytest.mark.parametrize("answer", [replying(b""), replying(b"SSH-2.0-x\r\n"), endless(b"HTTP/1.1 200 OK\r\nX: ")])
def test_what_speaks_no_http_is_not_reached(answer: Answer) -> None:
    with listening(answer) as listener, pytest.raises(NotReached, match="It could not be reached"):
        sent(listener.url)


@pytest.mark.usefixtures("loopback_permitted")
def test_nobody_listening_is_not_reached() -> None:
    with socket.create_server(("127.0.0.1", 0)) as gone:
        port = gone.getsockname()[1]
    with pytest.raises(NotReached, match="It could not be reached"):
        sent(f"http://127.0.0.1:{port}/")
