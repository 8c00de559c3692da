"""Spans for an OpenTelemetry collector (OTLP over HTTP); loaded only when the settings name one.

The trace of OpenTelemetry is made from that of the message, so that its acceptance, its tries and its delivery stand
together, whichever nodes did them. Nothing of it is global, and sending happens in a thread of the library.
"""

from __future__ import annotations

import asyncio
import hashlib
import time
from collections.abc import Mapping
from typing import Final

try:
    from opentelemetry.context import Context
    from opentelemetry.exporter.otlp.proto.http.trace_exporter import OTLPSpanExporter
    from opentelemetry.sdk.resources import Resource
    from opentelemetry.sdk.trace import TracerProvider
    from opentelemetry.sdk.trace.export import BatchSpanProcessor
    from opentelemetry.trace import NonRecordingSpan, SpanContext, TraceFlags, set_span_in_context
except ImportError as error:
    from gateway.errors import ConfigError

    raise ConfigError("operation.otlp_endpoint: needs the extra otel: pip install 'dm3-gateway[otel]'") from error

from gateway import __version__
from gateway.ids import EnsName
from gateway.traces import TraceId

PATH: Final = "/v1/traces"
SEND_SECONDS: Final = 5
SAMPLED: Final = TraceFlags(TraceFlags.SAMPLED)


class OtelSpans:
    """Sends what was done; what the collector does not take in time is dropped."""

    def __init__(self, endpoint: str, service: EnsName) -> None:
        """``endpoint`` without the path of traces."""
        resource = Resource.create(
            {"service.name": "dm3-gateway", "service.version": __version__, "dm3.service": service}
        )
        self._provider = TracerProvider(resource=resource, shutdown_on_exit=False)
        exporter = OTLPSpanExporter(endpoint=f"{endpoint}{PATH}", timeout=SEND_SECONDS)
        self._provider.add_span_processor(BatchSpanProcessor(exporter))
        self._tracer = self._provider.get_tracer("dm3-gateway", __version__)

    def ended(self, name: str, trace: TraceId | None, started_ns: int, attributes: Mapping[str, str]) -> None:
        """See `Spans`."""
        told = {f"dm3.{key}": value for key, value in attributes.items()}
        if trace is not None:
            told["dm3.trace"] = trace
        span = self._tracer.start_span(name, _context(trace), attributes=told, start_time=started_ns)
        span.end(time.time_ns())

    async def close(self) -> None:
        """Send what is left, as far as the collector takes it."""
        await asyncio.to_thread(self._provider.shutdown)


def _context(trace: TraceId | None) -> Context | None:
    """A parent that is nowhere recorded and has the trace's own numbers."""
    if trace is None:
        return None
    digest = hashlib.sha256(trace.encode()).digest()
    parent = SpanContext(
        int.from_bytes(digest[:16]), int.from_bytes(digest[16:24]), is_remote=True, trace_flags=SAMPLED
    )
    return set_span_in_context(NonRecordingSpan(parent))
