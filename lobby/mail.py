"""The mail server in one address: `smtp://user:password@host:port?tls=yes`, or `smtps://…` for TLS from the start."""

from dataclasses import dataclass
from urllib.parse import parse_qsl, unquote, urlsplit

from django.core.exceptions import ImproperlyConfigured

PORTS = {"smtp": 25, "smtps": 465}
STARTTLS_PORT = 587
SWITCH = {"yes": True, "no": False}
EXAMPLE = "smtp://user:password@host:587?tls=yes"


@dataclass(frozen=True, slots=True)
class MailServer:
    host: str
    port: int
    user: str
    password: str
    starts_tls: bool  # the connection begins in the clear and changes to TLS before the password is sent
    is_tls: bool  # TLS from the first byte


def read_server(url: str) -> MailServer | None:
    """None where no mail is to be sent. Raises ImproperlyConfigured, which does not tell the password."""
    if not url:
        return None
    try:
        parts = urlsplit(url)
        port, query = parts.port, dict(parse_qsl(parts.query, strict_parsing=bool(parts.query)))
        starts_tls = SWITCH[query.pop("tls", "no")]
    except (ValueError, KeyError):
        raise _refused() from None
    if parts.scheme not in PORTS or not parts.hostname or port == 0 or query or parts.path.strip("/"):
        raise _refused()
    is_tls = parts.scheme == "smtps"
    return MailServer(
        host=parts.hostname,
        port=port or (STARTTLS_PORT if starts_tls and not is_tls else PORTS[parts.scheme]),
        user=unquote(parts.username or ""),
        password=unquote(parts.password or ""),
        starts_tls=starts_tls and not is_tls,
        is_tls=is_tls,
    )


def _refused() -> ImproperlyConfigured:
    return ImproperlyConfigured(f"LOBBY_EMAIL_URL is not the address of a mail server ({EXAMPLE})")
