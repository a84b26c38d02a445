import re
import time
from concurrent.futures import ThreadPoolExecutor
from http import HTTPStatus
from typing import Any

import pytest
from allauth.mfa.models import Authenticator
from allauth.mfa.totp.internal.auth import format_hotp_value, hotp_value, yield_hotp_counters_from_time
from django.contrib import admin
from django.contrib.auth.models import User
from django.core.management import call_command
from django.db import connection
from django.test import Client
from pytest_django.fixtures import Settings

from lobby import sealing
from lobby.accounts import attempts, links, second_factor
from monitoring.models import AuditEvent
from tests.factories import PASSWORD, make_admin, make_user
from tests.lobby.signing_in import confirm, is_signed_in, sign_in
from tests.waiting import wait_for

pytestmark = pytest.mark.django_db

STEP = 30  # seconds that a code is shown
SET_UP, CODE = "/account/security/second-factor/", "/sign-in/code/"


def codes_of(secret: str) -> list[str]:
    """What an app shows: before, now and next."""
    return [format_hotp_value(hotp_value(secret, step)) for step in yield_hotp_counters_from_time()]


def secret_of(page: Any) -> str:
    found = re.search(r'<code class="secret">([A-Z2-7]+)</code>', page.content.decode())
    assert found
    return found[1]


def recovery_codes_of(page: Any) -> list[str]:
    return re.findall(r"<li><code>(\d+)</code></li>", page.content.decode())


def turn_on(user: User) -> tuple[str, list[str]]:
    """The secret, and the recovery codes; the first code is used up by it.

    Not in the last seconds of a step of the codes: what is before now would be too old to be taken a moment later.
    """
    wait_for(lambda: time.time() % STEP < STEP - 6)
    session: dict[str, Any] = {}
    secret = second_factor.propose(session)
    codes = second_factor.turn_on(user, session, code=codes_of(secret)[0])
    assert codes is not None
    return secret, codes


def enter(client: Client, code: str, address: str = "192.0.2.1") -> Any:
    return client.post(CODE, {"code": code}, REMOTE_ADDR=address)


def test_setting_it_up_asks_for_the_password_shows_a_picture_and_gives_recovery_codes_once(client: Client) -> None:
    alice = make_user()
    sign_in(client)
    assert client.get(SET_UP)["Location"] == f"/account/confirm/?next={SET_UP}"
    assert confirm(client, next=SET_UP)["Location"] == SET_UP

    page = client.get(SET_UP)
    secret = secret_of(page)
    done = client.post(SET_UP, {"code": codes_of(secret)[1]})

    assert b"<svg" in page.content
    assert b"style=" not in page.content
    assert len(recovery_codes_of(done)) == 10
    assert second_factor.is_on(alice)
    assert not recovery_codes_of(client.get("/account/security/"))
    assert b"10 recovery codes left" in client.get("/account/security/").content


def test_secret_is_kept_sealed(client: Client) -> None:
    alice = make_user()
    secret, codes = turn_on(alice)
    client.force_login(alice)
    confirm(client)
    client.get(SET_UP)

    kept = str(list(Authenticator.objects.values()))
    assert secret not in kept
    assert sealing.unseal(Authenticator.objects.get(type="totp").data["secret"]) == secret


def test_wrong_first_code_turns_nothing_on_and_keeps_the_picture(client: Client) -> None:
    alice = make_user()
    sign_in(client)
    confirm(client)
    secret = secret_of(client.get(SET_UP))

    page = client.post(SET_UP, {"code": "000000" if "000000" not in codes_of(secret) else "000001"})

    assert page.status_code == HTTPStatus.UNPROCESSABLE_ENTITY
    assert secret_of(page) == secret
    assert not second_factor.is_on(alice)


def test_password_alone_signs_nobody_in_who_has_one(client: Client) -> None:
    turn_on(make_user())

    assert sign_in(client)["Location"] == CODE

    assert not is_signed_in(client)
    assert client.get("/api/runs").status_code == HTTPStatus.UNAUTHORIZED
    assert AuditEvent.objects.filter(action="session.signed_in").count() == 0


def test_code_after_the_password_signs_in_under_a_new_session_key(client: Client) -> None:
    secret, _ = turn_on(make_user())
    client.post("/sign-in/", {"username": "alice", "password": PASSWORD, "next": "/debates/"})
    before = client.session.session_key

    answer = enter(client, codes_of(secret)[1])

    assert (answer.status_code, answer["Location"]) == (302, "/debates/")
    assert is_signed_in(client)
    assert client.session.session_key != before


