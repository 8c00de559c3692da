"""Buffers of some MB that follow each other are made of the same memory."""

from __future__ import annotations

import platform
import subprocess
import sys

import pytest

from gateway.allocator import keep_freed_memory

pytestmark = pytest.mark.skipif(platform.libc_ver()[0] != "glibc", reason="only glibc has mallopt(3)")

BUFFERS = """
import resource, sys
from gateway.allocator import keep_freed_memory

if sys.argv[1] == "kept":
    assert keep_freed_memory({})
def faults():
    return resource.getrusage(resource.RUSAGE_SELF).ru_minflt
def message():
    parts = [b"x" * 1_000_000 for _ in range(5)]
    return b"".join(parts)
message()
before = faults()
for _ in range(20):
    message()
print(faults() - before)
"""


def faults_with(setting: str) -> int:
    """Pages that 20 messages got from the kernel, 4 buffers each."""
    done = subprocess.run([sys.executable, "-c", BUFFERS, setting], capture_output=True, text=True, check=True)
    return int(done.stdout)


def test_buffers_are_not_given_back_and_asked_for_again() -> None:
    assert faults_with("kept") < faults_with("as it is") / 4


@pytest.mark.parametrize("name", ["MALLOC_ARENA_MAX", "MALLOC_TRIM_THRESHOLD_", "GLIBC_TUNABLES"])
def test_settings_of_the_operator_stay(name: str) -> None:
    assert keep_freed_memory({name: "1"}) is False
