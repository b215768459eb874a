"""Renders a recording in the formats of other tools, Jaeger's and Zipkin's JSON, and as an excerpt.

    python renditions.py error

Follows what the OpenTelemetry specification and the collector's translators do:
times are cut to microseconds, status and scope become tags.
"""

import argparse
import gzip
import json
import shutil
from collections import defaultdict
from itertools import islice
from pathlib import Path

import otlp

DATASETS = Path(__file__).resolve().parent.parent
EXCERPT_REQUESTS = 15
JAEGER_TYPES = {bool: "bool", int: "int64", float: "float64", str: "string"}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("incident")
    options = parser.parse_args()
    source = DATASETS / "incidents" / options.incident
    target = DATASETS / "renditions" / options.incident
    traces = defaultdict(list)
    for span in sorted(otlp.read(source / "spans"), key=lambda span: span.start_ns):
        traces[span.trace_id].append(span)
    jaeger_traces = [jaeger_trace(trace_id, spans) for trace_id, spans in traces.items()]
    jaeger = {"data": jaeger_traces, "total": 0, "limit": 0, "offset": 0, "errors": None}
    zipkin = [[zipkin_span(span) for span in spans] for spans in traces.values()]
    write_excerpt(source / "spans", target / "excerpt")
    write(target / "jaeger" / "traces.json.gz", jaeger)
    write(target / "zipkin" / "traces.json.gz", zipkin)
    shutil.copy(source / "case.json", target / "case.json")


def write_excerpt(source: Path, target: Path) -> None:
    """The first requests as they were recorded, not compressed: traces at its end are cut."""
    target.mkdir(parents=True, exist_ok=True)
    for file in source.iterdir():
        frames = islice(otlp.frames_of(file), EXCERPT_REQUESTS)
        (target / file.stem).write_bytes(b"".join(frames))


def write(file: Path, document) -> None:
    file.parent.mkdir(parents=True, exist_ok=True)
    text = json.dumps(document, separators=(",", ":"))
    file.write_bytes(gzip.compress(text.encode(), 9, mtime=0))


def jaeger_trace(trace_id: str, spans: list[otlp.Span]) -> dict:
    processes = {}
    for span in spans:
        key = json.dumps(span.resource, sort_keys=True)
        processes.setdefault(key, (f"p{len(processes) + 1}", span.resource))
    return {
        "traceID": trace_id,
        "spans": [
            jaeger_span(span, processes[json.dumps(span.resource, sort_keys=True)][0])
            for span in spans
        ],
        "processes": {
            name: {"serviceName": resource["service.name"], "tags": jaeger_tags(others(resource))}
            for name, resource in processes.values()
        },
        "warnings": None,
    }


def jaeger_span(span: otlp.Span, process: str) -> dict:
    tags = scope_tags(span) | span.attributes | {"span.kind": span.kind.lower()}
    if span.status != "UNSET":
        tags["otel.status_code"] = span.status
    if span.status == "ERROR":
        tags["error"] = True
    if span.status_message:
        tags["otel.status_description"] = span.status_message
    parent = {"refType": "CHILD_OF", "traceID": span.trace_id, "spanID": span.parent_id}
    return {
        "traceID": span.trace_id,
        "spanID": span.span_id,
        "flags": 1,
        "operationName": span.name,
        "references": [parent] if span.parent_id else [],
        "startTime": span.start_ns // 1000,
        "duration": (span.end_ns - span.start_ns) // 1000,
        "tags": jaeger_tags(tags),
        "logs": [
            {"timestamp": time_ns // 1000, "fields": jaeger_tags({"event": name} | attributes)}
            for time_ns, name, attributes in span.events
        ],
        "processID": process,
        "warnings": None,
    }


def jaeger_tags(attributes: dict) -> list[dict]:
    return [
        {"key": key, "type": JAEGER_TYPES[type(value)], "value": value}
        for key, value in attributes.items()
    ]


def zipkin_span(span: otlp.Span) -> dict:
    tags = others(span.resource) | scope_tags(span) | span.attributes
    if span.status != "UNSET":
        tags["otel.status_code"] = span.status
    if span.status == "ERROR":
        # The specification's rule: there, though empty when nothing describes the error.
        tags["error"] = span.status_message
    rendered = {
        "traceId": span.trace_id,
        "parentId": span.parent_id,
        "id": span.span_id,
        "kind": "" if span.kind == "INTERNAL" else span.kind,
        "name": span.name,
        "timestamp": span.start_ns // 1000,
        # Zipkin reads 0 as unknown.
        "duration": max(1, (span.end_ns - span.start_ns) // 1000),
        "localEndpoint": {"serviceName": span.service},
        "remoteEndpoint": remote_endpoint(span),
        "annotations": [
            {"timestamp": time_ns // 1000, "value": json.dumps({name: attributes})}
            for time_ns, name, attributes in span.events
        ],
        "tags": {key: zipkin_value(value) for key, value in tags.items()},
    }
    return {key: value for key, value in rendered.items() if value}


def remote_endpoint(span: otlp.Span) -> dict:
    if span.kind == "CLIENT":
        address, port = "server.address", "server.port"
    elif span.kind == "PRODUCER":
        address, port = "messaging.destination.name", ""
    else:
        return {}
    endpoint = {"serviceName": span.attributes.get(address), "port": span.attributes.get(port)}
    return {key: value for key, value in endpoint.items() if value}


def zipkin_value(value) -> str:
    return json.dumps(value) if isinstance(value, bool) else str(value)


def scope_tags(span: otlp.Span) -> dict:
    return {f"otel.scope.{key}": span.scope[key] for key in ("name", "version") if key in span.scope}


def others(resource: dict) -> dict:
    return {key: value for key, value in resource.items() if key != "service.name"}


main()
