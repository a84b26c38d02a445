"""Where a model host may be, and what is said of an address at which there is none."""

import asyncio
from contextlib import ExitStack

import pytest
from django.core.exceptions import ValidationError

from agents import hosts
from agents.addresses import why_not
from agents.breaker import Breakers
from agents.models import Host
from lobby.live.connections import async_redis
from tests.factories import make_host
from tests.listening import Answer, listening, replying, silent


@pytest.mark.parametrize(
    "host",
    [
        "169.254.169.254",
        "169.254.1.1:11434",
        "0xa9fea9fe",
        "2852039166",
        "[::ffff:169.254.169.254]",
        "[64:ff9b::169.254.169.254]",
        "[fe80::1]",
        "[fd00:ec2::254]",
        "100.100.100.200",
        "224.0.0.1",
    ],
)
def test_address_where_a_cloud_tells_its_keys_is_refused_however_it_is_written(host: str) -> None:
    assert "where no model host is" in why_not(f"http://{host}/")


@pytest.mark.parametrize(
    "host", ["127.0.0.1:11434", "localhost", "10.1.2.3", "192.168.1.5:11434", "[::1]", "[fd12::1]"]
)
def test_address_on_this_machine_or_in_the_house_is_taken(host: str) -> None:
    assert why_not(f"http://{host}") == ""


def test_name_is_refused_for_what_it_means() -> None:
    told = why_not("http://gpu:11434", resolve=lambda _: ["192.168.1.5", "169.254.169.254"])

    assert told.startswith("gpu (169.254.169.254) is an address of the machine's own network")


@pytest.mark.parametrize("url", ["http://no-such-name.invalid:11434", "nowhere", "http://[::1", ""])
def test_what_is_unknown_yet_is_left_to_the_probe(url: str) -> None:
    assert why_not(url) == ""


def test_form_refuses_it_with_the_reason() -> None:
    with pytest.raises(ValidationError) as refused:
        Host(name="cloud", base_url="http://169.254.169.254", max_parallel=1).clean()
    assert refused.value.message_dict["base_url"][0].startswith("169.254.169.254 is an address of the machine's own")


def page(body: bytes, *, status: str = "200 OK", kind: str = "text/html") -> Answer:
    head = f"HTTP/1.1 {status}\r\nContent-Type: {kind}\r\nContent-Length: {len(body)}\r\n\r\n"
    return replying(head.encode() + body)


NO_OLLAMAS: dict[str, tuple[Answer, str]] = {
    "router": (
        page(b"<!doctype html><title>A router</title>"),
        "A page of HTML came instead of an answer: is it Ollama",
    ),
    "gone": (page(b"<html>", status="404 Not Found"), "A page of HTML came instead of an answer: is it Ollama"),
    "api": (page(b'{"status": "green"}', kind="application/json"), "What answers there tells no version: is it Ollama"),
    "text": (page(b"ok", kind="text/plain"), "The host's answer is not Ollama's protocol; it reads: ok"),
    "moved": (page(b"", status="302 Found\r\nLocation: http://127.0.0.1/"), "The host answered with HTTP status 302"),
    "shell": (replying(b"SSH-2.0-OpenSSH\r\n"), "No Ollama answers at"),
    "hangs": (silent, "It did not answer within 1 s."),
}


@pytest.mark.django_db(transaction=True)
def test_probe_says_what_is_there_instead_of_ollama() -> None:
    with ExitStack() as stack:
        for name, (answer, _) in NO_OLLAMAS.items():
            make_host(name=name, base_url=stack.enter_context(listening(answer)).url)
        make_host(name="cloud", base_url="http://169.254.169.254")  # a name may have come to mean it
        asyncio.run(probe(list(Host.objects.all())))

    told = {host.name: (host.state, host.state_reason) for host in Host.objects.all()}
    assert {state for state, _ in told.values()} == {"down"}
    assert "where no model host is" in told.pop("cloud")[1]
    assert {name: reason[: len(NO_OLLAMAS[name][1])] for name, (_, reason) in told.items()} == {
        name: words for name, (_, words) in NO_OLLAMAS.items()
    }


async def probe(found: list[Host]) -> None:
    client = async_redis()
    within = {host: 1 if host.name == "hangs" else 60 for host in found}
    await asyncio.gather(*(hosts.probe(host, breakers=Breakers(client), within=within[host]) for host in found))
    await client.aclose()
