"""What belongs to an account besides its name and password: keys, invitations, limits."""

import uuid

from django.conf import settings
from django.contrib.auth.models import Group
from django.contrib.postgres.fields import ArrayField
from django.core.validators import MinValueValidator
from django.db import models
from django.db.models.functions import Now


class Right(models.Model):  # noqa: DJ008  (there are no rows)
    """No table: it names what people may be allowed to do beyond changing rows (lobby/accounts/permissions.py)."""

    class Meta:
        managed = False
        default_permissions = ()
        permissions = [
            ("chat", "May ask agents"),
            ("debate", "May start debates"),
            ("manage_agents", "May change agents and hosts in the admin"),
        ]


class ApiKey(models.Model):
    """A program's way in, in the name of its user. The key itself is shown once; kept is what recognises it."""

    id = models.UUIDField(primary_key=True, default=uuid.uuid4, editable=False)
    user = models.ForeignKey(settings.AUTH_USER_MODEL, on_delete=models.CASCADE, related_name="api_keys")
    name = models.CharField(max_length=80, help_text="What it is for, for example the program that uses it.")
    prefix = models.CharField(max_length=12, unique=True, editable=False)
    digest = models.CharField(max_length=64, editable=False)  # HMAC-SHA256 with a pepper, hexadecimal
    scopes = ArrayField(models.CharField(max_length=30))
    created_at = models.DateTimeField(db_default=Now(), editable=False)
    expires_at = models.DateTimeField(null=True, blank=True, help_text="Empty: never.")
    last_used_at = models.DateTimeField(null=True, editable=False)
    revoked_at = models.DateTimeField(null=True, blank=True, editable=False)

    class Meta:
        verbose_name = "API key"
        ordering = ["-created_at"]
        indexes = [models.Index(fields=["-created_at"], name="key_by_age")]

    def __str__(self) -> str:
        return f"{self.name} (lob_{self.prefix}…)"


class Invitation(models.Model):
    """Lets one person make an account. The link is shown, or mailed, once."""

    id = models.UUIDField(primary_key=True, default=uuid.uuid4, editable=False)
    email = models.EmailField(blank=True, help_text="Empty: whoever has the link.")
    digest = models.CharField(max_length=64, unique=True, editable=False)
    groups = models.ManyToManyField(Group, blank=True, help_text="Whoever comes becomes a member of these.")
    invited_by = models.ForeignKey(
        settings.AUTH_USER_MODEL, null=True, on_delete=models.SET_NULL, related_name="+", editable=False
    )
    created_at = models.DateTimeField(db_default=Now(), editable=False)
    expires_at = models.DateTimeField()
    used_at = models.DateTimeField(null=True, editable=False)
    used_by = models.ForeignKey(
        settings.AUTH_USER_MODEL, null=True, on_delete=models.SET_NULL, related_name="+", editable=False
    )

    class Meta:
        ordering = ["-created_at"]
        indexes = [models.Index(fields=["-created_at"], name="invitation_by_age")]

    def __str__(self) -> str:
        return self.email or "an invitation"


class Limit(models.Model):
    """How much of something may be used. What no row says, the settings do (docs/configuration.md)."""

    class Kind(models.TextChoices):
        RUNS_AT_ONCE = "runs_at_once", "replies being written at once"
        RUNS_QUEUED = "runs_queued", "replies waiting in line"
        RUNS_PER_HOUR = "runs_per_hour", "replies per hour"
        TOKENS_PER_DAY = "tokens_per_day", "tokens per day, read and written"
        DEBATES_AT_ONCE = "debates_at_once", "debates under way at once"
        DEBATES_PER_HOUR = "debates_per_hour", "debates begun per hour"
        DEBATE_SEATS = "debate_seats", "seats of one debate"
        DEBATE_TOKENS = "debate_tokens", "tokens of one debate"
        STORAGE = "storage", "stored text, in megabytes"

    class Scope(models.TextChoices):
        EACH = "each", "each user"
        GROUP = "group", "each member of a group"  # of several groups the most generous holds
        USER = "user", "one user"
        INSTALLATION = "installation", "all users together"

    kind = models.CharField(max_length=20, choices=Kind)
    scope = models.CharField(max_length=12, choices=Scope, default=Scope.EACH)
    user = models.ForeignKey(
        settings.AUTH_USER_MODEL, null=True, blank=True, on_delete=models.CASCADE, related_name="limits"
    )
    group = models.ForeignKey(Group, null=True, blank=True, on_delete=models.CASCADE, related_name="limits")
    value = models.PositiveBigIntegerField(
        null=True,
        blank=True,
        help_text="Empty: no limit. 0: not at all.",
        validators=[MinValueValidator(0, "A limit is 0 or more; leave it empty for no limit.")],
        error_messages={"invalid": "A limit is a whole number; leave it empty for no limit."},
    )

    class Meta:
        ordering = ["kind", "scope"]
        constraints = [
            models.UniqueConstraint(
                fields=["kind", "scope", "user", "group"],
                name="one_limit_of_a_kind",
                nulls_distinct=False,
                violation_error_message="There is such a limit already: change that one.",
            ),
            models.CheckConstraint(
                name="limit_names_whom_it_holds_for",
                violation_error_message=(
                    "Name a user for a limit of one user, a group for one of its members, and neither for the others."
                ),
                condition=(
                    models.Q(scope="user", user__isnull=False, group__isnull=True)
                    | models.Q(scope="group", user__isnull=True, group__isnull=False)
                    | models.Q(scope__in=["each", "installation"], user__isnull=True, group__isnull=True)
                ),
            ),
        ]

    def __str__(self) -> str:
        return f"{self.get_kind_display()}, {self.user or self.group or self.get_scope_display()}"


class Use(models.Model):
    """What a user used on a day. It outlives the runs that were counted, which may be deleted."""

    user = models.ForeignKey(settings.AUTH_USER_MODEL, on_delete=models.CASCADE, related_name="use")
    day = models.DateField()  # in UTC
    tokens = models.PositiveBigIntegerField(default=0)  # read and written, of runs that ended that day

    class Meta:
        ordering = ["-day"]
        constraints = [models.UniqueConstraint(fields=["day", "user"], name="use_of_a_day")]

    def __str__(self) -> str:
        return f"{self.user} on {self.day}"


class UserSession(models.Model):
    """A browser in which somebody is signed in. `key` is that of Django's session."""

    id = models.UUIDField(primary_key=True, default=uuid.uuid4, editable=False)
    key = models.CharField(max_length=40, unique=True, editable=False)
    user = models.ForeignKey(settings.AUTH_USER_MODEL, on_delete=models.CASCADE, related_name="sessions")
    browser = models.CharField(max_length=200, blank=True)
    address = models.GenericIPAddressField(null=True)
    began_at = models.DateTimeField(db_default=Now(), editable=False)
    seen_at = models.DateTimeField()

    def __str__(self) -> str:
        return f"{self.browser or 'a browser'}, {self.address}"
