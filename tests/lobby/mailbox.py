"""Mail as it is configured, into Django's outbox; a thread sends it, so tests wait for it."""

import re

import pytest
from django.core import mail
from django.core.mail import EmailMessage
from django.db import connection
from pytest_django.fixtures import Settings

from lobby.accounts.mails import _post
from lobby.mail import read_server
from tests.waiting import wait_for


class Mailbox:
    def __init__(self) -> None:
        self.read = 0

    def wait(self) -> EmailMessage:
        """The next mail."""
        self.commit()
        wait_for(lambda: len(mail.outbox) > self.read)
        self.read += 1
        return mail.outbox[self.read - 1]

    def link(self) -> str:
        """The path in the next mail."""
        found = re.search(r"http://testserver(/\S+)", str(self.wait().body))
        assert found
        return found[1]

    def is_empty(self) -> bool:
        """When everything that was to be sent has been sent."""
        self.commit()
        _post.submit(lambda: None).result()
        return len(mail.outbox) == self.read

    def commit(self) -> None:
        """A test is one transaction: what waits for its end is done now."""
        waiting, connection.run_on_commit = connection.run_on_commit, []
        for _, work, *_ in waiting:
            work()


@pytest.fixture
def mails(settings: Settings) -> Mailbox:
    settings.MAIL = read_server("smtp://mail.example")
    return Mailbox()
