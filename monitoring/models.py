import uuid
from typing import Any, NoReturn

from django.conf import settings
from django.contrib.postgres.fields import ArrayField
from django.core.exceptions import ValidationError
from django.core.validators import validate_email
from django.db import models
from django.db.models.functions import Now

from lobby import egress
from monitoring import rules
from monitoring.querysets import AlertQuerySet, ReceiverQuerySet


class AppendOnly(Exception):
    """What happened stays as it was written."""


class AuditEventQuerySet(models.QuerySet["AuditEvent"]):
    def update(self, **fields: Any) -> NoReturn:
        raise AppendOnly

    def delete(self) -> NoReturn:
        raise AppendOnly


class AuditEvent(models.Model):
    """Who did what to what, when and from where. The database itself refuses to change or delete a row.

    The actor is a number and a name without a foreign key: the row outlives the account.
    """

    id = models.BigAutoField(primary_key=True)
    at = models.DateTimeField(db_default=Now(), db_index=True)
    action = models.CharField(max_length=60, db_index=True)
    actor = models.ForeignKey(
        settings.AUTH_USER_MODEL, null=True, on_delete=models.DO_NOTHING, db_constraint=False, related_name="+"
    )
    actor_name = models.CharField(max_length=150, blank=True)
    subject_kind = models.CharField(max_length=80, blank=True)
    subject_id = models.CharField(max_length=80, blank=True)
    address = models.GenericIPAddressField(null=True)
    detail = models.JSONField(default=dict)

    objects = AuditEventQuerySet.as_manager()

    class Meta:
        ordering = ["-at"]
        indexes = [
            models.Index(fields=["subject_kind", "subject_id"], name="audit_of_subject"),
            models.Index(fields=["actor_name", "-id"], name="audit_of_actor"),
        ]

    def __str__(self) -> str:
        return f"{self.action} by {self.actor_name or 'nobody'}"

    def save(self, **options: Any) -> None:
        if not self._state.adding:
            raise AppendOnly
        super().save(**options)

    def delete(self, using: Any = None, keep_parents: bool = False) -> NoReturn:
        raise AppendOnly


class Snapshot(models.Model):
    """The figures of one stretch of time, for the charts. Minutes are kept for a day, then hours, then days."""

    class Span(models.TextChoices):
        MINUTE = "minute", "minute"
        HOUR = "hour", "hour"
        DAY = "day", "day"

    id = models.BigAutoField(primary_key=True)
    span = models.CharField(max_length=6, choices=Span)
    at = models.DateTimeField()  # where the stretch begins
    figures = models.JSONField()  # name → number; a counter's is what came in this stretch, a gauge's its mean

    class Meta:
        ordering = ["-at"]
        permissions = [("see_metrics", "May see the dashboard and the metrics")]
        constraints = [models.UniqueConstraint(fields=["span", "at"], name="one_snapshot_of_a_stretch")]

    def __str__(self) -> str:
        return f"{self.span} {self.at:%Y-%m-%d %H:%M}"


class AlertRule(models.Model):
    """When somebody should know: a metric (monitoring/rules.py lists them) beyond a bound for some time."""

    class Comparison(models.TextChoices):
        ABOVE = "above", "above"
        BELOW = "below", "below"

    class Severity(models.TextChoices):
        INFO = "info", "for information"
        WARNING = "warning", "warning"
        CRITICAL = "critical", "critical"

    id = models.UUIDField(primary_key=True, default=uuid.uuid4, editable=False)
    name = models.CharField(max_length=80, unique=True)
    metric = models.CharField(max_length=60)
    comparison = models.CharField(max_length=5, choices=Comparison, default=Comparison.ABOVE)
    bound = models.FloatField()
    for_seconds = models.PositiveIntegerField(default=0, help_text="How long it has to be so; 0: at once.")
    severity = models.CharField(max_length=8, choices=Severity, default=Severity.WARNING)
    is_enabled = models.BooleanField("enabled", default=True)
    advice = models.TextField(blank=True, help_text="What to do; stands in every message.")

    class Meta:
        ordering = ["name"]

    def __str__(self) -> str:
        return self.name

    def clean(self) -> None:
        if self.bound is not None and (wrong := rules.why_not(metric=self.metric, bound=self.bound)):
            raise ValidationError({name: [words] for name, words in wrong.items()})

    def is_beyond(self, value: float) -> bool:
        return value > self.bound if self.comparison == self.Comparison.ABOVE else value < self.bound


