"""Who is told of alerts: mails, which Django keeps for tests, and real webhooks on loopback, permitted here."""

import base64
import hashlib
import hmac
import json
from collections.abc import Iterator
from datetime import timedelta
from ipaddress import ip_network
from typing import Any

import pytest
from django.core import mail
from django.core.exceptions import ValidationError
from django.db.models import DurationField, ExpressionWrapper, F
from django.db.models.functions import Now
from pytest_django.fixtures import Settings

from lobby.mail import read_server
from lobby.sealing import unseal
from monitoring import alerts
from monitoring.figures import Sample
from monitoring.models import Alert, AlertRule, AuditEvent, Notification, Receiver
from monitoring.notices import NotSent, new_secret, renew_secrets, send_due, send_test, sign
from tests.listening import Listener, listening, replying
from tests.monitoring.test_alerts import in_two_threads, later

pytestmark = pytest.mark.django_db

OK = b"HTTP/1.1 204 No Content\r\n\r\n"
FULL = b"HTTP/1.1 500 Internal Server Error\r\nContent-Length: 9\r\n\r\ndisk full"
State = Notification.State


@pytest.fixture(autouse=True)
def mail_and_loopback(settings: Settings) -> None:
    settings.MAIL = read_server("smtp://mail.example")
    settings.SITE_URL = "https://lobby.example"
    settings.WEBHOOK_NETWORKS = [ip_network("127.0.0.1/32")]


@pytest.fixture
def hook() -> Iterator[Listener]:
    with listening(replying(OK)) as listener:
        yield listener


def mailbox(address: str = "carol@house.example", **fields: Any) -> Receiver:
    return Receiver.objects.create(kind="email", address=address, **fields)


def webhook(address: str) -> Receiver:
    return Receiver.objects.create(kind="webhook", address=address)


def host_is(value: float) -> None:
    rules = AlertRule.objects.filter(name="Host down")
    if not rules.exists():
        fields = {"comparison": "below", "severity": "critical", "advice": "Start it."}
        AlertRule.objects.create(name="Host down", metric="host_up", bound=1, **fields)
    alerts.evaluate([Sample("host_up", value, {"host": "attic"})])


def host_comes_back() -> None:
    for _ in range(2):
        later(15)
        host_is(1)


def due_now() -> None:
    Notification.objects.update(next_at=Now() - timedelta(seconds=1))


def attempts() -> list[tuple[str, str, int]]:
    return list(Notification.objects.order_by("event").values_list("event", "state", "attempts"))


def test_mail_says_what_is_and_what_to_do() -> None:
    mailbox()
    host_is(0)

    assert send_due() == 1
    (message,) = mail.outbox
    assert (message.subject, message.to) == ("[Agent Lobby] critical: Host down: attic", ["carol@house.example"])
    assert message.body == ("Host down: attic.\n\nHost answers: no.\n\nStart it.\n\nhttps://lobby.example/dashboard/")


def test_told_once_and_once_more_when_it_is_over() -> None:
    mailbox()
    for _ in range(3):
        host_is(0)
        send_due()
    host_comes_back()
    for _ in range(3):
        send_due()

    assert [message.subject for message in mail.outbox] == [
        "[Agent Lobby] critical: Host down: attic",
        "[Agent Lobby] over: Host down: attic",
    ]


def test_what_was_never_raised_is_told_to_nobody() -> None:
    mailbox()
    host_is(1)
    AlertRule.objects.update(for_seconds=60)
    host_is(0)

    assert (send_due(), mail.outbox) == (0, [])


@pytest.mark.parametrize(("least", "told"), [("info", 1), ("warning", 1), ("critical", 1)])
def test_receiver_is_told_from_a_severity_on(least: str, told: int) -> None:
    mailbox(least_severity=least)
    mailbox("off@house.example", is_enabled=False)
    host_is(0)

    assert send_due() == told


def test_receiver_is_not_told_of_what_is_less_severe() -> None:
    mailbox(least_severity="critical")
    host_is(1)
    AlertRule.objects.update(severity="warning")
    host_is(0)

    assert send_due() == 0


