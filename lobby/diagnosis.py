"""The checks of `lobby doctor`. Each is asked on its own: one that breaks is a finding, and the others go on."""

import stat
import time
from collections.abc import Callable, Iterable, Iterator
from pathlib import Path

import httpx
from django.conf import settings
from django.core import checks
from django.core.mail import get_connection
from django.db import connection

from lobby import aside, egress, env, sealing
from lobby.config import unknown_variables
from lobby.embedded import given
from lobby.embedded.child import StartFailed
from lobby.findings import Finding, State
from monitoring import condition, health
from monitoring.models import Receiver, Turn

DEADLINE = 8.0  # seconds that one check gets
LONG_ENOUGH = 40  # characters of a secret key
LOOPBACK = {"localhost", "127.0.0.1", "[::1]", "::1"}
OPEN_TO_OTHERS = stat.S_IRWXG | stat.S_IRWXO
ALERTS_SILENCE = 60  # seconds; evaluated every 15 s

Check = Callable[[], Iterable[Finding]]


def of_settings(home: Path) -> Iterator[Finding]:
    for name, check in (
        ("settings", sensible),
        ("secret key", lambda: secret_key(home)),
        ("https", https),
        ("static files", static_files),
        ("mail", mail),
    ):
        yield from asked(name, check)


def of_parts(*, without_database: bool, without_redis: bool) -> Iterator[Finding]:
    of_database: dict[str, Check] = {
        "postgresql": postgresql,
        "migrations": migrations,
        "database": condition.database,
        "workers": condition.workers,
        "hosts": hosts,
        "alerts": alerts,
        "receivers": receivers,
        "speed": condition.speed,
    }
    of_redis: dict[str, Check] = {"redis": redis_server, "redis memory": condition.redis}
    parts: dict[str, Check] = {"disk": condition.disk, "machine": condition.machine}
    parts |= {} if without_database else of_database
    parts |= {} if without_redis else of_redis
    for name, check in parts.items():
        findings = list(asked(name, check))
        yield from findings
        if name == "postgresql" and any(each.state == "fail" for each in findings):
            yield Finding("the rest", "warn", "not looked at: most of it is in the database", "Start PostgreSQL first.")
            return


def asked(name: str, check: Check) -> Iterable[Finding]:
    try:
        return aside.within(DEADLINE, lambda: _in_thread(check))
    except aside.Late:
        return [Finding(name, "fail", f"no answer within {DEADLINE:g} s", "It hangs: look at its machine and its log.")]
    except Exception as error:  # noqa: BLE001 - whatever a check meets is what the user wants to know
        words = " ".join(str(error).split())[:300]
        return [Finding(name, "fail", f"{type(error).__name__}: {words}", "Correct its address, or start it.")]


def _in_thread(check: Check) -> list[Finding]:
    try:
        return list(check())
    finally:
        connection.close()


def sensible() -> Iterator[Finding]:
    wrong = False
    if settings.DEBUG:
        wrong = True
        words = "DEBUG is on: error pages show source and settings"
        yield Finding(
            "settings", "fail" if settings.PRODUCTION else "warn", words, "Leave DEBUG out where others come in."
        )
    if "*" in settings.ALLOWED_HOSTS:
        wrong = True
        yield Finding(
            "settings", "warn", "ALLOWED_HOSTS takes any name", "Name those under which the lobby is reached."
        )
    for each in unknown_variables():
        wrong = True
        nearest = f"Did you mean {each.nearest}?" if each.nearest else "See docs/configuration.md."
        yield Finding("settings", "warn", f"{each.name} is set, and nothing reads it", nearest)
    if not wrong:
        mode = "production" if settings.PRODUCTION else "this machine alone"
        yield Finding("settings", "ok", f"they make sense, for {mode}")


def secret_key(home: Path) -> Iterator[Finding]:
    file = home / "secret_key"
    if not (env.read("LOBBY_SECRET_KEY").value or file.exists()):
        yield Finding("secret key", "ok", "is made at the first start")
    elif len(settings.SECRET_KEY) < LONG_ENOUGH:
        words = f"has {len(settings.SECRET_KEY)} characters"
        advice = "Give LOBBY_SECRET_KEY 50 random ones; the old key goes to LOBBY_OLD_SECRET_KEYS."
        yield Finding("secret key", "warn", words, advice)
    elif file.exists() and file.stat().st_mode & OPEN_TO_OTHERS:
        yield Finding("secret key", "fail", f"others on this machine can read {file}", f"chmod 600 {file}")
    elif settings.SECRET_KEY_FALLBACKS:
        words = f"long enough; {len(settings.SECRET_KEY_FALLBACKS)} old ones are still taken"
        yield Finding("secret key", "ok", words)
    else:
        yield Finding("secret key", "ok", "long enough, and nobody else's")


def https() -> Iterator[Finding]:
    elsewhere = sorted(set(settings.ALLOWED_HOSTS) - LOOPBACK)
    if not settings.PRODUCTION:
        if not elsewhere:
            yield Finding("https", "ok", "not needed: it is reached from this machine alone")
            return
        words = f"reached as {', '.join(elsewhere[:3])} without HTTPS: passwords can be read on the way"
        yield Finding("https", "warn", words, "Put a proxy with TLS in front and set LOBBY_PRODUCTION=yes.")
        return
    found = [each.msg for each in checks.run_checks(tags=[checks.Tags.security], include_deployment_checks=True)]
    for words in found:
        yield Finding("https", "warn", words, "See “For a server that others reach” in docs/configuration.md.")
    if settings.SITE_URL.startswith("http://"):
        yield Finding(
            "https", "warn", f"LOBBY_URL is {settings.SITE_URL}", "Links in mails should begin with https://."
        )
    elif not found:
        yield Finding("https", "ok", "HTTPS only, secure cookies, HSTS")