class Alert(models.Model):
    """A rule that holds of something (`subject`, for example a host; empty: the installation), until it is resolved."""

    id = models.UUIDField(primary_key=True, default=uuid.uuid4, editable=False)
    rule = models.ForeignKey(AlertRule, on_delete=models.CASCADE, related_name="alerts")
    subject = models.CharField(max_length=200, blank=True)
    value = models.FloatField()
    since = models.DateTimeField(db_default=Now())  # when it began to be so
    raised_at = models.DateTimeField(null=True)  # when it had been so for long enough; before that nobody is told
    calm_since = models.DateTimeField(null=True)  # when it was first found over; found so twice, it is resolved
    resolved_at = models.DateTimeField(null=True)
    acknowledged_at = models.DateTimeField(null=True)
    acknowledged_by = models.ForeignKey(
        settings.AUTH_USER_MODEL, null=True, on_delete=models.SET_NULL, related_name="+"
    )

    objects = AlertQuerySet.as_manager()

    class Meta:
        ordering = ["-since"]
        indexes = [models.Index(fields=["-since"], name="alert_by_age")]
        constraints = [
            models.UniqueConstraint(
                fields=["rule", "subject"], condition=models.Q(resolved_at__isnull=True), name="one_open_alert"
            )
        ]

    def __str__(self) -> str:
        return f"{self.rule}: {self.subject}" if self.subject else str(self.rule)


class Notification(models.Model):
    """One message about an alert to one address: an outbox, so that none is lost or sent by two."""

    class State(models.TextChoices):
        WAITING = "waiting", "waiting"
        SENT = "sent", "sent"
        FAILED = "failed", "given up"

    id = models.UUIDField(primary_key=True, default=uuid.uuid4, editable=False)
    alert = models.ForeignKey(Alert, on_delete=models.CASCADE, related_name="notifications")
    receiver = models.ForeignKey("Receiver", on_delete=models.CASCADE, related_name="notifications")
    event = models.CharField(max_length=8)  # raised, resolved
    state = models.CharField(max_length=8, choices=State, default=State.WAITING)
    attempts = models.PositiveSmallIntegerField(default=0)
    next_at = models.DateTimeField(db_default=Now(), db_index=True)
    error = models.TextField(blank=True)

    class Meta:
        constraints = [
            models.UniqueConstraint(fields=["alert", "receiver", "event"], name="told_once"),
        ]

    def __str__(self) -> str:
        return f"{self.alert} {self.event}"


class Receiver(models.Model):
    """Who is told of alerts: an e-mail address or a webhook."""

    class Kind(models.TextChoices):
        EMAIL = "email", "e-mail"
        WEBHOOK = "webhook", "webhook"

    id = models.UUIDField(primary_key=True, default=uuid.uuid4, editable=False)
    kind = models.CharField(max_length=8, choices=Kind)
    address = models.CharField(max_length=500)
    secret = models.TextField(blank=True, editable=False)  # signs webhooks; encrypted
    least_severity = models.CharField(
        max_length=8, choices=AlertRule.Severity, default=AlertRule.Severity.WARNING, help_text="And all above it."
    )
    is_enabled = models.BooleanField("enabled", default=True)

    objects = ReceiverQuerySet.as_manager()

    class Meta:
        ordering = ["address"]
        constraints = [models.UniqueConstraint(fields=["kind", "address"], name="one_receiver_of_an_address")]

    def __str__(self) -> str:
        return self.address

    def clean(self) -> None:
        """What can't be sent to is refused, with the reason. Where a webhook leads is looked at again each time."""
        try:
            if self.kind == self.Kind.EMAIL:
                validate_email(self.address)
            elif self.kind == self.Kind.WEBHOOK:
                egress.check(self.address)
        except (ValidationError, egress.Refused, egress.NotReached) as error:
            words = error.messages if isinstance(error, ValidationError) else [str(error)]
            raise ValidationError({"address": words}) from None


class Turn(models.Model):
    """When work that several processes would do was last taken up by one of them (monitoring/turns.py)."""

    name = models.CharField(max_length=40, primary_key=True)
    at = models.DateTimeField(db_default=Now())

    def __str__(self) -> str:
        return self.name


class Total(models.Model):
    """What a counter had counted up to `Seal.until`: it goes on when the rows it counted are deleted
    (monitoring/totals.py)."""

    id = models.BigAutoField(primary_key=True)
    name = models.CharField(max_length=60)  # a key of monitoring.metrics.COUNTERS or HISTOGRAMS
    labels = models.JSONField()
    value = models.FloatField()  # of a histogram the sum of what was observed
    buckets = ArrayField(models.BigIntegerField(), null=True)  # of a histogram: how many were at most each bound, all

    class Meta:
        constraints = [models.UniqueConstraint(fields=["name", "labels"], name="one_total_of_a_series")]

    def __str__(self) -> str:
        return f"{self.name} {self.labels}"


class Seal(models.Model):
    """One row: what happened before `until` is in the totals, and what happened later is counted in its rows."""

    until = models.DateTimeField()

    def __str__(self) -> str:
        return f"{self.until:%Y-%m-%d %H:%M:%S}"


class Departed(models.Model):
    """What a counter needs of a row that went, or was taken back, before it was in the totals. Triggers write it."""

    id = models.BigAutoField(primary_key=True)
    source = models.CharField(max_length=20)
    at = models.DateTimeField(db_index=True)
    columns = models.JSONField()

    def __str__(self) -> str:
        return f"{self.source} {self.at:%Y-%m-%d %H:%M:%S}"
