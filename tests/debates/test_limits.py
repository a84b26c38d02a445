"""What a user may begin as a debate: refused in words before anything is written."""

from typing import Any

import pytest

from agents.errors import Refused, TokensUsedUp
from debates import limits
from debates.errors import DebateTooLarge, TooManyDebates
from debates.forks import fork
from debates.models import Debate
from lobby.accounts import tokens
from lobby.accounts.allowances import METERS, Kind, Scope
from lobby.accounts.models import Limit
from tests.conftest import RedisServer
from tests.debates.pump import launch, make_panel
from tests.debates.rows import make_debate
from tests.factories import MODEL, alice, make_host, make_user

pytestmark = pytest.mark.django_db


def hold(kind: Kind, value: int | None, scope: str = Scope.EACH) -> None:
    Limit.objects.update_or_create(kind=kind, scope=scope, defaults={"value": value})


def refusal(error: type[Refused], **asked: Any) -> Refused:
    before = Debate.objects.count()
    with pytest.raises(error) as refused:
        launch(**asked)
    assert Debate.objects.count() == before
    return refused.value


class TestSize:
    @pytest.mark.parametrize("scope", [Scope.EACH, Scope.INSTALLATION])
    def test_a_panel_beyond_the_limit_is_refused(self, scope: str) -> None:
        panel = make_panel()
        hold(Kind.DEBATE_SEATS, 7, scope)
        refused = refusal(DebateTooLarge, panel=panel)
        assert refused.message == "This panel has 8 seats, and 7 is your limit. Take fewer, or ask an admin."
        hold(Kind.DEBATE_SEATS, 8, scope)
        assert launch(panel=panel)

    def test_a_budget_beyond_the_limit_is_refused(self) -> None:
        hold(Kind.DEBATE_TOKENS, 50_000)
        refused = refusal(DebateTooLarge, max_tokens=50_001)
        assert (refused.message, refused.status) == (
            "A budget of 50,000 tokens is your limit. Lower it, or ask an admin.",
            422,
        )

    @pytest.mark.parametrize(("limit", "usual", "most"), [(50_000, 50_000, 50_000), (None, 100_000, 10_000_000)])
    def test_who_names_no_budget_gets_what_the_limit_allows(self, limit: int | None, usual: int, most: int) -> None:
        hold(Kind.DEBATE_TOKENS, limit)
        assert launch().max_tokens == usual
        assert limits.most_tokens(alice()) == most

    def test_a_fork_is_no_way_around_it(self) -> None:
        make_host(models=(MODEL,))
        debate = make_debate(votes=["AABB"])
        hold(Kind.DEBATE_SEATS, 3)
        with pytest.raises(DebateTooLarge):
            fork(debate, after=0, owner=debate.owner)


class TestAtOnce:
    def test_as_many_under_way_as_allowed(self) -> None:
        hold(Kind.DEBATES_AT_ONCE, 1)
        panel = make_panel()
        launch(panel=panel)
        refused = refusal(TooManyDebates, panel=panel)
        assert refused.message == (
            "1 of your debates are under way, and 1 is the limit. Wait for one to end, or stop one."
        )
        assert (refused.retry_after, refused.limit) == (30, "debates_at_once")
        Debate.objects.update(status=Debate.Status.ENDED)
        assert launch(panel=panel)

    def test_those_of_all_users_together(self) -> None:
        hold(Kind.DEBATES_AT_ONCE, 1, Scope.INSTALLATION)
        panel = make_panel()
        launch(panel=panel)
        Debate.objects.update(owner=make_user("bob"))
        assert refusal(TooManyDebates, panel=panel).message.startswith("1 debates of all users together are under way")

    def test_0_says_that_it_is_switched_off(self) -> None:
        hold(Kind.DEBATES_AT_ONCE, 0)
        assert refusal(TooManyDebates).message == "An admin has switched this off: the limit is 0."


class TestHour:
    def test_beyond_the_hour_it_says_when_to_try_again(self) -> None:
        hold(Kind.DEBATES_PER_HOUR, 1)
        panel = make_panel()
        launch(panel=panel)
        refused = refusal(TooManyDebates, panel=panel)
        assert refused.message == "That was the limit of 1 debates an hour. Try again in 1 h."
        assert refused.limit == "debates_per_hour"

    def test_a_debate_that_was_deleted_stays_counted(self) -> None:
        hold(Kind.DEBATES_PER_HOUR, 1)
        panel = make_panel()
        launch(panel=panel).delete()
        refusal(TooManyDebates, panel=panel)

    def test_the_hour_of_all_together_uses_up_nobodys_own(self) -> None:
        hold(Kind.DEBATES_PER_HOUR, 2)
        hold(Kind.DEBATES_PER_HOUR, 1, Scope.INSTALLATION)
        panel = make_panel()
        launch(panel=panel)
        for _ in range(2):
            assert refusal(TooManyDebates, panel=panel).message.startswith(
                "That was the limit of 1 debates an hour for all users together."
            )
        hold(Kind.DEBATES_PER_HOUR, None, Scope.INSTALLATION)
        assert launch(panel=panel)

    def test_without_redis_the_rows_are_counted(self, redis_server: RedisServer) -> None:
        hold(Kind.DEBATES_PER_HOUR, 1)
        panel = make_panel()
        redis_server.kill()
        launch(panel=panel)
        assert refusal(TooManyDebates, panel=panel).retry_after == 60


class TestDay:
    def test_what_would_not_last_for_round_0_is_refused_with_what_is_left(self) -> None:
        hold(Kind.TOKENS_PER_DAY, 10_000)
        tokens.spend(alice().pk, 9_900)
        refused = refusal(TokensUsedUp)
        assert "tokens with this panel, and 100 are left today. They renew at 00:00 UTC, in " in refused.message
        assert (refused.status, refused.limit) == (429, "tokens_per_day")

    def test_a_fork_needs_tokens_too(self) -> None:
        make_host(models=(MODEL,))
        debate = make_debate(votes=["AABB"])
        hold(Kind.TOKENS_PER_DAY, 10)
        tokens.spend(debate.owner_id, 10)
        with pytest.raises(TokensUsedUp):
            fork(debate, after=0, owner=debate.owner)

    def test_what_is_left_is_the_least_of_both(self) -> None:
        user = alice()
        assert tokens.left_today(user.pk) == 10_000_000
        hold(Kind.TOKENS_PER_DAY, None)
        assert tokens.left_today(user.pk) is None
        hold(Kind.TOKENS_PER_DAY, 100)
        hold(Kind.TOKENS_PER_DAY, 50, Scope.INSTALLATION)
        tokens.spend(make_user("bob").pk, 30)
        tokens.spend(user.pk, 5)
        assert tokens.left_today(user.pk) == 15


def test_meters_tell_what_is_under_way_and_begun() -> None:
    panel, bob = make_panel(), make_user("bob")
    launch(panel=panel)
    Debate.objects.update(status=Debate.Status.ENDED)
    debate = launch(panel=panel)
    kinds = (Kind.DEBATES_AT_ONCE, Kind.DEBATES_PER_HOUR)
    assert [METERS[kind](debate.owner_id).number for kind in kinds] == [1, 2]
    assert [METERS[kind](bob.pk).number for kind in kinds] == [0, 0]
    first = Debate.objects.order_by("created_at")[0].created_at
    assert METERS[Kind.DEBATES_PER_HOUR](None).resets_at == first + limits.HOUR
