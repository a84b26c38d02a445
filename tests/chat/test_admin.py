from http import HTTPStatus

import pytest
from django.test import Client

from chat.models import Conversation, Message
from monitoring.models import AuditEvent
from tests.factories import make_admin, make_conversation, make_message, make_user

pytestmark = pytest.mark.django_db


def conversation_of_alice() -> Conversation:
    conversation = make_conversation(owner=make_user(), title="About my illness")
    question = make_message(conversation, text="What <b>ails</b> me?")
    make_message(conversation, parent=question, role=Message.Role.ASSISTANT, text="I am no doctor.")
    return conversation


def test_reading_a_transcript_is_recorded_with_reader_and_owner(client: Client) -> None:
    conversation = conversation_of_alice()
    client.force_login(make_admin())

    page = client.get(f"/admin/chat/conversation/{conversation.pk}/change/").content.decode()

    assert "What &lt;b&gt;ails&lt;/b&gt; me?" in page
    assert "I am no doctor." in page
    row = AuditEvent.objects.get(action="conversation.read")
    assert (row.actor_name, row.subject_id, row.detail) == (
        "carol",
        str(conversation.pk),
        {"owner": conversation.owner_id},
    )


def test_reader_is_told_that_it_was_recorded_and_whose_it_is(client: Client) -> None:
    conversation = conversation_of_alice()
    client.force_login(make_admin())

    page = client.get(f"/admin/chat/conversation/{conversation.pk}/change/").content.decode()

    assert "This conversation belongs to alice. That you read it has been recorded in the audit log." in page


def test_own_chat_is_read_without_a_notice(client: Client) -> None:
    carol = make_admin()
    conversation = make_conversation(owner=carol)
    client.force_login(carol)

    page = client.get(f"/admin/chat/conversation/{conversation.pk}/change/").content.decode()

    assert "has been recorded" not in page


def test_list_shows_nothing_that_was_said_and_is_not_recorded(client: Client) -> None:
    conversation_of_alice()
    client.force_login(make_admin())

    page = client.get("/admin/chat/conversation/")

    assert page.status_code == HTTPStatus.OK
    assert b"illness" not in page.content
    assert not AuditEvent.objects.filter(action="conversation.read").exists()


@pytest.mark.parametrize("path", ["add/", "{}/delete/"])
def test_conversation_cannot_be_added_or_deleted_here(client: Client, path: str) -> None:
    conversation = conversation_of_alice()
    client.force_login(make_admin())

    assert client.get(f"/admin/chat/conversation/{path.format(conversation.pk)}").status_code == HTTPStatus.FORBIDDEN
    client.post(f"/admin/chat/conversation/{conversation.pk}/change/", {"title": "changed"})
    assert Conversation.objects.get().title == "About my illness"


def test_staff_without_the_permission_reads_nothing(client: Client) -> None:
    conversation = conversation_of_alice()
    client.force_login(make_user("dave", is_staff=True))

    page = client.get(f"/admin/chat/conversation/{conversation.pk}/change/")

    assert page.status_code == HTTPStatus.FORBIDDEN
    assert not AuditEvent.objects.filter(action="conversation.read").exists()
