"""A question is followed through real processes to the model, as a collector of OpenTelemetry sees it."""

from collections.abc import Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from threading import Thread
from typing import Any

import pytest
from django.test import Client
from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import ExportTraceServiceRequest

from agents.models import Host, Run
from lobby import traces
from tests.factories import MODEL, make_agent, make_conversation, make_host, make_user
from tests.fake_ollama import FakeOllama
from tests.processes import browser, web_process, worker_process
from tests.waiting import wait_for

QUESTION = "What did the captain hide?"


class Collector(ThreadingHTTPServer):
    def __init__(self) -> None:
        super().__init__(("127.0.0.1", 0), Receiver)
        self.spans: list[Any] = []
        self.raw = b""

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.server_address[1]}"

    def named(self, beginning: str) -> list[Any]:
        return [span for span in list(self.spans) if span.name.startswith(beginning)]


class Receiver(BaseHTTPRequestHandler):
    server: Collector

    def do_POST(self) -> None:
        body = self.rfile.read(int(self.headers["Content-Length"]))
        self.server.raw += body
        for resource in ExportTraceServiceRequest.FromString(body).resource_spans:
            self.server.spans += [span for scope in resource.scope_spans for span in scope.spans]
        self.send_response(200)
        self.send_header("Content-Length", "0")
        self.end_headers()

    def log_message(self, format: str, *args: Any) -> None:
        pass


@contextmanager
def collector() -> Iterator[Collector]:
    server = Collector()
    thread = Thread(target=server.serve_forever)
    thread.start()
    try:
        yield server
    finally:
        server.shutdown()
        thread.join()
        server.server_close()


@pytest.fixture
def fake() -> Iterator[FakeOllama]:
    with FakeOllama([MODEL]) as server:
        yield server


@pytest.mark.django_db(transaction=True)
def test_question_is_one_trace_from_the_request_to_the_model_and_tells_no_text(fake: FakeOllama) -> None:
    fake.script(tokens=5)
    make_host(base_url=fake.url, state=Host.State.UP)
    conversation = make_conversation(agent=make_agent(), owner=make_user())
    session = Client()
    session.force_login(conversation.owner)
    signed_in = session.cookies["sessionid"].value
    with collector() as seen:
        env = {"OTEL_EXPORTER_OTLP_ENDPOINT": seen.url, "OTEL_BSP_SCHEDULE_DELAY": "100"}
        with web_process(env=env) as web, worker_process(env=env):
            page = browser.get(f"{web.url}/sign-in/?next=sesame-4711")
            browser.get(f"{web.url}/welcome/sesame-4711-open/")
            token = page.cookies["csrftoken"]
            answer = browser.post(
                f"{web.url}/api/conversations/{conversation.pk}/messages",
                json={"text": QUESTION},
                headers={"X-CSRFToken": token, "Cookie": f"sessionid={signed_in}; csrftoken={token}"},
            )
            assert answer.status_code == 201
            wait_for(lambda: seen.named(f"chat {MODEL}"), seconds=120)
            wait_for(lambda: seen.named("POST "), seconds=120)

    (asked,), chat = seen.named("POST "), seen.named(f"chat {MODEL}")[0]
    assert (chat.trace_id, chat.parent_span_id) == (asked.trace_id, asked.span_id)
    run = Run.objects.get(purpose="chat.reply")
    assert run.request_id == asked.trace_id.hex() == answer.headers["X-Request-ID"]
    said = {each.key: each.value for each in chat.attributes}
    assert (said["gen_ai.request.model"].string_value, said["gen_ai.usage.output_tokens"].int_value) == (run.model, 5)
    for secret in (QUESTION, "sesame-4711", signed_in, token):
        assert secret.encode() not in seen.raw


def test_nothing_is_traced_where_no_collector_is_named() -> None:
    with traces.span("chat m", {"a": 1}) as note:
        note({"b": 2})
        assert (traces.trace_id(), traces.span_id()) == ("", "")
