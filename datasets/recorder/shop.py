"""Starts, redeploys and disturbs the shop's processes."""

import os
import signal
import socket
import subprocess
import sys
import time
from pathlib import Path

import database
from isolation import CpuGroup, Hosts

HERE = Path(__file__).parent
PORT = 8080
COLLECTOR = "127.0.1.101"

# In the order of their addresses; callees first, so that nobody starts calling too early.
SERVICES = {
    "cardnet": "cardnet.py",
    "pricing": "pricing.py",
    "catalog": "catalog.py",
    "inventory": "inventory.js",
    "cart": "cart.js",
    "payment": "payment.py",
    "notifier": "notifier.py",
    "checkout": "checkout.py",
    "gateway": "gateway.js",
}
WITHOUT_PORT = {"notifier"}
FIRST_VERSION = "1.4.0"


class Shop:
    def __init__(self, directory: Path):
        self.directory = directory
        self.hosts = Hosts(directory)
        self.database = database.Database(directory)
        self.running: dict[str, subprocess.Popen] = {}
        self.helpers: list[subprocess.Popen] = []
        self.containers: list[CpuGroup] = []
        self.receiver: subprocess.Popen | None = None
        self.load: subprocess.Popen | None = None

    def start(self) -> None:
        self.hosts.point(database.HOST, database.ADDRESS)
        self.hosts.point("collector", COLLECTOR)
        self.database.start()
        self.receiver = spawn("receiver.py", "--listen", COLLECTOR, "--directory", self.directory)
        wait_for_port(COLLECTOR, 4318)
        for name in SERVICES:
            self.running[name] = self.start_service(name, FIRST_VERSION, generation=1)

    def start_service(
        self, name: str, version: str, generation: int, features: str = ""
    ) -> subprocess.Popen:
        """Starts a release of a service and leads callers' new connections to it."""
        address = address_of(name, generation)
        instance = f"{name}-{generation}"
        resource = {
            "service.version": version,
            "service.instance.id": instance,
            "host.name": instance,
            "deployment.environment.name": "production",
        }
        environment = {
            "PATH": os.environ["PATH"],
            "NODE_PATH": str(HERE / "node_modules"),
            "SHOP_LISTEN": address,
            "SHOP_DATABASE": database.URL,
            "SHOP_FEATURES": features,
            "OTEL_SERVICE_NAME": name,
            "OTEL_RESOURCE_ATTRIBUTES": ",".join(f"{k}={v}" for k, v in resource.items()),
            "OTEL_EXPORTER_OTLP_ENDPOINT": "http://collector:4318",
            "OTEL_BSP_SCHEDULE_DELAY": "1000",
            "OTEL_SEMCONV_STABILITY_OPT_IN": "http,database",
        }
        program = HERE / "services" / SERVICES[name]
        runtime = sys.executable if program.suffix == ".py" else "node"
        with open(self.directory / f"{instance}.log", "w") as log:
            process = subprocess.Popen(
                [runtime, program], env=environment, stdout=log, stderr=subprocess.STDOUT
            )
        if name not in WITHOUT_PORT:
            wait_for_port(address, PORT)
            self.hosts.point(name, address)
        return process

    def deploy(self, name: str, version: str, features: str) -> None:
        """Replaces a service's release the way a rolling deploy does: first up, then down."""
        old = self.running[name]
        self.running[name] = self.start_service(name, version, 2, features)
        stop(old)

    def start_load(self, seconds: float, customers_per_second: float, seed: int) -> None:
        self.load = spawn(
            "load.py", "--seconds", seconds,
            "--customers-per-second", customers_per_second, "--seed", seed,
        )  # fmt: skip

    def start_sale(self) -> None:
        self.load.send_signal(signal.SIGUSR1)

    def open_receiver(self) -> None:
        self.receiver.send_signal(signal.SIGUSR1)

    def put_behind_proxy(self, name: str, delay_seconds: float) -> None:
        """Callers reach the service through a proxy, which does not delay yet."""
        front = address_of(name, generation=3)
        proxy = spawn(
            "delay_proxy.py", "--listen", front, "--port", PORT,
            "--to", address_of(name, generation=1), "--delay-seconds", delay_seconds,
        )  # fmt: skip
        wait_for_port(front, PORT)
        self.helpers.append(proxy)
        self.hosts.point(name, front)

    def delay_proxied(self) -> None:
        for helper in self.helpers:
            helper.send_signal(signal.SIGUSR1)

    def crowd(self, name: str, cores: float, period_seconds: float) -> None:
        """Squeezes a service and a CPU-hungry neighbour into one CPU limit."""
        container = CpuGroup(name)
        self.containers.append(container)
        container.limit(cores, period_seconds)
        container.add(self.running[name].pid)
        burner = spawn("burner.py")
        container.add(burner.pid)
        self.helpers.append(burner)

    def stop(self) -> None:
        if self.load is not None:
            self.load.kill()
        for helper in self.helpers:
            helper.kill()
            helper.wait()
        # Callers first: they flush their spans to a receiver that must still be there.
        for process in reversed(self.running.values()):
            stop(process)
        if self.receiver is not None:
            stop(self.receiver)
        self.database.stop()
        for container in self.containers:
            container.remove()


def address_of(name: str, generation: int) -> str:
    return f"127.0.{generation}.{10 + list(SERVICES).index(name)}"


def spawn(script: str, *arguments) -> subprocess.Popen:
    return subprocess.Popen([sys.executable, HERE / script, *map(str, arguments)])


def stop(process: subprocess.Popen) -> None:
    process.terminate()
    process.wait(timeout=20)


def wait_for_port(address: str, port: int, patience_seconds: float = 20) -> None:
    deadline = time.monotonic() + patience_seconds
    while True:
        try:
            socket.create_connection((address, port)).close()
            return
        except ConnectionRefusedError:
            if time.monotonic() > deadline:
                raise
            time.sleep(0.05)
