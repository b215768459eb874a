"""Records one incident end to end: shop up, load on, fault in, spans out.

    python record.py --incident slow-dependency

Run as root, with the packages of requirements.txt and package-lock.json and
Debian's postgresql installed. Replaces ../incidents/<name>.
"""

import argparse
import gzip
import json
import shutil
import tempfile
import time
from pathlib import Path

import isolation
import zstandard
from incidents import INCIDENTS, Incident
from shop import Shop

OUTPUT = Path(__file__).resolve().parent.parent / "incidents"
SEED = 20240611

CUSTOMERS_PER_SECOND = 4.2

# Enough for Node's compiler to be done: it goes on to make code faster for thousands of calls.
WARM_UP_SECONDS = 40
WARM_UP_CUSTOMERS_PER_SECOND = 12
# Longer than the SDKs' batches, so that no trace is cut in two when recording begins or ends.
FLUSH_SECONDS = 4
LEAD_IN_SECONDS = 6
# Between a window and the injection, so that neither window holds both states.
GUARD_BEFORE_SECONDS = 2
GUARD_AFTER_SECONDS = 8
LEAD_OUT_SECONDS = 2


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--incident", choices=INCIDENTS, required=True)
    parser.add_argument("--window-seconds", type=int, default=100)
    parser.add_argument("--output", type=Path, default=OUTPUT)
    options = parser.parse_args()
    isolation.enter()
    incident = INCIDENTS[options.incident]
    with tempfile.TemporaryDirectory(prefix="shop-") as directory:
        work = Path(directory)
        with isolation.real_time(), isolation.ballast():
            moments = record(incident, options.window_seconds, work)
        write(options.output / options.incident, options.incident, incident, moments, work)


def record(incident: Incident, window_seconds: int, directory: Path) -> dict:
    shop = Shop(directory)
    try:
        shop.start()
        incident.prepare(shop)
        shop.start_load(WARM_UP_SECONDS, WARM_UP_CUSTOMERS_PER_SECOND, seed=0)
        shop.load.wait()
        time.sleep(FLUSH_SECONDS)
        shop.open_receiver()

        around = LEAD_IN_SECONDS + GUARD_BEFORE_SECONDS + GUARD_AFTER_SECONDS + LEAD_OUT_SECONDS
        shop.start_load(2 * window_seconds + around, CUSTOMERS_PER_SECOND, SEED)
        time.sleep(LEAD_IN_SECONDS)
        baseline = window_from_now(window_seconds)
        time.sleep(window_seconds + GUARD_BEFORE_SECONDS)
        inject_time = time.time_ns()
        incident.inject(shop)
        time.sleep(GUARD_AFTER_SECONDS)
        regression = window_from_now(window_seconds)
        shop.load.wait()
        time.sleep(FLUSH_SECONDS)
    finally:
        shop.stop()
    return {"inject": inject_time, "baseline": baseline, "regression": regression}


def window_from_now(seconds: int) -> list[int]:
    start = time.time_ns()
    return [start, start + seconds * 10**9]


def write(folder: Path, name: str, incident: Incident, moments: dict, work: Path) -> None:
    shutil.rmtree(folder, ignore_errors=True)
    (folder / "spans").mkdir(parents=True)
    for recorded in work.glob("traces.otlp.*"):
        compressed = folder / "spans" / f"{recorded.name}.{incident.compression}"
        compressed.write_bytes(compress(recorded.read_bytes(), incident.compression))
    is_fault = incident.fault_type != "none"
    case = {
        "dataset": "suspect_shop",
        "case_id": name,
        "system": "shop",
        "fault_type": incident.fault_type,
        "root_cause_services": incident.root_cause_services,
        "root_cause_operations": incident.root_cause_operations,
        "inject_time_unix_nano": moments["inject"] if is_fault else None,
        "baseline": moments["baseline"],
        "regression": moments["regression"],
        "quality": "A",
        "notes": incident.notes,
    }
    (folder / "case.json").write_text(json.dumps(case, indent=1) + "\n")
    inject_second = round((moments["inject"] - moments["baseline"][0]) / 1e9)
    when = f"{inject_second} s after the baseline begins, until the end" if is_fault else "never"
    (folder / "README.md").write_text(
        f"# {name}\n\n"
        f"Broken: {incident.broken}.\n"
        f"When: {when}.\n"
        f"Expected first: {incident.expected}.\n"
    )


def compress(content: bytes, compression: str) -> bytes:
    if compression == "gz":
        return gzip.compress(content, 9, mtime=0)
    return zstandard.compress(content, 19)


if __name__ == "__main__":
    main()
