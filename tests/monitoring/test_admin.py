"""Alerts, their rules and receivers, and the audit log in the admin."""

from typing import Any

import pytest
from django.contrib.auth.models import Permission
from django.contrib.messages import get_messages
from django.core import mail
from django.test import Client
from django.utils import timezone

from lobby.mail import read_server
from monitoring.models import Alert, AlertRule, AuditEvent, Receiver
from tests.factories import make_admin, make_user

pytestmark = pytest.mark.django_db
RULE = {"name": "Long line", "metric": "queue_runs", "comparison": "above", "bound": "10", "for_seconds": "60"}
RULE |= {"severity": "warning", "advice": "Add a host.", "is_enabled": "on"}


@pytest.fixture
def carol(client: Client) -> Client:
    client.force_login(make_admin())
    return client


def open_alert() -> Alert:
    rule = AlertRule.objects.create(name="Long line", metric="queue_runs", bound=10, advice="Add a host.")
    return Alert.objects.create(rule=rule, subject="gpu", value=12, raised_at=timezone.now())


def act(client: Client, model: str, action: str, *rows: Any) -> list[str]:
    chosen = {"action": action, "_selected_action": [str(row.pk) for row in rows]}
    answer = client.post(f"/admin/monitoring/{model}/", chosen)
    return [str(message) for message in get_messages(answer.wsgi_request)]


def test_alert_is_acknowledged_by_name_once(carol: Client) -> None:
    alert = open_alert()

    assert act(carol, "alert", "acknowledge", alert) == ["Acknowledged: 1."]
    alert.refresh_from_db()
    assert alert.acknowledged_by is not None
    assert alert.acknowledged_by.username == "carol"
    assert act(carol, "alert", "acknowledge", alert)[-1] == "Acknowledged: 0."
    assert list(AuditEvent.objects.filter(action="alert.acknowledged").values_list("address", flat=True)) == [
        "127.0.0.1"
    ]


def test_who_may_only_look_acknowledges_nothing(client: Client) -> None:
    alert = open_alert()
    dave = make_user("dave", is_staff=True)
    dave.user_permissions.add(Permission.objects.get(codename="view_alert"))
    client.force_login(dave)

    act(client, "alert", "acknowledge", alert)

    assert Alert.objects.get().acknowledged_at is None


def test_page_of_an_alert_says_what_to_do(carol: Client) -> None:
    page = carol.get(f"/admin/monitoring/alert/{open_alert().pk}/change/").content.decode()
    assert "Add a host." in page


def test_rule_is_added_and_read_back_in_words(carol: Client) -> None:
    carol.post("/admin/monitoring/alertrule/add/", RULE)
    assert AlertRule.objects.get(name="Long line").metric == "queue_runs"
    page = carol.get("/admin/monitoring/alertrule/?q=Long").content.decode()
    assert "runs waiting in line above 10 for 60 s" in page


@pytest.mark.parametrize("wrong", [{"metric": "no_such_metric"}, {"bound": "nan"}, {"for_seconds": "-1"}])
def test_rule_about_nothing_is_refused(carol: Client, wrong: dict[str, str]) -> None:
    answer = carol.post("/admin/monitoring/alertrule/add/", RULE | wrong)
    assert list(answer.context["adminform"].errors) == list(wrong)
    assert not AlertRule.objects.filter(name="Long line").exists()


@pytest.mark.parametrize(
    "address", ["http://127.0.0.1/hook", "https://169.254.169.254/", "ftp://example.org", "nothing"]
)
def test_webhook_into_our_own_network_is_refused_with_the_reason(carol: Client, address: str) -> None:
    form = {"kind": "webhook", "address": address, "least_severity": "warning"}
    answer = carol.post("/admin/monitoring/receiver/add/", form)
    assert list(answer.context["adminform"].errors) == ["address"]
    assert Receiver.objects.count() == 0


def test_test_message_is_sent_or_said_not_to_be(carol: Client, settings: Any) -> None:
    settings.MAIL = read_server("smtp://mail.example")
    good = Receiver.objects.create(kind="email", address="ops@example.org")
    bad = Receiver.objects.create(kind="webhook", address="https://127.0.0.1/hook")

    said = act(carol, "receiver", "send_test", good, bad)

    assert any(words.startswith("https://127.0.0.1/hook: not sent. ") for words in said)
    assert "ops@example.org: sent." in said
    assert [message.to for message in mail.outbox] == [["ops@example.org"]]


def test_secret_of_a_webhook_is_shown_once_and_renewed(carol: Client) -> None:
    hook = Receiver.objects.create(kind="webhook", address="https://example.org/hook")

    (said,) = act(carol, "receiver", "renew_secret", hook)

    assert "whsec_" in said
    secret = said.split("secret ")[1].split(":")[0]
    pages = [carol.get(f"/admin/monitoring/receiver/{hook.pk}/change/").content.decode() for _ in range(2)]
    assert [secret in page for page in pages] == [True, False]
    assert AuditEvent.objects.filter(action="receiver.secret_renewed").count() == 1


def test_audit_log_is_searched_by_who_did_it_and_changed_by_nobody(carol: Client) -> None:
    AuditEvent.objects.create(action="test.done", actor_name="alice")
    row = AuditEvent.objects.create(action="test.done", actor_name="bob")
    page = carol.get("/admin/monitoring/auditevent/?q=bob")

    assert [event.pk for event in page.context["cl"].result_list] == [row.pk]
    assert "/audit/" in page.content.decode()
    for path in ("add/", f"{row.pk}/delete/"):
        assert carol.get(f"/admin/monitoring/auditevent/{path}").status_code == 403
    assert carol.post(f"/admin/monitoring/auditevent/{row.pk}/change/", {"action": "x"}).status_code == 403


def test_page_of_an_audit_event_leads_to_what_it_was_about_and_says_the_details_in_words(carol: Client) -> None:
    alert = open_alert()
    about = {"subject_kind": "monitoring.alert", "subject_id": str(alert.pk), "detail": {"was_open": 3}}
    event = AuditEvent.objects.create(action="alert.acknowledged", **about)
    page = carol.get(f"/admin/monitoring/auditevent/{event.pk}/change/").content.decode()
    assert f'href="/admin/monitoring/alert/{alert.pk}/change/"' in page
    assert "was open: 3" in page

    event = AuditEvent.objects.create(action="export.made", subject_kind="lobby.export", subject_id="7")
    assert "export 7" in carol.get(f"/admin/monitoring/auditevent/{event.pk}/change/").content.decode()
