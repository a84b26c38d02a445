"""Where a model host may be: on this machine, in the house, anywhere, but not where only machines talk to their cloud.

Who could enter such an address would read, by what the lobby is answered there, the keys of the machine it runs on.
"""

from collections.abc import Iterable
from ipaddress import IPv4Address, IPv6Address, ip_address, ip_network
from urllib.parse import urlsplit

from lobby.aside import Late, within
from lobby.egress import Resolve, look_up, meant_by

RESOLVING = 3.0  # seconds
# Link-local, where clouds tell a machine its keys (169.254.169.254), and their other addresses for that
FORBIDDEN = [
    ip_network(each)
    for each in ("169.254.0.0/16", "fe80::/10", "fd00:ec2::254/128", "100.100.100.200/32", "168.63.129.16/32")
]
WORDS = (
    "{} is an address of the machine's own network (link-local, cloud metadata), where no model host is. "
    "Enter the address of the Ollama server, for example http://127.0.0.1:11434."
)


def why_not(url: str, *, resolve: Resolve = look_up) -> str:
    """Why no host may be there; empty where one may, or where the name is not known (yet), which a probe tells."""
    try:
        name = urlsplit(url).hostname or ""
        found: Iterable[str] = within(RESOLVING, lambda: resolve(name)) if name else ()
    except (OSError, ValueError, Late):  # no address, no such name, nobody who knows names
        return ""
    addresses = [ip_address(each.partition("%")[0]) for each in found]
    wrong = [address for address in addresses if is_forbidden(address)]
    return WORDS.format(name if name == str(wrong[0]) else f"{name} ({wrong[0]})") if wrong else ""


def is_forbidden(address: IPv4Address | IPv6Address) -> bool:
    meant = meant_by(address)
    return meant.is_multicast or any(meant in network for network in FORBIDDEN)