def static_files() -> Iterator[Finding]:
    if settings.PRODUCTION:
        root = Path(settings.STATIC_ROOT or "")
        if (root / "staticfiles.json").exists() or (root / "js").exists():
            yield Finding("static files", "ok", f"collected in {root}")
        else:
            yield Finding(
                "static files", "fail", f"{root} holds none", "Run `python manage.py collectstatic --no-input`."
            )
        return
    named = {
        Path(path).name for prefix, path in (each for each in settings.STATICFILES_DIRS if isinstance(each, tuple))
    }
    if named:
        yield Finding("static files", "ok", f"served from where they lie, with {', '.join(sorted(named))}")
    else:
        yield Finding("static files", "fail", "the browser libraries are missing", "Run scripts/setup (npm ci).")


def mail() -> Iterator[Finding]:
    server = settings.MAIL
    if server is None:
        words = "no server is set: no forgotten passwords, no alerts by mail"
        yield Finding("mail", "warn", words, "Set LOBBY_EMAIL_URL (docs/configuration.md).")
        return
    place = f"{server.host}:{server.port}"
    sender = get_connection(timeout=DEADLINE / 2)
    try:
        sender.open()
        sender.close()
    except OSError as error:  # smtplib's errors are, too
        words = f"{place} does not take us: {' '.join(str(error).split())[:200]}"
        yield Finding("mail", "fail", words, "Correct LOBBY_EMAIL_URL, or ask who runs the server.")
        return
    if server.password and not (server.is_tls or server.starts_tls) and server.host not in LOOPBACK:
        advice = "Add ?tls=yes to LOBBY_EMAIL_URL, or begin it with smtps://."
        yield Finding("mail", "warn", f"{place} gets the password in the clear", advice)
        return
    yield Finding("mail", "ok", f"{place} takes us, as {settings.DEFAULT_FROM_EMAIL}")


def postgresql() -> Iterator[Finding]:
    with connection.cursor() as cursor:
        cursor.execute("SHOW server_version")
        ((version,),) = cursor.fetchall()
        cursor.execute("SELECT default_version FROM pg_available_extensions WHERE name = 'vector'")
        vector = cursor.fetchall()
    number = int(str(version).split(".", maxsplit=1)[0])
    words = f"{version}, {'with' if vector else 'without'} pgvector"
    state: State = "fail" if number < given.LEAST_POSTGRES else "ok"
    yield Finding("postgresql", state, words, f"At least {given.LEAST_POSTGRES} is needed.")


def migrations() -> Iterator[Finding]:
    try:
        health.check_migrations()
    except health.Unwell as missing:
        yield Finding("migrations", "fail", str(missing), "A new release needs its tables.")
    else:
        yield Finding("migrations", "ok", f"all {len(health.migrations_on_disk())} are applied")


def redis_server() -> Iterator[Finding]:
    try:
        yield Finding("redis server", "ok", given.check_redis(settings.REDIS_URL))
    except StartFailed as error:
        yield Finding("redis server", "fail", str(error), "Start it, or correct REDIS_URL.")


def hosts() -> Iterator[Finding]:
    """What the last probe found, and that a host answers right now."""
    yield from condition.hosts()
    addresses = health.hosts_in_use()
    if addresses and not health.any_answers(addresses):
        yield Finding(
            "hosts now", "fail", "none answers from this machine", "Is Ollama started, and reachable from here?"
        )


def alerts() -> Iterator[Finding]:
    last = Turn.objects.filter(pk="alerts").first()
    if last is None:
        yield Finding(
            "alerts", "warn", "were never evaluated", "Beat rings for that every 15 s: start beat and a worker."
        )
        return
    silent = time.time() - last.at.timestamp()
    state: State = "warn" if silent > ALERTS_SILENCE else "ok"
    yield Finding(
        "alerts", state, f"evaluated {silent:,.0f} s ago", "Beat rings for that every 15 s: start beat and a worker."
    )


def receivers() -> Iterator[Finding]:
    """Who is to be told of alerts, and can't be."""
    found = list(Receiver.objects.filter(is_enabled=True))
    if not found:
        yield Finding("receivers", "warn", "nobody is told of alerts", "Add a mailbox or a webhook: Admin → Receivers.")
    for receiver in found:
        if reason := _why_not_told(receiver):
            yield Finding("receivers", "fail", f"{receiver}: {reason}", "Correct it under Admin → Receivers.")
        else:
            yield Finding("receivers", "ok", f"{receiver} from {receiver.get_least_severity_display()} on")


def _why_not_told(receiver: Receiver) -> str:
    if receiver.kind == Receiver.Kind.EMAIL:
        return "" if settings.MAIL else "no mail server is set (LOBBY_EMAIL_URL)"
    try:
        egress.check(receiver.address)
        if receiver.secret:
            sealing.unseal(receiver.secret)
    except (egress.Refused, egress.NotReached, sealing.NotOurs) as error:
        return str(error)
    return ""


def of_web(address: str) -> Finding:
    """What the running web process says of itself."""
    try:
        answer = httpx.get(f"{address}/health/ready", timeout=5, trust_env=False)
        told = answer.json()["checks"]
    except (httpx.HTTPError, ValueError, KeyError) as error:
        words = f"{address} does not answer: {' '.join(str(error).split())[:200]}"
        return Finding("web", "fail", words, "Its log is LOBBY_HOME/logs/web.log.")
    missing = [f"{name}: {each['reason']}" for name, each in told.items() if not each["ok"]]
    if missing:
        return Finding("web", "fail", " ".join(missing), "What is named here is missing to it.")
    return Finding("web", "ok", f"{address} is ready, in {max(each['ms'] for each in told.values()):g} ms")
