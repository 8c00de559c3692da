"""What the operating system knows of a process (Linux): its CPU time, its memory, the cores it may use."""

from __future__ import annotations

import os
import platform
import time
from contextlib import suppress
from pathlib import Path
from typing import Final

SERVER_CORE: Final = 0
"""Of the measured process and, in turn with it, of the floor."""
LOAD_CORE: Final = 1
"""Of everything else: load generator, chain, this program."""
SECOND_CORE: Final = 2
"""Of a second node."""
DATABASE_CORE: Final = 3
"""Of PostgreSQL. Where there are fewer cores, the last one stands for those that are missing."""


def cores() -> int:
    """How many cores this process may use."""
    return len(os.sched_getaffinity(0))


def pin(pid: int, core: int) -> None:
    """Keep a process, 0 for this one, on one core. Where there are not two, nothing is done."""
    allowed = sorted(os.sched_getaffinity(0) | _ALLOWED_AT_START)
    if len(allowed) > 1:
        os.sched_setaffinity(pid, {allowed[min(core, len(allowed) - 1)]})


def pin_family(pid: int, core: int | None) -> None:
    """Keep a process and those that it has started on one core, or let them have all (None)."""
    for each in (pid, *children_of(pid)):
        with suppress(ProcessLookupError):
            if core is None:
                os.sched_setaffinity(each, _ALLOWED_AT_START)
            else:
                pin(each, core)


def cpu_seconds(pid: int) -> float:
    """CPU time of a whole process, threads that have ended included, to the nanosecond.

    The clock's number is made as clock_getcpuclockid(3) makes it, which Python does not offer for other processes.
    """
    return time.clock_gettime(~pid << 3 | 2)


def resident_bytes(pid: int) -> int:
    """Resident set size (proc_pid_status(5), VmRSS)."""
    for line in Path(f"/proc/{pid}/status").read_text(encoding="ascii").splitlines():
        if line.startswith("VmRSS:"):
            return int(line.split()[1]) * 1024
    raise ProcessLookupError(f"process {pid} has no memory any more")


def descriptors(pid: int) -> int:
    """Files and sockets that a process has open (proc_pid_fd(5))."""
    return len(os.listdir(f"/proc/{pid}/fd"))


def children() -> frozenset[int]:
    """Processes that this one has started and that live."""
    return children_of(os.getpid())


def children_of(pid: int) -> frozenset[int]:
    """Processes that a process has started and that live (proc_pid_task_children(5))."""
    tasks = Path(f"/proc/{pid}/task").glob("*/children")
    return frozenset(int(each) for task in tasks for each in task.read_text(encoding="ascii").split())


def family_cpu_seconds(pid: int) -> float:
    """CPU time of a process and of those that it has started; of those that have ended to a hundredth of a second."""
    seconds = cpu_seconds(pid) + _cpu_of_the_dead(pid)
    for child in children_of(pid):
        with suppress(OSError):
            seconds += cpu_seconds(child)
    return seconds


def _cpu_of_the_dead(pid: int) -> float:
    fields = Path(f"/proc/{pid}/stat").read_text(encoding="utf-8").rpartition(")")[2].split()
    return (int(fields[13]) + int(fields[14])) / os.sysconf("SC_CLK_TCK")  # cutime, cstime of proc_pid_stat(5)


def family_own_bytes(pid: int) -> int:
    """Memory of a process and of those that it has started, without pages of files: those the kernel can take back."""
    own = 0
    for each in (pid, *children_of(pid)):
        with suppress(OSError):
            lines = Path(f"/proc/{each}/status").read_text(encoding="utf-8").splitlines()
            own += sum(int(line.split()[1]) for line in lines if line.startswith(("RssAnon:", "RssShmem:"))) * 1024
    return own


def description() -> dict[str, object]:
    """What a reader of figures should know about the machine."""
    return {
        "system": platform.system(),
        "release": platform.release(),
        "python": platform.python_version(),
        "processor": _processor(),
        "cores": len(_ALLOWED_AT_START),
        "pinned": len(_ALLOWED_AT_START) > 1,
        "load_average": [round(each, 2) for each in os.getloadavg()],
    }


def _processor() -> str:
    for line in Path("/proc/cpuinfo").read_text(encoding="utf-8").splitlines():
        if line.startswith("model name"):
            return line.partition(":")[2].strip()
    return platform.machine()


_ALLOWED_AT_START: Final = frozenset(os.sched_getaffinity(0))
