"""A PostgreSQL server of the recording's own, in a temporary directory."""

import shutil
import signal
import subprocess
import time
from pathlib import Path

import psycopg

HOST = "postgresql"
ADDRESS = "127.0.1.100"
URL = f"postgresql://shop@{HOST}:5432/shop"

# Quiet and repeatable rather than safe: no disk waits, no background work, no
# plans that change with the mood of the machine.
SETTINGS = {
    "listen_addresses": ADDRESS,
    "unix_socket_directories": "",
    "fsync": "off",
    "synchronous_commit": "off",
    "autovacuum": "off",
    "jit": "off",
    "max_parallel_workers_per_gather": "0",
    "checkpoint_timeout": "1h",
    "shared_buffers": "256MB",
    "logging_collector": "off",
}


class Database:
    def __init__(self, directory: Path):
        self.data = directory / "postgresql"
        self.process: subprocess.Popen | None = None

    def start(self) -> None:
        self.data.mkdir(mode=0o700)
        shutil.chown(self.data, "postgres", "postgres")
        self.data.parent.chmod(0o711)
        run = {"user": "postgres", "group": "postgres", "cwd": "/", "stdout": subprocess.DEVNULL}
        initdb = [tool("initdb"), "-D", self.data, "-U", "shop", "-A", "trust", "-E", "UTF8"]
        subprocess.run([*initdb, "--locale=C"], check=True, **run)
        settings = [f"--{name}={value}" for name, value in SETTINGS.items()]
        self.process = subprocess.Popen(
            [tool("postgres"), "-D", self.data, *settings], stderr=subprocess.DEVNULL, **run
        )
        ready = [tool("pg_isready"), "-q", "-h", HOST, "-U", "shop", "-d", "postgres"]
        while subprocess.run(ready).returncode != 0:
            if self.process.poll() is not None:
                raise RuntimeError("PostgreSQL did not start")
            time.sleep(0.1)
        self.execute("CREATE DATABASE shop", database="postgres")
        # Statement by statement: VACUUM refuses to run inside a multi-statement transaction.
        schema = (Path(__file__).parent / "schema.sql").read_text()
        for statement in schema.split(";\n"):
            self.execute(statement)

    def execute(self, statement: str, database: str = "shop") -> None:
        with psycopg.connect(host=HOST, user="shop", dbname=database, autocommit=True) as session:
            session.execute(statement)

    def stop(self) -> None:
        if self.process is not None:
            self.process.send_signal(signal.SIGINT)
            self.process.wait()


def tool(name: str) -> str:
    """Debian keeps the server's programs out of PATH, in a directory per version."""
    found = shutil.which(name) or max(Path("/usr/lib/postgresql").glob(f"*/bin/{name}"))
    return str(found)
