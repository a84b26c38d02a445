"""OpenTelemetry. Nothing of it is imported unless OTEL_EXPORTER_OTLP_ENDPOINT says where spans go to.

Requests, Celery tasks, statements, Redis commands and calls of model hosts come from its instrumentations; what a model
was asked for is a span of ours after the semantic conventions for generative AI. Texts are in none of them unless
OTEL_INSTRUMENTATION_GENAI_CAPTURE_MESSAGE_CONTENT is set.
"""

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

from lobby import env
from lobby.redaction import redact

ENDPOINT = env.text("OTEL_EXPORTER_OTLP_ENDPOINT")
WITH_CONTENT = env.flag("OTEL_INSTRUMENTATION_GENAI_CAPTURE_MESSAGE_CONTENT", False)
UNTRACED = "health,metrics,static/"
PLACES = ("http.url", "http.target", "url.full", "url.path", "url.query")

_tracer: Any = None


def start(*, process: str) -> None:
    """Once per process, before its first request or task."""
    global _tracer  # noqa: PLW0603  (one per process)
    if not ENDPOINT or _tracer is not None:
        return
    from opentelemetry import trace  # noqa: PLC0415  (here and below: 20 MB that only this needs)
    from opentelemetry.exporter.otlp.proto.http.trace_exporter import OTLPSpanExporter  # noqa: PLC0415
    from opentelemetry.sdk.resources import Resource  # noqa: PLC0415
    from opentelemetry.sdk.trace import TracerProvider  # noqa: PLC0415
    from opentelemetry.sdk.trace.export import BatchSpanProcessor  # noqa: PLC0415

    provider = TracerProvider(resource=Resource.create({"service.name": f"lobby-{process}"}))
    provider.add_span_processor(BatchSpanProcessor(OTLPSpanExporter()))
    trace.set_tracer_provider(provider)
    _tracer = trace.get_tracer("lobby")
    _instrument()


def _instrument() -> None:
    from opentelemetry.instrumentation.celery import CeleryInstrumentor  # noqa: PLC0415
    from opentelemetry.instrumentation.django import DjangoInstrumentor  # noqa: PLC0415
    from opentelemetry.instrumentation.httpx import HTTPXClientInstrumentor  # noqa: PLC0415
    from opentelemetry.instrumentation.psycopg import PsycopgInstrumentor  # noqa: PLC0415
    from opentelemetry.instrumentation.redis import RedisInstrumentor  # noqa: PLC0415

    DjangoInstrumentor().instrument(response_hook=_without_secrets, excluded_urls=UNTRACED)
    for instrumentor in (CeleryInstrumentor, HTTPXClientInstrumentor, PsycopgInstrumentor, RedisInstrumentor):
        instrumentor().instrument()


def _without_secrets(span: Any, _request: Any, _response: Any) -> None:
    """A one-time link is an address that lets in; what was searched for stands in a query."""
    for name in PLACES:
        if said := span.attributes.get(name):
            span.set_attribute(name, redact(said.partition("?")[0]))


def trace_id() -> str:
    """Of the span that is under way, 32 hexadecimal digits; empty where nothing is traced."""
    return _of_current("trace_id", 32)


def span_id() -> str:
    return _of_current("span_id", 16)


def _of_current(name: str, digits: int) -> str:
    if _tracer is None:
        return ""
    from opentelemetry import trace  # noqa: PLC0415

    context = trace.get_current_span().get_span_context()
    return format(getattr(context, name), f"0{digits}x") if context.is_valid else ""


Note = Callable[[dict[str, Any]], None]


@contextmanager
def span(name: str, attributes: dict[str, Any], *, trace: str = "", parent: str = "") -> Iterator[Note]:
    """A call of something else. It hangs under the span `parent` of `trace` if both are known.

    What is known only later is given to the function that this yields.
    """
    if _tracer is None:
        yield lambda _: None
        return
    from opentelemetry.trace import SpanKind  # noqa: PLC0415

    known = {key: value for key, value in attributes.items() if value is not None}
    with _tracer.start_as_current_span(
        name, context=_under(trace, parent), kind=SpanKind.CLIENT, attributes=known
    ) as made:
        yield made.set_attributes


def _under(trace: str, parent: str) -> Any:
    """None: whatever is current."""
    if not (trace and parent):
        return None
    from opentelemetry.trace import NonRecordingSpan, SpanContext, TraceFlags, set_span_in_context  # noqa: PLC0415

    asked = SpanContext(int(trace, 16), int(parent, 16), is_remote=True, trace_flags=TraceFlags(TraceFlags.SAMPLED))
    return set_span_in_context(NonRecordingSpan(asked))
