"""Alerts: what holds too long is raised once, and resolved when it is over.

Evaluated every 15 s: beat rings, a worker does it. What beat and the workers themselves are missing for, a web process
does (monitoring/lookout.py). Every step is a conditional UPDATE, so that two who evaluate at once raise one alert and
tell it once.
"""

from collections.abc import Iterable, Mapping
from datetime import timedelta
from typing import Any

import structlog
from django.db import transaction
from django.db.models import QuerySet
from django.db.models.functions import Now
from django.http import HttpRequest
from redis.exceptions import RedisError

from lobby import audit
from lobby.live.streams import publish
from monitoring import figures, turns
from monitoring.figures import Sample
from monitoring.models import Alert, AlertRule, Notification, Receiver
from monitoring.rules import DEFAULTS, METRICS

log = structlog.get_logger()

EVERY = timedelta(seconds=10)  # no sooner than this; beat rings every 15 s
CALM = timedelta(seconds=10)  # found over twice, so far apart at least, it is over
TURN = "alerts"  # of whom beat rings for
TOPIC = "dashboard:0"

Values = Mapping[str, float]  # subject → value


def seed() -> None:
    """The rules of a new installation. Where there are any, an admin has made up his mind."""
    if not AlertRule.objects.exists():
        rules = [AlertRule(name=name, **fields) for name, fields in DEFAULTS.items()]
        AlertRule.objects.bulk_create(rules, ignore_conflicts=True)


def watch(turn: str = TURN) -> bool:
    """Evaluate if it is time, and whether it was. Raises django.db.Error."""
    if not turns.take(turn, after=EVERY):
        return False
    evaluate(figures.collect())
    return True


def evaluate(samples: Iterable[Sample], *, only: str = "") -> None:
    """Compare every rule with what was measured: raise, go on, or resolve. `only` one metric, where no other is known.

    A metric without a sample is nobody's trouble (no host, nothing answered), except where Redis would know it.
    """
    found = _by_metric(samples)
    _resolve_switched_off()
    for rule in AlertRule.objects.filter(is_enabled=True, **({"metric": only} if only else {})):
        metric = METRICS.get(rule.metric)
        if metric is None or (metric.needs_redis and not found["redis_up"][""]):
            continue
        _judge(rule, found.get(rule.metric, {}))


def open_alerts() -> QuerySet[Alert]:
    """Raised and not over, the worst first, then the oldest."""
    return Alert.objects.open().worst_first().select_related("rule", "acknowledged_by")


def acknowledge(alert: Alert, *, by: Any, request: HttpRequest | None = None) -> bool:
    """Somebody has taken it in hand: it stays open, but no longer calls. False if it was so, or is over."""
    waiting = Alert.objects.filter(pk=alert.pk, acknowledged_at=None, resolved_at=None)
    if not waiting.update(acknowledged_at=Now(), acknowledged_by=by):
        return False
    audit.record("alert.acknowledged", request=request, actor=by, subject=alert, name=str(alert))
    announce()
    return True


def announce() -> None:
    """Tell open dashboards that the list is another."""
    try:
        publish(TOPIC, {"type": "alerts"})
    except RedisError as error:
        log.warning("alerts_not_announced", error=str(error))


def _by_metric(samples: Iterable[Sample]) -> dict[str, dict[str, float]]:
    found: dict[str, dict[str, float]] = {"redis_up": {"": 0.0}}
    for sample in samples:
        metric = METRICS.get(sample.name)
        if metric is None or not metric.only.items() <= sample.labels.items():
            continue
        subject = ", ".join(value for name, value in sorted(sample.labels.items()) if name not in metric.only)
        found.setdefault(sample.name, {})[subject] = sample.value
    if "redis_bytes" in found:
        found["redis_up"][""] = 1.0
    return found


def _judge(rule: AlertRule, values: Values) -> None:
    beyond = {subject: value for subject, value in values.items() if rule.is_beyond(value)}
    known = {alert.subject: alert for alert in rule.alerts.filter(resolved_at=None)}
    for subject, value in beyond.items():
        if subject in known:
            Alert.objects.filter(pk=known[subject].pk).update(value=value, calm_since=None)
        else:
            Alert.objects.bulk_create([Alert(rule=rule, subject=subject, value=value)], ignore_conflicts=True)
    due = Alert.objects.filter(rule=rule, subject__in=beyond, since__lte=Now() - timedelta(seconds=rule.for_seconds))
    for alert in due.filter(raised_at=None, resolved_at=None).select_related("rule"):
        _raise(alert)
    for subject in known.keys() - beyond.keys():
        _calm(known[subject])


def _raise(alert: Alert) -> None:
    with transaction.atomic():
        if not Alert.objects.filter(pk=alert.pk, raised_at=None, resolved_at=None).update(raised_at=Now()):
            return
        _tell(alert, event="raised", receivers=Receiver.objects.for_severity(alert.rule.severity))
        transaction.on_commit(announce)
    log.warning("alert_raised", alert=str(alert), value=alert.value, severity=alert.rule.severity)


def _calm(alert: Alert) -> None:
    """What nobody was told of is forgotten; the rest is over when it was found so twice."""
    with transaction.atomic():
        pending = Alert.objects.select_for_update().filter(pk=alert.pk, raised_at=None)
        if pending.exists():
            pending.delete()
            return
    if not Alert.objects.filter(pk=alert.pk, calm_since=None).update(calm_since=Now()):
        _resolve(Alert.objects.filter(pk=alert.pk, calm_since__lte=Now() - CALM))


def _resolve(alerts: QuerySet[Alert]) -> None:
    for alert in alerts.filter(resolved_at=None).select_related("rule"):
        with transaction.atomic():
            if not alerts.filter(pk=alert.pk, resolved_at=None).update(resolved_at=Now()):
                continue
            told = Receiver.objects.filter(notifications__alert=alert, notifications__event="raised", is_enabled=True)
            _tell(alert, event="resolved", receivers=told)
            transaction.on_commit(announce)
        log.info("alert_resolved", alert=str(alert))


def _resolve_switched_off() -> None:
    _resolve(Alert.objects.filter(rule__is_enabled=False, raised_at__isnull=False))
    Alert.objects.filter(rule__is_enabled=False, raised_at=None).delete()


def _tell(alert: Alert, *, event: str, receivers: Iterable[Receiver]) -> None:
    notices = [Notification(alert=alert, receiver=receiver, event=event) for receiver in receivers]
    Notification.objects.bulk_create(notices, ignore_conflicts=True)
