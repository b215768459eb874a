"""The card network: another company's system, deliberately without any tracing."""

import json
import random
import time
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

import release

MEDIAN_SECONDS = 0.025

latency = random.Random(7)


class Authorizations(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    # Headers and body go out as two writes: without this, Nagle holds the second for 40 ms.
    disable_nagle_algorithm = True

    def do_POST(self):
        self.rfile.read(int(self.headers["Content-Length"]))
        time.sleep(MEDIAN_SECONDS * latency.lognormvariate(0, 0.2))
        body = json.dumps({"authorization": f"{latency.getrandbits(48):012x}"}).encode()
        self.send_response(201)
        self.send_header("Content-Type", "application/json")
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, *_):
        pass


ThreadingHTTPServer((release.LISTEN, release.PORT), Authorizations).serve_forever()
