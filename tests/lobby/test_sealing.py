import pytest
from pytest_django.fixtures import Settings

from lobby.sealing import NotOurs, renew, seal, unseal


def test_sealed_secret_is_read_again_and_stands_nowhere() -> None:
    sealed = seal("whsec_of the house")

    assert (unseal(sealed), "house" in sealed, seal("whsec_of the house") == sealed) == (
        "whsec_of the house",
        False,
        False,
    )


def test_old_key_opens_until_it_is_gone(settings: Settings) -> None:
    settings.SECRET_KEY = "the old key"
    sealed = seal("a secret")
    settings.SECRET_KEY, settings.SECRET_KEY_FALLBACKS = "the new key", ["the old key"]

    anew = renew(sealed)
    opened = unseal(sealed)
    settings.SECRET_KEY_FALLBACKS = []

    assert (opened, unseal(anew)) == ("a secret", "a secret")
    with pytest.raises(NotOurs, match="LOBBY_SECRET_KEY was changed"):
        unseal(sealed)


@pytest.mark.parametrize("text", ["", "whsec_plain", "gAAAAAB", "\u00e4"])
def test_what_was_never_sealed_is_not_opened(text: str) -> None:
    with pytest.raises(NotOurs):
        unseal(text)
