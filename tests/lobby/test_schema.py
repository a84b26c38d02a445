from dataclasses import dataclass
from typing import Any

import pytest
from django.contrib.auth.models import User
from django.test import Client
from ninja import Field
from pydantic import ValidationError

from chat.models import Conversation
from lobby.schema import Schema


@dataclass
class Street:
    name: str


@dataclass
class House:
    number: int
    street: Street | None = None

    def rooms(self) -> list[str]:
        return ["hall"]


class HouseShown(Schema):
    number: int
    street: str | None = Field(None, alias="street.name")
    rooms: list[str]
    sign: str
    colour: str = "white"

    @staticmethod
    def resolve_sign(house: House) -> str:
        return f"No. {house.number}"


class Town(Schema):
    houses: list[HouseShown]


class NamedHouse(HouseShown):
    @staticmethod
    def resolve_sign(house: House) -> str:
        return "Rose Cottage"


class Named(Schema):
    title: str


def test_row_is_read_by_names_paths_methods_and_resolvers() -> None:
    told = HouseShown.model_validate(House(7, Street("Mill Lane"))).model_dump()

    assert told == {"number": 7, "street": "Mill Lane", "rooms": ["hall"], "sign": "No. 7", "colour": "white"}


def test_path_that_ends_on_the_way_takes_the_default() -> None:
    assert HouseShown.model_validate(House(7)).street is None


def test_resolver_of_the_nearer_class_counts() -> None:
    assert NamedHouse.model_validate(House(7)).sign == "Rose Cottage"


def test_rows_within_a_mapping_are_read_and_what_was_read_stays() -> None:
    shown = HouseShown.model_validate(House(7, Street("Mill Lane")))

    assert Town.model_validate({"houses": [House(7, Street("Mill Lane")), shown]}).houses == [shown, shown]


def test_row_without_a_field_that_must_be_there_is_refused() -> None:
    with pytest.raises(ValidationError, match="number"):
        HouseShown.model_validate(Street("Mill Lane"))


def test_related_rows_are_read_from_their_manager(db: Any) -> None:
    class Owner(Schema):
        conversations: list[Named]

    user = User.objects.create_user("alice")
    Conversation.objects.create(owner=user, title="Rivers")

    assert Owner.model_validate(user).model_dump() == {"conversations": [{"title": "Rivers"}]}


@pytest.mark.parametrize("sent", ["a text", 7, None, ["a text"]])
def test_what_is_no_object_of_json_is_refused(sent: Any) -> None:
    with pytest.raises(ValidationError, match="valid dictionary or object"):
        Named.model_validate(sent)


@pytest.mark.parametrize("body", ['"a title"', "[1]", "7", "null"])
def test_change_that_is_no_object_changes_nothing(client: Client, db: Any, body: str) -> None:
    alice = User.objects.create_user("alice")
    client.force_login(alice)
    conversation = Conversation.objects.create(owner=alice, title="Rivers")

    answer = client.patch(f"/api/conversations/{conversation.pk}", data=body, content_type="application/json")

    conversation.refresh_from_db()
    assert (answer.status_code, answer.json()["kind"], conversation.title) == (422, "invalid", "Rivers")