def test_code_page_without_a_password_before_it_leads_to_the_sign_in(client: Client) -> None:
    secret, _ = turn_on(make_user())

    assert client.get(CODE)["Location"] == "/sign-in/"
    assert enter(client, codes_of(secret)[1])["Location"] == "/sign-in/"
    assert not is_signed_in(client)


def test_code_counts_once_also_the_one_it_was_set_up_with() -> None:
    secret, _ = turn_on(make_user())
    first, now, later = codes_of(secret)

    statuses = []
    for code in (first, now, now, first, later):
        client = Client()
        sign_in(client)
        statuses.append(enter(client, code).status_code)

    assert statuses == [422, 302, 422, 422, 302]


@pytest.mark.django_db(transaction=True)
def test_of_many_who_use_a_code_at_once_one_gets_in() -> None:
    alice = make_user()
    secret, _ = turn_on(alice)
    code = codes_of(secret)[1]

    def use(_: int) -> bool:
        try:
            return second_factor.accept(alice, code=code) is not None
        finally:
            connection.close()

    with ThreadPoolExecutor(6) as threads:
        assert sum(threads.map(use, range(6))) == 1


def test_recovery_code_signs_in_once_and_is_recorded() -> None:
    _, codes = turn_on(make_user())
    first, second = Client(), Client()
    for client in (first, second):
        sign_in(client)

    assert enter(first, codes[3]).status_code == HTTPStatus.FOUND
    assert enter(second, codes[3]).status_code == HTTPStatus.UNPROCESSABLE_ENTITY
    assert AuditEvent.objects.filter(action="second_factor.recovery_code_used").count() == 1


def test_wrong_codes_are_throttled_by_themselves_and_recorded(client: Client) -> None:
    alice = make_user()
    secret, _ = turn_on(alice)
    sign_in(client)

    assert [enter(client, "abc").status_code for _ in range(5)] == [422] * 5
    answer = enter(client, codes_of(secret)[1])

    assert answer.status_code == HTTPStatus.TOO_MANY_REQUESTS
    assert int(answer["Retry-After"]) > 0
    assert not is_signed_in(client)
    assert AuditEvent.objects.filter(action="session.code_refused", subject_id=alice.pk).count() == 5


def test_right_password_again_gives_no_further_guesses_at_the_code(client: Client) -> None:
    turn_on(make_user())
    for _ in range(5):
        sign_in(client)
        enter(client, "abc")
    sign_in(client)

    assert enter(client, "abc").status_code == HTTPStatus.TOO_MANY_REQUESTS


def test_guessing_codes_from_many_addresses_is_slowed_down_but_a_known_browser_comes_in(client: Client) -> None:
    alice = make_user()
    sign_in(client)
    client.post("/sign-out/")
    secret, _ = turn_on(alice)
    for number in range(30):
        attempts.count_code(account="alice", address=f"203.0.113.{number}", is_known_device=False)

    stranger = Client()
    for browser in (stranger, client):
        sign_in(browser, address="192.0.2.77")
    code = codes_of(secret)[1]
    assert enter(stranger, code, "192.0.2.77").status_code == HTTPStatus.TOO_MANY_REQUESTS
    assert enter(client, code, "192.0.2.77").status_code == HTTPStatus.FOUND


@pytest.mark.parametrize("code", ["", "x" * 41, "１２３４５６", "a\0b", "' OR 1=1 --"])
def test_strange_code_is_refused_in_words(client: Client, code: str) -> None:
    turn_on(make_user())
    sign_in(client)

    answer = enter(client, code)

    assert answer.status_code == HTTPStatus.UNPROCESSABLE_ENTITY
    assert answer.context["form"].errors


def test_one_time_link_asks_for_the_code_as_well(client: Client) -> None:
    carol = make_admin()
    secret, _ = turn_on(carol)

    assert client.get(links.make(carol))["Location"] == CODE
    assert not is_signed_in(client)
    assert enter(client, codes_of(secret)[1]).status_code == HTTPStatus.FOUND


def test_command_takes_the_second_factor_away_from_who_lost_it(
    client: Client, capsys: pytest.CaptureFixture[str]
) -> None:
    alice = make_user()
    turn_on(alice)

    call_command("sign_in_link", "alice", "--reset-second-factor")

    assert client.get(capsys.readouterr().out.strip())["Location"] == "/"
    assert is_signed_in(client)
    assert AuditEvent.objects.filter(action="second_factor.reset", subject_id=alice.pk).count() == 1


