"""A tiny OpenID Connect provider on the loopback: discovery, tokens, claims and keys; strict about PKCE and secrets."""

import hashlib
import json
import threading
import time
from base64 import urlsafe_b64encode
from collections.abc import Iterator
from contextlib import contextmanager
from functools import cache
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any
from urllib.parse import parse_qs, parse_qsl, urlsplit

import jwt
from cryptography.hazmat.primitives.asymmetric import rsa
from django.test import Client

CLIENT, SECRET = "lobby", "a secret between the two"


@cache
def make_key(_name: str) -> rsa.RSAPrivateKey:
    """Once: it takes a while."""
    return rsa.generate_private_key(public_exponent=65537, key_size=2048)


class Provider:
    """Who signs in there is said by `claims`; what it answers may be spoilt by the other attributes."""

    def __init__(self, url: str) -> None:
        self.url = url
        self.claims: dict[str, Any] = {"sub": "42", "preferred_username": "erin", "email": "erin@example.org"}
        self.key = self.published = make_key("the provider's")
        self.in_token: dict[str, Any] = {}  # other claims than userinfo tells
        self.left_out: set[str] = set()  # of the answer with the tokens
        self.answers: dict[str, bytes] = {}  # instead of the right ones, by path
        self.challenges: dict[str, str] = {}

    def approve(self, address: str) -> dict[str, str]:
        """What the browser brings back from the authorization page."""
        asked = dict(parse_qsl(urlsplit(address).query))
        assert (asked["client_id"], asked["code_challenge_method"]) == (CLIENT, "S256")
        self.challenges["a code"] = asked["code_challenge"]
        return {"code": "a code", "state": asked["state"]}

    def answer(self, path: str, sent: dict[str, list[str]]) -> Any:
        match path:
            case "/.well-known/openid-configuration":
                names = {"authorization": "authorize", "token": "token", "userinfo": "userinfo"}
                places = {f"{name}_endpoint": f"{self.url}/{place}" for name, place in names.items()}
                methods = {"token_endpoint_auth_methods_supported": ["client_secret_post"]}
                return {"issuer": self.url, "jwks_uri": f"{self.url}/jwks", **places, **methods}
            case "/token":
                return self.tokens(sent)
            case "/userinfo":
                return self.claims
            case "/jwks":
                numbers = json.loads(jwt.algorithms.RSAAlgorithm.to_jwk(self.published.public_key()))
                return {"keys": [numbers | {"kid": "one", "alg": "RS256"}]}

    def tokens(self, sent: dict[str, list[str]]) -> dict[str, Any]:
        verifier = hashlib.sha256(sent["code_verifier"][0].encode()).digest()
        fits = urlsafe_b64encode(verifier).decode().rstrip("=") == self.challenges.get(sent["code"][0])
        if not fits or sent["client_secret"] != [SECRET]:
            return {"error": "invalid_grant"}
        claims = {"iss": self.url, "aud": CLIENT, "exp": int(time.time()) + 60, **self.claims, **self.in_token}
        token = jwt.encode(claims, self.key, algorithm="RS256", headers={"kid": "one"})
        answer = {"access_token": "a token", "token_type": "Bearer", "id_token": token}
        return {name: value for name, value in answer.items() if name not in self.left_out}


@contextmanager
def running() -> Iterator[Provider]:
    class Answers(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            self.say({})

        def do_POST(self) -> None:
            self.say(parse_qs(self.rfile.read(int(self.headers["Content-Length"])).decode()))

        def say(self, sent: dict[str, list[str]]) -> None:
            path = urlsplit(self.path).path
            body = provider.answers.get(path) or json.dumps(provider.answer(path, sent)).encode()
            self.send_response(200)
            self.send_header("Content-Type", "application/json")
            self.send_header("Content-Length", str(len(body)))
            self.end_headers()
            self.wfile.write(body)

        def log_message(self, *_: Any) -> None:
            pass

    server = ThreadingHTTPServer(("127.0.0.1", 0), Answers)
    provider = Provider(f"http://127.0.0.1:{server.server_port}")
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01})
    thread.start()
    try:
        yield provider
    finally:
        server.shutdown()
        server.server_close()
        thread.join()


def come(client: Client, provider: Provider, *, target: str = "") -> Any:
    """Sign in by it."""
    left = client.get("/sign-in/single/", {"next": target} if target else {})
    assert left.status_code == 302, left.content
    return client.get("/sign-in/single/back/", provider.approve(left["Location"]))
