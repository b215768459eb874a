"""Shows what moved between the windows of a recording: entries, operations, calls, errors.

    python compare.py ../incidents/slow-dependency

A check on the recording itself, by the plainest means: no critical path, no statistics.
"""

import argparse
import json
from collections import defaultdict
from pathlib import Path
from statistics import mean, quantiles

import otlp

WINDOWS = ("baseline", "regression")
PEER = ("server.address", "net.peer.name", "messaging.destination.name")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("incident", type=Path)
    options = parser.parse_args()
    case = json.loads((options.incident / "case.json").read_text())
    traces = defaultdict(list)
    for span in otlp.read(options.incident / "spans"):
        traces[span.trace_id].append(span)
    rows = {window: rows_of(traces.values(), *case[window]) for window in WINDOWS}
    n_spans = sum(map(len, traces.values()))
    print(f"{n_spans} spans, {len(traces)} traces in the recording")
    for name in ("entries", "operations"):
        print(f"\n{name:60} {'count':>13} {'mean ms':>15} {'p95 ms':>15} {'self ms':>15} errors %")
        before, after = (rows[window][name] for window in WINDOWS)
        for key in sorted(before.keys() | after.keys()):
            print_change(key, before.get(key, []), after.get(key, []))


def rows_of(traces, start_ns: int, end_ns: int) -> dict:
    entries, operations = defaultdict(list), defaultdict(list)
    for trace in traces:
        root = next((span for span in trace if not span.parent_id), None)
        if root is None or not start_ns <= root.start_ns < end_ns:
            continue
        children = defaultdict(list)
        for span in trace:
            children[span.parent_id].append(span)
        for span in trace:
            row = (
                (span.end_ns - span.start_ns) / 1e6,
                self_ms(span, children[span.span_id]),
                span.status == "ERROR",
            )
            peer = next((span.attributes[key] for key in PEER if key in span.attributes), "")
            to_peer = f" -> {peer}" if span.kind in ("CLIENT", "PRODUCER") else ""
            operations[f"{span.service} {span.name}{to_peer}"].append(row)
            if span is root:
                entries[span.name].append(row)
                entries["all"].append(row)
    return {"entries": entries, "operations": operations}


def self_ms(span: otlp.Span, children: list[otlp.Span]) -> float:
    """Duration less the union of the children, cut to the span."""
    covered, reached = 0, span.start_ns
    for child in sorted(children, key=lambda child: child.start_ns):
        end = min(child.end_ns, span.end_ns)
        covered += max(0, end - max(child.start_ns, reached))
        reached = max(reached, end)
    return (span.end_ns - span.start_ns - covered) / 1e6


def print_change(key: str, before: list, after: list) -> None:
    cells = [f"{len(before):6}{len(after):7}"]
    for figure in (mean_ms, p95_ms, mean_self_ms):
        cells.append(f"{figure(before):7.2f}{figure(after):8.2f}")
    errors = [100 * mean(row[2] for row in rows) if rows else 0 for rows in (before, after)]
    print(f"{key:60}", *cells, "{:5.1f}{:6.1f}".format(*errors))


def mean_ms(rows: list) -> float:
    return mean(row[0] for row in rows) if rows else float("nan")


def mean_self_ms(rows: list) -> float:
    return mean(row[1] for row in rows) if rows else float("nan")


def p95_ms(rows: list) -> float:
    return quantiles([row[0] for row in rows], n=20)[-1] if len(rows) > 1 else float("nan")


main()
