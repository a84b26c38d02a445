"""Where sessions are kept: Django's table, asked in words of our own. Every request asks it first, and composing the
statement took Django three times as long as PostgreSQL and the way there and back."""

from typing import Any

from django.contrib.sessions.backends import db
from django.db import connection
from django.utils import timezone

LOAD = "SELECT session_data FROM django_session WHERE session_key = %s AND expire_date > %s"


class SessionStore(db.SessionStore):
    def load(self) -> dict[str, Any]:
        with connection.cursor() as cursor:
            cursor.execute(LOAD, [self.session_key, timezone.now()])
            found = cursor.fetchone()
        if found is None:
            self._session_key = None  # as Django: nobody chooses the key of a session to come
            return {}
        return self.decode(found[0])
