"""Spans at a collector of this test's own: OTLP over HTTP on loopback."""

from __future__ import annotations

import asyncio
import subprocess
import sys
from pathlib import Path

from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import ExportTraceServiceRequest

from tests.support.adapters import PaperAdapter
from tests.support.house import running_house
from tests.support.waiting import mail_of

BOB = "canarybob@example.org"


class Collector:
    """Takes bodies of POST /v1/traces."""

    def __init__(self) -> None:
        self.bodies: list[bytes] = []

    async def serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        """One request after the other on a connection."""
        try:
            while head := await reader.readuntil(b"\r\n\r\n"):
                lines = head.decode().lower().split("\r\n")
                assert lines[0].startswith("post /v1/traces ")
                sizes = [int(line.partition(":")[2]) for line in lines if line.startswith("content-length:")]
                self.bodies.append(await reader.readexactly(sizes[0]))
                writer.write(b"HTTP/1.1 200 OK\r\ncontent-length: 0\r\n\r\n")
        except asyncio.IncompleteReadError:
            writer.close()


async def test_a_message_is_one_trace_from_acceptance_to_delivery(tmp_path: Path) -> None:
    collector, paper = Collector(), PaperAdapter()
    server = await asyncio.start_server(collector.serve, "127.0.0.1", 0)
    port = server.sockets[0].getsockname()[1]
    overrides = {"DM3_GATEWAY__OPERATION__OTLP_ENDPOINT": f"http://127.0.0.1:{port}"}
    async with server, running_house(tmp_path / "house", adapters={paper.name: paper}, overrides=overrides) as house:
        alice = await house.native("canaryalice.eth", "alice")
        submitted = await paper.write(BOB, alice.name, "canary text", "n1")
        await mail_of(alice)
        await house.http.get(f"{house.url}/ccip/0x{'12' * 20}/0x00.json")
        await house.gateway.close()
    spans = [
        span
        for body in collector.bodies
        for resource in ExportTraceServiceRequest.FromString(body).resource_spans
        for scope in resource.scope_spans
        for span in scope.spans
    ]
    ours = [span for span in spans if ("dm3.trace", submitted.trace) in _told(span)]
    assert {"acceptance", "delivery"} <= {span.name for span in ours}
    assert len({span.trace_id for span in ours}) == 1
    assert any(("dm3.outcome", "404") in _told(span) for span in spans if span.name == "look-up")
    assert all(span.end_time_unix_nano >= span.start_time_unix_nano > 0 for span in spans)
    assert b"canary" not in b"".join(collector.bodies).lower()


NOISY = """
import asyncio
from opentelemetry import trace
from opentelemetry.sdk.trace import TracerProvider
from opentelemetry.sdk.trace.export import SimpleSpanProcessor
from opentelemetry.sdk.trace.export.in_memory_span_exporter import InMemorySpanExporter
from fastapi import FastAPI
from gateway.web.application import http_app

spans, provider = InMemorySpanExporter(), TracerProvider()
provider.add_span_processor(SimpleSpanProcessor(spans))
trace.set_tracer_provider(provider)

async def ask(app):
    async def receive():
        return {"type": "http.request", "body": b""}
    async def send(message):
        pass
    scope = {"type": "http", "method": "GET", "path": "/names/canary.eth", "headers": [], "query_string": b""}
    await app(scope, receive, send)
    return len(spans.get_finished_spans())

print(asyncio.run(ask(http_app((), ()))), asyncio.run(ask(FastAPI())))
"""


def test_the_web_framework_tells_no_collector_the_paths_that_people_ask_for() -> None:
    """Names stand in them. A bare application of the framework does tell: so the test can fail."""
    done = subprocess.run([sys.executable, "-c", NOISY], capture_output=True, text=True, check=True)
    ours, bare = map(int, done.stdout.split())
    assert (ours, bare > 0) == (0, True)


def _told(span: object) -> set[tuple[str, str]]:
    return {(each.key, each.value.string_value) for each in span.attributes}  # type: ignore[attr-defined]


def test_without_the_extra_the_start_says_what_to_install() -> None:
    code = """
import asyncio, contextlib, sys
sys.modules["opentelemetry.exporter.otlp.proto.http.trace_exporter"] = None
from gateway.errors import ConfigError
from gateway.ids import EnsName
from gateway.joining.watching import open_watch
from gateway.operation_settings import OperationSettings

async def main():
    settings = OperationSettings(otlp_endpoint="http://127.0.0.1:4318")
    try:
        await open_watch(settings, EnsName("ds.gw.eth"), contextlib.AsyncExitStack())
    except ConfigError as error:
        print(error)

asyncio.run(main())
"""
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert "pip install 'dm3-gateway[otel]'" in done.stdout
