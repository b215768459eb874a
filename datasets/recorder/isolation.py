"""A private machine for the shop, out of Linux namespaces, scheduling classes and cgroups.

Own network (ports and addresses clash with nobody), own /etc/hosts (services
have names), own processes (all end with the recorder), and the CPU at once
when others want it too.
"""

import os
import subprocess
import sys
from contextlib import contextmanager
from pathlib import Path

CPU_CGROUPS = Path("/sys/fs/cgroup/cpu")
MAX_SHARES = 262144
REAL_TIME_PRIORITY = 1


def enter() -> None:
    """Restarts this program inside namespaces of its own."""
    if os.getpid() == 1:
        subprocess.run(["ip", "link", "set", "lo", "up"], check=True)
        return
    if os.geteuid() != 0:
        sys.exit("the recorder must run as root: it makes namespaces and cgroups")
    unshare = ["unshare", "--mount", "--net", "--pid", "--fork", "--kill-child", "--mount-proc"]
    os.execvp("unshare", [*unshare, sys.executable, *sys.argv])


class Hosts:
    """The private /etc/hosts: where each name leads."""

    def __init__(self, directory: Path):
        self.file = directory / "hosts"
        self.addresses: dict[str, str] = {}
        self.file.write_text("")
        # PostgreSQL and others read it without being root.
        self.file.chmod(0o644)
        subprocess.run(["mount", "--bind", self.file, "/etc/hosts"], check=True)

    def point(self, name: str, address: str) -> None:
        self.addresses[name] = address
        lines = [f"{address} {name}\n" for name, address in self.addresses.items()]
        self.file.write_text("127.0.0.1 localhost\n" + "".join(lines))


class CpuGroup:
    """A cgroup (v1) of the cpu controller, for processes that are to lose their privileges."""

    def __init__(self, name: str):
        self.path = CPU_CGROUPS / f"shop-{name}"
        self.path.mkdir()

    def limit(self, cores: float, period_seconds: float) -> None:
        period_us = int(period_seconds * 1e6)
        (self.path / "cpu.cfs_period_us").write_text(str(period_us))
        (self.path / "cpu.cfs_quota_us").write_text(str(int(period_us * cores)))
        # What the limit allows is not to depend on what else the machine does.
        (self.path / "cpu.shares").write_text(str(MAX_SHARES))

    def yield_to_all(self) -> None:
        (self.path / "cpu.idle").write_text("1")

    def add(self, pid: int) -> None:
        for thread in Path(f"/proc/{pid}/task").iterdir():
            # Neither limits nor weights bind real-time threads.
            os.sched_setscheduler(int(thread.name), os.SCHED_OTHER, os.sched_param(0))
        (self.path / "cgroup.procs").write_text(str(pid))

    def remove(self) -> None:
        self.path.rmdir()


@contextmanager
def real_time():
    """Gives the CPU at once to all that is started meanwhile.

    Under the fair scheduler a service waits 0.3 to 0.9 ms for each of its turns
    while others compile, so 0.1 ms.
    """
    os.sched_setscheduler(0, os.SCHED_RR, os.sched_param(REAL_TIME_PRIORITY))
    try:
        yield
    finally:
        os.sched_setscheduler(0, os.SCHED_OTHER, os.sched_param(0))


@contextmanager
def ballast():
    """Keeps every CPU awake with loops that give way to anything else.

    A core that wakes up, and one whose sibling is busy, are slow; with ballast
    they are so all the time, not just when the rest of the machine has work.
    """
    group = CpuGroup("ballast")
    group.yield_to_all()
    burner = [sys.executable, Path(__file__).parent / "burner.py"]
    burners = [subprocess.Popen(burner) for _ in range(os.cpu_count())]
    try:
        for process in burners:
            group.add(process.pid)
        yield
    finally:
        for process in burners:
            process.kill()
            process.wait()
        group.remove()
