"""Reads a recording's OTLP files back as plain spans."""

import base64
import gzip
import io
import json
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import zstandard
from google.protobuf.json_format import MessageToDict
from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import ExportTraceServiceRequest

KINDS = ["UNSPECIFIED", "INTERNAL", "SERVER", "CLIENT", "PRODUCER", "CONSUMER"]
STATUSES = ["UNSET", "OK", "ERROR"]
LENGTH_BYTES = 4


@dataclass
class Span:
    trace_id: str
    span_id: str
    parent_id: str
    name: str
    kind: str
    start_ns: int
    end_ns: int
    status: str
    status_message: str
    attributes: dict
    events: list[tuple[int, str, dict]]
    resource: dict
    scope: dict

    @property
    def service(self) -> str:
        return self.resource["service.name"]


def read(folder: Path) -> list[Span]:
    return [
        span_of(span, attributes_of(of_resource["resource"]), of_scope["scope"])
        for file in sorted(folder.glob("*.otlp.*"))
        for request in requests_of(file)
        for of_resource in request["resourceSpans"]
        for of_scope in of_resource["scopeSpans"]
        for span in of_scope["spans"]
    ]


def requests_of(file: Path) -> Iterator[dict]:
    for frame in frames_of(file):
        if is_json(file):
            yield json.loads(frame)
        else:
            message = ExportTraceServiceRequest.FromString(frame[LENGTH_BYTES:])
            # Protobuf's own JSON differs from OTLP's in its ids, which are base64.
            yield MessageToDict(message, use_integers_for_enums=True)


def frames_of(file: Path) -> Iterator[bytes]:
    """The export requests with their framing, line end or length, still on."""
    stream = io.BytesIO(decompress(file))
    if is_json(file):
        yield from stream
        return
    while header := stream.read(LENGTH_BYTES):
        yield header + stream.read(int.from_bytes(header))


def is_json(file: Path) -> bool:
    return ".jsonl" in file.suffixes


def decompress(file: Path) -> bytes:
    content = file.read_bytes()
    match file.suffix:
        case ".zst":
            return zstandard.decompress(content)
        case ".gz":
            return gzip.decompress(content)
        case _:
            return content


def span_of(span: dict, resource: dict, scope: dict) -> Span:
    status = span.get("status", {})
    return Span(
        trace_id=hex_id(span["traceId"], 16),
        span_id=hex_id(span["spanId"], 8),
        parent_id=hex_id(span.get("parentSpanId", ""), 8),
        name=span["name"],
        kind=KINDS[span.get("kind", 0)],
        start_ns=int(span["startTimeUnixNano"]),
        end_ns=int(span["endTimeUnixNano"]),
        status=STATUSES[status.get("code", 0)],
        status_message=status.get("message", ""),
        attributes=attributes_of(span),
        events=[
            (int(event["timeUnixNano"]), event["name"], attributes_of(event))
            for event in span.get("events", [])
        ],
        resource=resource,
        scope=scope,
    )


def hex_id(text: str, n_bytes: int) -> str:
    return text if len(text) in (0, 2 * n_bytes) else base64.b64decode(text).hex()


def attributes_of(holder: dict) -> dict:
    return {pair["key"]: value_of(pair["value"]) for pair in holder.get("attributes", [])}


def value_of(value: dict):
    match next(iter(value.items())):
        case "intValue", number:
            return int(number)
        case "arrayValue", array:
            return [value_of(item) for item in array.get("values", [])]
        case _, plain:
            return plain