def test_turning_it_off_needs_the_password_and_a_code(client: Client) -> None:
    alice = make_user()
    secret, codes = turn_on(alice)
    client.force_login(alice)

    assert client.post(f"{SET_UP}off/")["Location"] == "/account/confirm/?next=/account/security/"
    assert confirm(client).status_code == HTTPStatus.UNPROCESSABLE_ENTITY
    assert confirm(client, "wrong", code=codes[0]).status_code == HTTPStatus.UNPROCESSABLE_ENTITY
    assert confirm(client, code=codes[0]).status_code == HTTPStatus.FOUND
    client.post(f"{SET_UP}off/")

    assert not second_factor.is_on(alice)
    assert Authenticator.objects.count() == 0


def test_wrong_passwords_when_asked_again_are_counted(client: Client) -> None:
    make_user()
    sign_in(client)

    assert [confirm(client, f"wrong {number}").status_code for number in range(6)] == [422] * 5 + [429]


def test_confirmation_leads_only_within_the_site(client: Client) -> None:
    make_user()
    sign_in(client)

    assert confirm(client, next="https://elsewhere.example/")["Location"] == "/account/security/"
    assert confirm(client, next="//elsewhere.example/")["Location"] == "/account/security/"


def test_new_recovery_codes_take_the_place_of_the_old_ones(client: Client) -> None:
    alice = make_user()
    _, old = turn_on(alice)
    client.force_login(alice)
    confirm(client, code=old[0])

    new = recovery_codes_of(client.post("/account/security/recovery-codes/"))

    assert len(new) == 10
    assert second_factor.accept(alice, code=old[1]) is None
    assert second_factor.accept(alice, code=new[1]) is not None


@pytest.mark.parametrize(
    "required, staff, must", [("staff", True, True), ("staff", False, False), ("everybody", False, True)]
)
def test_who_must_have_one_sets_it_up_before_he_comes_in(
    client: Client, settings: Settings, required: str, staff: bool, must: bool
) -> None:
    settings.REQUIRE_MFA = required
    alice = make_user(is_staff=staff)

    answer = sign_in(client)

    assert (answer["Location"] == "/sign-in/second-factor/") == must
    assert is_signed_in(client) != must
    if must:
        secret = secret_of(client.get("/sign-in/second-factor/"))
        assert not is_signed_in(client)
        shown = client.post("/sign-in/second-factor/", {"code": codes_of(secret)[1]})
        assert len(recovery_codes_of(shown)) == 10
        assert is_signed_in(client)
        assert second_factor.is_on(alice)


def test_who_must_have_one_can_not_turn_it_off(client: Client, settings: Settings) -> None:
    alice = make_user()
    _, codes = turn_on(alice)
    settings.REQUIRE_MFA = "everybody"
    client.force_login(alice)
    confirm(client, code=codes[0])

    client.post(f"{SET_UP}off/")

    assert second_factor.is_on(alice)
    assert b"Turn it off" not in client.get("/account/security/").content


def test_secret_that_no_key_opens_any_more_is_logged_and_recovery_codes_still_sign_in(
    client: Client, caplog: pytest.LogCaptureFixture
) -> None:
    secret, codes = turn_on(make_user())
    sign_in(client)
    stored = Authenticator.objects.get(type="totp")
    stored.data["secret"] = "sealed by a key that is gone"
    stored.save()

    assert enter(client, codes_of(secret)[1]).status_code == HTTPStatus.UNPROCESSABLE_ENTITY
    assert "second_factor.unreadable" in caplog.text
    assert enter(client, codes[0]).status_code == HTTPStatus.FOUND


def test_secret_is_sealed_with_the_new_key_when_it_is_used(client: Client, settings: Settings) -> None:
    secret, _ = turn_on(make_user())
    sign_in(client)
    settings.SECRET_KEY_FALLBACKS = [settings.SECRET_KEY]
    settings.SECRET_KEY = "another key for tests alone"

    assert enter(client, codes_of(secret)[1]).status_code == HTTPStatus.FOUND

    settings.SECRET_KEY_FALLBACKS = []
    assert sealing.unseal(Authenticator.objects.get(type="totp").data["secret"]) == secret


def test_admin_shows_no_second_factor() -> None:
    assert not admin.site.is_registered(Authenticator)


def test_waiting_for_the_code_ends_after_a_quarter_of_an_hour(client: Client) -> None:
    secret, _ = turn_on(make_user())
    sign_in(client)
    session = client.session
    session["account_login"] |= {"initiated_at": session["account_login"]["initiated_at"] - 901}
    session.save()

    assert enter(client, codes_of(secret)[1])["Location"] == "/sign-in/"
    assert not is_signed_in(client)
