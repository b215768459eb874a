"""What Polars and DuckDB need for a part of the job: `tables.py JOB FILE.parquet`. Prints how many rows came out."""

import os
import sys

# Those that `suspect analyze` reads of the simulated file.
COLUMNS = [
    "trace_id", "span_id", "parent_span_id", "service", "operation", "kind", "start_time_unix_nano", "duration_nano",
    "status_code", "resource.host.name", "resource.service.instance.id", "resource.service.version", "server.address",
    "db.system.name", "messaging.system", "messaging.destination.name", "messaging.operation.type",
    "http.request.method", "http.route", "http.response.status_code", "w3c.tracestate",
]  # fmt: skip


def polars_read(path, engine):
    """Reads the columns and groups by trace id: one value a column and trace, so that none can be left unread."""
    import polars as pl

    spans = pl.scan_parquet(path).select(COLUMNS)
    return spans.group_by("trace_id").agg(pl.len().alias("n_spans"), pl.all().first()).collect(engine=engine).height


def polars_self(path):
    """Self time, as duration less that of the children, and its sum by operation and half of the time."""
    import polars as pl

    spans = pl.scan_parquet(path).select(COLUMNS[:8])
    middle = spans.select((pl.col("start_time_unix_nano").min() + pl.col("start_time_unix_nano").max()) // 2).collect().item()
    children = spans.filter(pl.col("parent_span_id").is_not_null()).group_by("trace_id", "parent_span_id").agg(
        pl.col("duration_nano").sum().alias("children")
    )
    joined = spans.join(
        children, left_on=["trace_id", "span_id"], right_on=["trace_id", "parent_span_id"], how="left"
    ).with_columns(
        (pl.col("duration_nano") - pl.col("children").fill_null(0)).alias("own"),
        (pl.col("start_time_unix_nano") >= middle).alias("is_late"),
    )
    sums = joined.group_by("service", "operation", "kind", "is_late").agg(
        pl.len(), pl.col("own").sum(), pl.col("duration_nano").mean()
    )
    return sums.collect(engine="streaming").height


def duckdb_self(path):
    """The same in SQL."""
    import duckdb

    connection = duckdb.connect(config={"threads": len(os.sched_getaffinity(0))})
    rows = connection.execute(
        """
        WITH spans AS (SELECT * FROM read_parquet($1)),
        middle AS (SELECT (min(start_time_unix_nano) + max(start_time_unix_nano)) // 2 AS ns FROM spans),
        children AS (
            SELECT trace_id, parent_span_id, sum(duration_nano) AS ns FROM spans
            WHERE parent_span_id IS NOT NULL GROUP BY ALL
        )
        SELECT service, operation, kind, start_time_unix_nano >= middle.ns AS is_late, count(*) AS n_spans,
            sum(duration_nano - coalesce(children.ns, 0)) AS own, avg(duration_nano) AS mean
        FROM spans CROSS JOIN middle
        LEFT JOIN children ON spans.trace_id = children.trace_id AND spans.span_id = children.parent_span_id
        GROUP BY ALL
        """,
        [path],
    ).fetchall()
    return len(rows)


JOBS = {
    "polars-read": lambda path: polars_read(path, "streaming"),
    "polars-read-in-memory": lambda path: polars_read(path, "in-memory"),
    "polars-self": polars_self,
    "duckdb-self": duckdb_self,
}

if __name__ == "__main__":
    job, path = sys.argv[1:]
    print(JOBS[job](path))
