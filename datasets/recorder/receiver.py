"""Receives OTLP over HTTP and keeps each body as it came, framed like the collector's file exporter.

JSON: one ExportTraceServiceRequest a line. Protobuf: a u32 (big-endian) length
before each. Until SIGUSR1 bodies are answered but dropped: the warm-up.
"""

import argparse
import logging
import signal
import struct
import sys
import threading
from pathlib import Path

from flask import Flask, Response, request
from waitress import serve


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--listen", required=True)
    parser.add_argument("--directory", type=Path, required=True)
    options = parser.parse_args()
    recording = threading.Event()
    signal.signal(signal.SIGUSR1, lambda *_: recording.set())
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(0))

    app = Flask("receiver")
    with (
        open(options.directory / "traces.otlp.jsonl", "wb") as json_file,
        open(options.directory / "traces.otlp.binpb", "wb") as proto_file,
    ):

        @app.post("/v1/traces")
        def export():
            body = request.get_data()
            is_json = request.mimetype == "application/json"
            if recording.is_set() and is_json:
                json_file.write(body + b"\n")
            elif recording.is_set():
                proto_file.write(struct.pack(">I", len(body)) + body)
            return Response(b"{}" if is_json else b"", mimetype=request.mimetype)

        logging.getLogger("waitress.queue").setLevel(logging.ERROR)
        # A single thread, so that bodies never interleave in the files.
        serve(app, host=options.listen, port=4318, threads=1)


main()
