import re

import pytest
from django.db import IntegrityError
from django.test import RequestFactory

from debates.sharing import revoke, share, shared
from monitoring.models import AuditEvent
from tests.debates.rows import make_debate
from tests.factories import make_user

pytestmark = pytest.mark.django_db


def test_a_shared_debate_is_found_by_its_key_alone() -> None:
    debate, other = make_debate(), make_debate()
    key = share(debate)
    assert re.fullmatch(r"[A-Za-z0-9_-]{43}", key)
    assert shared(key) == debate
    assert share(other) != key


@pytest.mark.parametrize("key", ["", "0" * 43, "\0", "'", "x" * 10_000])
def test_any_other_key_finds_nothing(key: str) -> None:
    share(make_debate())
    make_debate()
    assert shared(key) is None


def test_sharing_again_gives_the_same_link() -> None:
    debate = make_debate()
    assert share(debate) == share(debate) == debate.share_key
    assert AuditEvent.objects.filter(action="debate.shared").count() == 1


def test_a_revoked_link_leads_nowhere_and_the_next_is_another() -> None:
    debate = make_debate()
    key = share(debate)
    revoke(debate)
    assert (shared(key), debate.share_key) == (None, None)
    assert share(debate) != key


def test_revoking_what_is_not_shared_is_nothing() -> None:
    revoke(make_debate())
    assert not AuditEvent.objects.exists()


def test_who_shared_and_revoked_stands_in_the_audit_trail() -> None:
    debate, bob = make_debate(), make_user("bob")
    request = RequestFactory(REMOTE_ADDR="192.0.2.7").post("/")
    request.user = bob
    share(debate)
    revoke(debate, request=request)
    events = AuditEvent.objects.order_by("pk").values_list("action", "actor_name", "address", "subject_id")
    assert list(events) == [
        ("debate.shared", "alice", None, str(debate.pk)),
        ("debate.unshared", "bob", "192.0.2.7", str(debate.pk)),
    ]


def test_no_two_debates_have_one_key() -> None:
    debate, other = make_debate(), make_debate()
    other.share_key = share(debate)
    with pytest.raises(IntegrityError):
        other.save()
