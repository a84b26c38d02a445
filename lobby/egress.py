"""The one way out to addresses that people enter (webhooks), so that nobody reaches our own network through us.

A name is resolved once, all of its addresses have to be public (or of a network that LOBBY_WEBHOOK_NETWORKS permits),
and the connection is made to one of those very addresses: what the name means a moment later does not matter. No
redirect is followed, no proxy of the environment used; time and the size of what comes back are bounded.
"""

import asyncio
import re
import socket
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from ipaddress import IPv4Address, IPv6Address, IPv6Network, ip_address
from typing import Any

import httpx
from django.conf import settings

from lobby.aside import Late, within

RESOLVING = 5.0  # seconds
CONNECTING = 3.0  # seconds for each address of a name
SENDING = 10.0  # seconds, from the connection to the answer
LONGEST_WORDS = 500  # bytes of an answer that are read, to tell what is wrong
NAT64 = IPv6Network("64:ff9b::/96")
SCHEMES = ("http", "https")
NAME = re.compile(r"[A-Za-z0-9._-]+")
LAST_PORT = 65535

Address = IPv4Address | IPv6Address
Message = dict[str, Any]
Resolve = Callable[[str], Sequence[str]]


class Refused(Exception):
    """This address is not asked: it is none, or leads where it should not. The words are for whoever entered it."""


class NotReached(Exception):
    """It may be asked, but nothing there answers as it should; trying again may help."""


@dataclass(frozen=True, slots=True)
class Target:
    url: httpx.URL
    addresses: tuple[Address, ...]  # what the name means; each was looked at


@dataclass(frozen=True, slots=True)
class Answer:
    status: int
    words: str  # the beginning of the body where it is no success

    @property
    def is_success(self) -> bool:
        return httpx.codes.is_success(self.status)


def look_up(name: str) -> list[str]:
    """All addresses of a name, as the system knows them. Raises OSError."""
    found = socket.getaddrinfo(name, None, type=socket.SOCK_STREAM)
    return list(dict.fromkeys(str(entry[4][0]) for entry in found))


def check(url: str, *, resolve: Resolve = look_up) -> Target:
    """Where a message to this address would go. Raises Refused; NotReached where its name is not known."""
    parsed = _parse(url)
    name = parsed.raw_host.decode("ascii").strip("[]")
    try:
        found = within(RESOLVING, lambda: resolve(name))
    except Late:
        raise NotReached(f"The name {name} could not be looked up within {RESOLVING:g} s.") from None
    except (OSError, UnicodeError):
        raise NotReached(f"There is no machine of the name {name}.") from None
    addresses = tuple(ip_address(each.partition("%")[0]) for each in found)
    for address in addresses:
        if not may_reach(address):
            raise Refused(
                f"{_named(name, address)} is not on the public internet, so nothing is sent there. "
                "Whoever runs the installation can permit a private network by LOBBY_WEBHOOK_NETWORKS."
            )
    return Target(parsed, addresses)


def may_reach(address: Address) -> bool:
    meant = meant_by(address)
    if any(meant in network for network in settings.WEBHOOK_NETWORKS):
        return True
    return meant.is_global and not meant.is_multicast and not meant.is_reserved


def post(
    url: str,
    *,
    body: bytes,
    headers: Mapping[str, str],
    seconds: float = SENDING,
    resolve: Resolve = look_up,
) -> Answer:
    """Send once. Raises Refused and NotReached."""
    target = check(url, resolve=resolve)
    return asyncio.run(_post(target, body=body, headers=headers, seconds=seconds))


async def _post(target: Target, *, body: bytes, headers: Mapping[str, str], seconds: float) -> Answer:
    """One deadline over all: the timeouts of a client begin anew with every byte."""
    timeout = httpx.Timeout(seconds, connect=CONNECTING)
    try:
        async with asyncio.timeout(seconds), httpx.AsyncClient(timeout=timeout, trust_env=False) as client:
            return await _try_each(client, target, {"content": body, "headers": headers})
    except (TimeoutError, httpx.TimeoutException):
        raise NotReached(f"It did not answer within {seconds:g} s.") from None
    except httpx.TransportError as error:
        raise NotReached(f"It could not be reached: {_words_of(error)}") from None


async def _try_each(client: httpx.AsyncClient, target: Target, message: Message) -> Answer:
    *others, last = target.addresses
    for address in others:
        try:
            return await _ask(client, target, address, message)
        except (httpx.ConnectError, httpx.ConnectTimeout):
            continue
    return await _ask(client, target, last, message)


async def _ask(client: httpx.AsyncClient, target: Target, address: Address, message: Message) -> Answer:
    """The name stands in Host and in the certificate that is asked for; the connection goes to the address."""
    asked = client.build_request(
        "POST",
        target.url.copy_with(host=str(address)),
        content=message["content"],
        headers={**message["headers"], "Host": target.url.netloc.decode("ascii"), "Accept-Encoding": "identity"},
        extensions={"sni_hostname": target.url.raw_host.decode("ascii")},
    )
    answer = await client.send(asked, stream=True, follow_redirects=False)
    try:
        return Answer(answer.status_code, "" if answer.is_success else await _beginning(answer))
    finally:
        await answer.aclose()


async def _beginning(answer: httpx.Response) -> str:
    if answer.is_redirect:
        return "It redirects elsewhere, which is not followed: enter the final address."
    read = b""
    async for piece in answer.aiter_raw(LONGEST_WORDS):
        read += piece
        if len(read) >= LONGEST_WORDS:
            break
    return read[:LONGEST_WORDS].decode("utf-8", "replace").strip()


def _parse(url: str) -> httpx.URL:
    """One reading of the address for the check and for the request."""
    try:
        parsed = httpx.URL(url)
    except httpx.InvalidURL as error:
        raise Refused(f"This is no address: {error}") from None
    is_name = NAME.fullmatch(parsed.raw_host.decode("ascii")) or ":" in parsed.host
    if parsed.scheme not in SCHEMES or not is_name or (parsed.port is not None and not 0 < parsed.port <= LAST_PORT):
        raise Refused("An address looks like https://hooks.example/path.")
    if parsed.userinfo:
        raise Refused("An address is written without user name and password: they would stand in lists and logs.")
    return parsed


def meant_by(address: Address) -> Address:
    """IPv4 addresses that are written as IPv6 ones lead to the IPv4 ones."""
    if isinstance(address, IPv4Address):
        return address
    if address in NAT64:
        return IPv4Address(int(address) & 0xFFFFFFFF)
    teredo = address.teredo[1] if address.teredo else None
    return address.ipv4_mapped or address.sixtofour or teredo or address


def _named(name: str, address: Address) -> str:
    return name if name == str(address) else f"{name} ({address})"


def _words_of(error: httpx.TransportError) -> str:
    return " ".join(str(error).split())[:200] or type(error).__name__
