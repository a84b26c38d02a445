"""What the audit trail says of a person, as his own data. It can be taken along; it is not deleted."""

from collections.abc import Iterator

from django.contrib.auth.models import User
from django.db.models import Q

from lobby.accounts.own_data import File, Part, nothing, rows
from monitoring.models import Alert, AuditEvent


def files(user: User) -> Iterator[File]:
    about = Q(actor_id=user.pk) | Q(subject_kind="auth.user", subject_id=str(user.pk))
    yield rows("audit.json", AuditEvent.objects.filter(about).order_by("id"))
    yield rows("alerts_acknowledged.json", Alert.objects.filter(acknowledged_by=user))


PART = Part(files=files, remove=nothing)
