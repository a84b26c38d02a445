from typing import Any

import orjson
from django.contrib.auth.models import User
from django.test import Client


class Api:
    """Requests of one user, as JSON; each answer is (status, what it says)."""

    def __init__(self, user: User) -> None:
        self.client = Client()
        self.client.force_login(user)

    def get(self, path: str, **query: Any) -> tuple[int, Any]:
        return self._said(self.client.get(f"/api/{path}", query))

    def post(self, path: str, **body: Any) -> tuple[int, Any]:
        return self.send("POST", path, orjson.dumps(body))

    def patch(self, path: str, **body: Any) -> tuple[int, Any]:
        return self.send("PATCH", path, orjson.dumps(body))

    def delete(self, path: str) -> tuple[int, Any]:
        return self.send("DELETE", path, b"")

    def send(self, method: str, path: str, body: bytes) -> tuple[int, Any]:
        return self._said(self.client.generic(method, f"/api/{path}", body, content_type="application/json"))

    def _said(self, response: Any) -> tuple[int, Any]:
        return response.status_code, orjson.loads(response.content) if response.content else None