def test_webhook_is_signed_as_the_specification_says(hook: Listener) -> None:
    receiver = webhook(f"{hook.url}/alerts")
    secret = new_secret(receiver)
    host_is(0)

    assert send_due() == 1
    head, _, body = hook.heard[0].partition(b"\r\n\r\n")
    headers = dict(line.split(": ", 1) for line in head.decode().lower().splitlines()[1:])
    signed = f"{headers['webhook-id']}.{headers['webhook-timestamp']}.".encode() + body
    expected = hmac.digest(base64.b64decode(secret.removeprefix("whsec_")), signed, hashlib.sha256)
    given = head.decode().split("webhook-signature: ")[1].split("\r\n")[0]
    assert given == f"v1,{base64.b64encode(expected).decode()}"
    assert headers["webhook-id"] == f"msg_{Notification.objects.get().pk.hex}"
    told = json.loads(body)
    assert (told["type"], told["data"]["rule"], told["data"]["subject"], told["data"]["value"]) == (
        "alert.raised",
        "Host down",
        "attic",
        0,
    )


def test_signature_is_that_of_the_specifications_example() -> None:
    secret = "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw"
    body = b'{"test": 2432232314}'

    assert sign(body, ident="msg_p5jXN8AQM9LWM0D4loKWxJek", at=1614265330, secret=secret) == (
        "v1,g0hM9SsE+OTPJTGt/tmIKtSyZlE3uFJELVlNIOLJ1OE="
    )


def test_webhook_that_fails_is_tried_again_ever_later_and_then_given_up() -> None:
    with listening(replying(FULL)) as hook:
        webhook(hook.url)
        host_is(0)
        pauses = []
        for _ in range(8):
            send_due()
            notice = Notification.objects.annotate(pause=until_next()).get()
            pauses.append((notice.state, notice.pause.total_seconds()))
            due_now()

    waited = [pause for state, pause in pauses if state == State.WAITING]
    planned = [30, 60, 300, 900, 3600]
    assert len(waited) == len(planned)
    assert [plan for pause, plan in zip(waited, planned, strict=True) if not plan - 25 < pause <= plan] == []
    assert (len(hook.heard), pauses[-1][0]) == (6, State.FAILED)
    assert notice.error == "It answered with status 500. disk full"
    assert AuditEvent.objects.get(action="notification.given-up").detail["error"] == notice.error


def until_next() -> Any:
    return ExpressionWrapper(F("next_at") - Now(), output_field=DurationField())


def test_second_attempt_is_the_same_message_to_its_receiver(hook: Listener) -> None:
    webhook(hook.url)
    host_is(0)
    send_due()
    Notification.objects.update(state=State.WAITING)
    due_now()
    send_due()

    first, second = (request.decode().split("webhook-id: ")[1].split("\r\n")[0] for request in hook.heard)
    assert first == second


def test_that_it_is_over_is_told_after_that_it_began(hook: Listener) -> None:
    webhook("http://127.0.0.1:9/")
    host_is(0)
    send_due()
    host_comes_back()
    Receiver.objects.update(address=hook.url)

    assert (send_due(), attempts()) == (0, [("raised", State.WAITING, 1), ("resolved", State.WAITING, 0)])
    due_now()
    send_due()
    send_due()
    assert [json.loads(request.partition(b"\r\n\r\n")[2])["type"] for request in hook.heard] == [
        "alert.raised",
        "alert.resolved",
    ]


def test_address_that_has_become_private_is_given_up_at_once(settings: Settings, hook: Listener) -> None:
    webhook(hook.url)
    host_is(0)
    settings.WEBHOOK_NETWORKS = []

    send_due()

    notice = Notification.objects.get()
    assert (notice.state, hook.heard) == (State.FAILED, [])
    assert notice.error.startswith("127.0.0.1 is not on the public internet, so nothing is sent there.")


