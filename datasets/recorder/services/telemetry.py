"""OpenTelemetry for the Python services.

Everything that differs between services (name, version, host, endpoint) comes
from the standard OTEL_* environment variables, which the SDK reads itself.
"""

import signal
import sys

from opentelemetry import trace
from opentelemetry.exporter.otlp.proto.http.trace_exporter import OTLPSpanExporter
from opentelemetry.sdk.trace import TracerProvider
from opentelemetry.sdk.trace.export import BatchSpanProcessor


def start() -> trace.Tracer:
    provider = TracerProvider()
    provider.add_span_processor(BatchSpanProcessor(OTLPSpanExporter()))
    trace.set_tracer_provider(provider)
    # The SDK flushes at interpreter exit, which a bare SIGTERM would skip.
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(0))
    return trace.get_tracer("shop")
