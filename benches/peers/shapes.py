"""Parquet files of shapes that are hard on an analysis: `shapes.py SHAPE SPANS FILE`; `shapes.py --list` names them.

Each file spans twenty minutes from START_NS on; in the second half every span takes a tenth longer.
"""

import sys

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq

START_NS, LENGTH_NS = 1_700_000_000 * 10**9, 1200 * 10**9
USUAL, LARGE = 16, 100_000
NO_PARENT = -1


def begins(n_traces):
    """Starts of traces, evenly spread, so that few are in both halves, too."""
    return START_NS + (2 * np.arange(n_traces) + 1) * (LENGTH_NS // (2 * n_traces))


def random_trees(random, n_traces, size):
    """Parents of spans in traces of `size`: any span before."""
    parents = np.full((n_traces, size), NO_PARENT)
    for child in range(1, size):
        parents[:, child] = random.integers(0, child, n_traces)
    return parents


def nested(random, parents):
    """Starts and durations, each child within its parent, siblings overlapping at will."""
    n_traces, size = parents.shape
    begin = begins(n_traces)
    start = np.tile(begin[:, None], (1, size))
    duration = np.tile((random.lognormal(0, 0.3, n_traces) * 1e8).astype(np.int64)[:, None], (1, size))
    # Parents have lower places than their children; of large traces whole levels are done at once.
    rows = np.arange(n_traces)
    if size <= 64:
        levels = [slice(child, child + 1) for child in range(1, size)]
    else:
        levels = [slice(3**level // 2 + 1, min(3 ** (level + 1) // 2 + 1, size)) for level in range(40)]
    for level in levels:
        places = np.arange(size)[level]
        if len(places) == 0:
            continue
        above = parents[:, places]
        within = duration[rows[:, None], above]
        start[:, places] = start[rows[:, None], above] + (within * random.uniform(0, 0.5, within.shape)).astype(np.int64)
        duration[:, places] = (within * random.uniform(0.2, 0.5, within.shape)).astype(np.int64)
    return start, duration


def ternary(n_traces, size):
    parents = np.tile((np.arange(size) - 1) // 3, (n_traces, 1))
    parents[:, 0] = NO_PARENT
    return parents


def spans(random, parents, start, duration, n_services=20, n_operations=100):
    """Columns as vectors; the operation of a span goes by its place, so that traces are alike."""
    n_traces, size = parents.shape
    own = random.integers(0, n_operations, size)
    operation = np.tile(own, (n_traces, 1))
    if n_operations > size:
        operation = (operation + random.integers(0, n_operations, n_traces)[:, None]) % n_operations
    return {
        "trace": np.repeat(np.arange(n_traces), size),
        "place": np.tile(np.arange(size), n_traces),
        "parent": parents.ravel(),
        "start": start.ravel(),
        "duration": duration.ravel(),
        "operation": operation.ravel(),
        "service": (operation % n_services).ravel(),
    }


def usual(random, n):
    parents = random_trees(random, n // USUAL, USUAL)
    return spans(random, parents, *nested(random, parents))


def operations(random, n):
    """100,000 operations of 5,000 services."""
    parents = random_trees(random, n // USUAL, USUAL)
    return spans(random, parents, *nested(random, parents), n_services=5000, n_operations=100_000)


def kinds(n_operations):
    """Kinds of requests, each of operations of its own, so that there are as many call paths as operations."""

    def shape(random, n):
        parents = np.tile(random_trees(random, 1, USUAL), (n // USUAL, 1))
        columns = spans(random, parents, *nested(random, parents))
        columns["operation"] = columns["trace"] % (n_operations // USUAL) * USUAL + columns["place"]
        columns["service"] = columns["operation"] % max(20, n_operations // 20)
        return columns

    return shape


def services(random, n):
    """5,000 services of one operation each."""
    parents = random_trees(random, n // USUAL, USUAL)
    return spans(random, parents, *nested(random, parents), n_services=5000, n_operations=5000)


def large(random, n):
    """Traces of 100,000 spans."""
    parents = ternary(max(2, n // LARGE), LARGE)
    return spans(random, parents, *nested(random, parents))


def half(random, n):
    """One trace that is half of the file."""
    parents = ternary(1, n // 2)
    return joined(usual(random, n // 2), spans(random, parents, *nested(random, parents)))


def deep(random, n):
    """Chains of 100,000 calls."""
    n_traces = max(2, n // LARGE)
    parents = np.tile(np.arange(LARGE) - 1, (n_traces, 1))
    begin = begins(n_traces)[:, None]
    depth = np.arange(LARGE)[None, :]
    return spans(random, parents, begin + 1000 * depth, 1000 * (2 * LARGE - 2 * depth) + 0 * begin)


def star(random, n):
    """100,000 calls from one span, one after the other."""
    n_traces = max(2, n // LARGE)
    begin = begins(n_traces)[:, None]
    place = np.arange(LARGE)[None, :]
    parents = np.where(place == 0, NO_PARENT, 0) + 0 * begin
    return spans(random, parents, begin + 1000 * place, np.where(place == 0, 1100 * LARGE, 900) + 0 * begin)


def overlapping(random, n):
    """100,000 calls from one span, all at the same time."""
    n_traces = max(2, n // LARGE)
    begin = begins(n_traces)[:, None]
    place = np.arange(LARGE)[None, :]
    parents = np.where(place == 0, NO_PARENT, 0) + 0 * begin
    return spans(random, parents, begin + place, 10**9 - 2 * place + 0 * begin)


def cycles(random, n):
    """Spans that are their own great-grandparents."""
    columns = usual(random, n)
    place = columns["place"]
    columns["parent"] = place - place % 4 + (place + 1) % 4
    return columns


def duplicates(random, n):
    """Every span twice."""
    columns = usual(random, n // 2)
    return {name: np.concatenate([values, values]) for name, values in columns.items()}


def one_id(random, n):
    """Traces of 100,000 spans that all have one id."""
    columns = large(random, n)
    columns["place"] = columns["place"] * 0
    return columns


SHAPES = {
    "usual": usual,
    "100-kinds": kinds(100),
    "1000-kinds": kinds(1_000),
    "10000-kinds": kinds(10_000),
    "100000-kinds": kinds(100_000),
    "operations": operations,
    "services": services,
    "large": large,
    "half": half,
    "deep": deep,
    "star": star,
    "overlapping": overlapping,
    "cycles": cycles,
    "duplicates": duplicates,
    "one-id": one_id,
}


def joined(first, second):
    second["trace"] = second["trace"] + first["trace"].max() + 1
    return {name: np.concatenate([first[name], second[name]]) for name in first}


def write(columns, path):
    order = np.lexsort((columns["place"], columns["trace"], columns["start"]))
    columns = {name: values[order] for name, values in columns.items()}
    late = columns["start"] >= START_NS + LENGTH_NS // 2
    columns["duration"] = np.where(late, columns["duration"] * 11 // 10, columns["duration"])
    table = pa.table(
        {
            "trace_id": coded(columns["trace"], lambda trace: f"{trace + 1:032x}"),
            "span_id": hexadecimal(columns["trace"], columns["place"]),
            "parent_span_id": hexadecimal(columns["trace"], columns["parent"], columns["parent"] == NO_PARENT),
            "service": coded(columns["service"], lambda service: f"service {letters(service)}"),
            "operation": coded(columns["operation"], lambda operation: f"do {letters(operation)}"),
            "kind": pa.array(["SERVER"]).take(pa.array(np.zeros(len(order), np.int32))),
            "start_time_unix_nano": columns["start"],
            "duration_nano": columns["duration"],
            "status_code": pa.array(["UNSET"]).take(pa.array(np.zeros(len(order), np.int32))),
        }
    )
    plain = ["span_id", "parent_span_id", "start_time_unix_nano", "duration_nano"]
    coded_columns = [name for name in table.column_names if name not in plain]
    pq.write_table(table, path, compression="zstd", row_group_size=1 << 17, use_dictionary=coded_columns, store_schema=False)


def coded(codes, text):
    known, places = np.unique(codes, return_inverse=True)
    return pa.DictionaryArray.from_arrays(pa.array(places.astype(np.int32)), pa.array([text(code) for code in known]))


def hexadecimal(trace, place, absent=None):
    """Ids that are told by trace and place, mixed so that they do not rise."""
    mixed = ((trace.astype(np.uint64) << np.uint64(32)) + place.astype(np.uint64) + np.uint64(1)) * np.uint64(0x9E3779B97F4A7C15)
    digits = np.frombuffer(b"0123456789abcdef", np.uint8)
    shifts = np.arange(60, -4, -4, dtype=np.uint64)
    text = digits[(mixed[:, None] >> shifts) & np.uint64(15)].astype(np.uint8)
    offsets = pa.py_buffer((np.arange(len(mixed) + 1, dtype=np.int32) * 16).tobytes())
    valid = None if absent is None else pa.array(~absent).buffers()[1]
    return pa.Array.from_buffers(pa.string(), len(mixed), [valid, offsets, pa.py_buffer(text.tobytes())])


def letters(number):
    """Words without digits, which would be taken for ids."""
    word = ""
    for _ in range(4):
        word, number = "bcdfghjklmnpqrstvwxz"[number % 20] + word, number // 20
    return word


if __name__ == "__main__":
    if sys.argv[1] == "--list":
        print(*SHAPES)
    else:
        shape, n_spans, path = sys.argv[1:]
        write(SHAPES[shape](np.random.default_rng(7), int(n_spans)), path)
