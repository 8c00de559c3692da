"""What the operating system says of a process is of that process."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Iterator

import pytest

from tests.bench.machine import (
    children,
    children_of,
    cores,
    cpu_seconds,
    description,
    family_cpu_seconds,
    family_own_bytes,
    pin,
    pin_family,
    resident_bytes,
)

CHILD = "import sys; kept = bytearray(50_000_000); print('up', flush=True); sys.stdin.read()"


@pytest.fixture
def child() -> Iterator[int]:
    """A process with 50 MB that does nothing."""
    with subprocess.Popen([sys.executable, "-c", CHILD], stdin=subprocess.PIPE, stdout=subprocess.PIPE) as process:
        assert process.stdout is not None
        assert process.stdout.readline() == b"up\n"
        yield process.pid
        assert process.stdin is not None
        process.stdin.close()


def test_cpu_time_is_that_of_the_process(child: int) -> None:
    mine, its = cpu_seconds(os.getpid()), cpu_seconds(child)
    sum(range(3_000_000))
    assert cpu_seconds(os.getpid()) - mine > cpu_seconds(child) - its >= 0


def test_memory_is_that_of_the_process(child: int) -> None:
    assert resident_bytes(child) > 50_000_000


def test_children_are_those_that_live(child: int) -> None:
    with subprocess.Popen([sys.executable, "-c", "input()"], stdin=subprocess.PIPE) as process:
        assert {child, process.pid} <= children()
        process.communicate(b"")
    assert child in children()
    assert process.pid not in children()


def test_a_process_that_is_gone() -> None:
    with subprocess.Popen([sys.executable, "-c", ""]) as process:
        pass
    with pytest.raises(OSError, match="Errno"):
        cpu_seconds(process.pid)
    with pytest.raises(OSError, match="Errno"):
        resident_bytes(process.pid)


@pytest.mark.skipif(cores() < 2, reason="there is one core")
def test_a_process_is_kept_on_one_core(child: int) -> None:
    pin(child, 0)
    first = os.sched_getaffinity(child)
    pin(child, 1)
    assert len(first) == 1
    assert os.sched_getaffinity(child) != first


def test_the_machine_is_described() -> None:
    assert {"system", "python", "cores", "pinned", "load_average"} <= description().keys()


def test_a_family_is_a_process_and_what_it_started(child: int) -> None:
    mine = cpu_seconds(os.getpid())
    assert child in children_of(os.getpid())
    assert family_cpu_seconds(os.getpid()) > mine
    assert family_own_bytes(os.getpid()) > 50_000_000


def test_cpu_time_of_a_family_holds_that_of_the_dead() -> None:
    code = "import time\nwhile time.process_time() < 0.2: pass"
    before = family_cpu_seconds(os.getpid()) - cpu_seconds(os.getpid())
    subprocess.run([sys.executable, "-c", code], check=True)
    assert family_cpu_seconds(os.getpid()) - cpu_seconds(os.getpid()) - before > 0.15


def test_a_family_has_one_core_or_all_that_there_were(child: int) -> None:
    before = os.sched_getaffinity(child)
    pin_family(child, 0)
    assert os.sched_getaffinity(child) == {min(before)}
    pin_family(child, None)
    assert os.sched_getaffinity(child) == before


def test_the_last_core_stands_for_those_that_are_missing(child: int) -> None:
    last = max(os.sched_getaffinity(child))
    pin_family(child, 10_000)
    assert os.sched_getaffinity(child) == {last}