def test_without_a_mail_server_the_reason_is_kept(settings: Settings) -> None:
    settings.MAIL = None
    mailbox()
    host_is(0)

    assert (send_due(), mail.outbox) == (0, [])
    assert Notification.objects.get().error == "No mail server is set: LOBBY_EMAIL_URL (docs/configuration.md)."


def test_mail_server_that_is_away_is_tried_again(settings: Settings) -> None:
    settings.EMAIL_BACKEND = "django.core.mail.backends.smtp.EmailBackend"
    settings.EMAIL_HOST, settings.EMAIL_PORT = "127.0.0.1", 9
    mailbox()
    host_is(0)

    send_due()

    notice = Notification.objects.get()
    assert (notice.state, notice.attempts) == (State.WAITING, 1)
    assert notice.error.startswith("The mail server did not take it:")


def test_name_that_holds_a_lines_end_makes_no_header() -> None:
    mailbox()
    AlertRule.objects.create(name="Odd\nBcc: all@house.example", metric="workers", bound=0, severity="critical")
    alerts.evaluate([Sample("workers", 3)])
    send_due()

    assert mail.outbox[0].subject == "[Agent Lobby] critical: Odd Bcc: all@house.example"


@pytest.mark.django_db(transaction=True)
def test_of_two_who_send_at_once_each_tells_what_the_other_does_not(hook: Listener) -> None:
    for number in range(4):
        webhook(f"{hook.url}/{number}")
    host_is(0)

    sent = in_two_threads(send_due)

    assert (sum(sent), len(hook.heard)) == (4, 4)
    assert len({request.split(b" ")[1] for request in hook.heard}) == 4


def test_trial_message_says_what_went_wrong(hook: Listener) -> None:
    send_test(webhook(hook.url))
    send_test(mailbox())

    assert json.loads(hook.heard[0].partition(b"\r\n\r\n")[2])["type"] == "test"
    assert mail.outbox[0].subject == "[Agent Lobby] a test"
    with pytest.raises(NotSent, match="It could not be reached"):
        send_test(webhook("http://127.0.0.1:9/"))


def test_secret_is_kept_sealed_and_renewed_for_a_new_key(settings: Settings, hook: Listener) -> None:
    receiver = webhook(hook.url)
    secret = new_secret(receiver)
    settings.SECRET_KEY_FALLBACKS, settings.SECRET_KEY = [settings.SECRET_KEY], "a new key"

    renew_secrets()
    settings.SECRET_KEY_FALLBACKS = []

    receiver.refresh_from_db()
    assert (unseal(receiver.secret), secret in receiver.secret) == (secret, False)


def test_secret_that_no_key_opens_is_given_up_with_what_to_do(settings: Settings, hook: Listener) -> None:
    new_secret(webhook(hook.url))
    settings.SECRET_KEY = "another key"
    renew_secrets()
    host_is(0)

    send_due()

    notice = Notification.objects.get()
    assert (notice.state, hook.heard) == (State.FAILED, [])
    assert "enter it anew" in notice.error


@pytest.mark.parametrize(
    ("kind", "address", "words"),
    [
        ("email", "nobody", "Enter a valid email address."),
        ("webhook", "http://10.0.0.7/hook", "10.0.0.7 is not on the public internet, so nothing is sent there."),
        ("webhook", "http://localhost:6379/", "localhost ("),
        ("webhook", "hooks.example", "An address looks like https://hooks.example/path."),
        ("webhook", "https://u:p@hooks.example/", "An address is written without user name and password"),
    ],
)
def test_receiver_that_can_not_be_sent_to_is_refused_when_entered(
    settings: Settings, kind: str, address: str, words: str
) -> None:
    settings.WEBHOOK_NETWORKS = []

    with pytest.raises(ValidationError) as refused:
        Receiver(kind=kind, address=address).full_clean()
    assert refused.value.message_dict["address"][0].startswith(words)


def test_permitted_receiver_is_taken(hook: Listener) -> None:
    Receiver(kind="webhook", address=hook.url).full_clean()
    Receiver(kind="email", address="carol@house.example").full_clean()

    assert Alert.objects.count() == 0
