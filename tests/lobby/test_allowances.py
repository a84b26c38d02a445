"""Which limit holds for whom."""

import time
from itertools import product
from typing import Any

import pytest
from django.contrib.auth.models import Group
from django.core.exceptions import ValidationError
from django.db import connection
from django.forms import modelform_factory
from hypothesis import given
from hypothesis import strategies as st

from lobby.accounts import allowances
from lobby.accounts.allowances import Kind, Row, Scope, choose
from lobby.accounts.models import Limit
from tests.factories import make_user

ALICE, BOB = 1, 2
KIND = Kind.RUNS_PER_HOUR
values = st.none() | st.integers(0, 5)


def row(scope: str, value: int | None, *, user: int | None = None, group: int | None = None) -> Row:
    return Row(KIND, scope, user, group, value)


def generous(held: list[int | None]) -> int | None:
    return None if None in held else max(value for value in held if value is not None)


@given(
    own=st.lists(values, max_size=1),
    of_groups=st.dictionaries(st.integers(1, 4), values),
    each=st.lists(values, max_size=1),
    anothers=values,
    together=values,
    member_of=st.sets(st.integers(1, 4)),
    default=values,
    data=st.data(),
)
def test_own_row_beats_the_most_generous_group_beats_each_beats_the_settings(  # noqa: PLR0913, PLR0917  (all that may decide)
    own: list[int | None],
    of_groups: dict[int, int | None],
    each: list[int | None],
    anothers: int | None,
    together: int | None,
    member_of: set[int],
    default: int | None,
    data: st.DataObject,
) -> None:
    rows = [row(Scope.USER, value, user=ALICE) for value in own]
    rows += [row(Scope.GROUP, value, group=group) for group, value in of_groups.items()]
    rows += [row(Scope.EACH, value) for value in each]
    rows += [row(Scope.USER, anothers, user=BOB), row(Scope.INSTALLATION, together)]
    mixed = data.draw(st.permutations(rows))

    held = choose(mixed, user=ALICE, groups=member_of, default=default)

    of_hers = [value for group, value in of_groups.items() if group in member_of]
    assert held == generous(own or of_hers or each or [default])


@pytest.mark.django_db
@pytest.mark.parametrize("kind", list(Kind))
def test_without_rows_the_settings_hold_and_nothing_for_all_together(kind: Kind, settings: Any) -> None:
    setattr(settings, allowances.SETTINGS[kind], 7)
    assert (allowances.allowed(make_user().pk, kind), allowances.total(kind)) == (7, None)


@pytest.mark.django_db
def test_what_this_process_changes_holds_at_once() -> None:
    alice, crowd = make_user(), Group.objects.create(name="Crowd")
    seen: list[int | None] = []
    for scope, whom in ((Scope.EACH, {}), (Scope.GROUP, {"group": crowd}), (Scope.USER, {"user": alice})):
        Limit.objects.create(kind=KIND, scope=scope, value=len(seen), **whom)
        seen.append(allowances.allowed(alice.pk, KIND))
    alice.groups.add(crowd)
    Limit.objects.get(scope=Scope.USER).delete()
    seen.append(allowances.allowed(alice.pk, KIND))
    assert seen == [0, 0, 2, 1]


@pytest.mark.django_db
def test_the_total_is_the_installations_row() -> None:
    Limit.objects.create(kind=KIND, scope=Scope.INSTALLATION, value=3)
    assert (allowances.total(KIND), allowances.allowed(make_user().pk, KIND)) == (3, 600)


@pytest.mark.django_db
def test_rows_are_read_once_for_all_kinds_and_groups_once_per_user(django_assert_num_queries: Any) -> None:
    alice = make_user()
    Limit.objects.create(kind=KIND, scope=Scope.GROUP, group=Group.objects.create(name="Crowd"), value=3)
    with django_assert_num_queries(2):
        for _, kind in product(range(3), Kind):
            allowances.allowed(alice.pk, kind)
            allowances.total(kind)


@pytest.mark.django_db
def test_what_another_process_changes_is_seen_when_what_is_kept_is_too_old() -> None:
    alice = make_user()
    Limit.objects.create(kind=KIND, scope=Scope.EACH, value=3)
    assert allowances.allowed(alice.pk, KIND) == 3
    with connection.cursor() as cursor:  # unseen by this process
        cursor.execute("UPDATE accounts_limit SET value = 4")
    kept = allowances._known()
    assert allowances.allowed(alice.pk, KIND) == 3
    kept.until = time.monotonic()
    assert allowances.allowed(alice.pk, KIND) == 4


LimitForm = modelform_factory(Limit, fields=["kind", "scope", "user", "group", "value"])


def problems(**fields: Any) -> dict[str, Any]:
    return dict(LimitForm({"kind": KIND, "scope": Scope.EACH, **fields}).errors)


@pytest.mark.django_db
class TestBadRows:
    def test_a_limit_below_0_is_refused_in_words(self) -> None:
        with pytest.raises(ValidationError) as refused:
            Limit(kind=KIND, scope=Scope.EACH, value=-1).full_clean()
        assert refused.value.message_dict == {"value": ["A limit is 0 or more; leave it empty for no limit."]}
        assert list(problems(value="-1")) == ["value"]

    def test_a_limit_that_is_no_number_is_refused_in_words(self) -> None:
        with pytest.raises(ValidationError) as refused:
            Limit(kind=KIND, scope=Scope.EACH, value="many").full_clean()
        assert refused.value.message_dict == {"value": ["A limit is a whole number; leave it empty for no limit."]}
        assert problems(value="many") == {"value": ["Enter a whole number."]}

    def test_a_second_one_for_the_same_is_refused_in_words(self) -> None:
        Limit.objects.create(kind=KIND, scope=Scope.EACH, value=1)
        assert problems(value="2") == {"__all__": ["There is such a limit already: change that one."]}

    @pytest.mark.parametrize("scope", [Scope.USER, Scope.GROUP])
    def test_a_limit_of_nobody_is_refused_in_words(self, scope: str) -> None:
        words = "Name a user for a limit of one user, a group for one of its members, and neither for the others."
        assert problems(scope=scope, value="1") == {"__all__": [words]}

    def test_empty_is_no_limit(self) -> None:
        assert problems(value="") == {}
