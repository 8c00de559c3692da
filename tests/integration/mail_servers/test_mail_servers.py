"""Postfix and Exim as peers: the tests of `inside` run in a network of their own, where ports 25 and 53 are free."""

from __future__ import annotations

import asyncio
import os
import re
import shutil
import sys
from pathlib import Path

import pytest

from tests.support.mail import exim, postfix
from tests.support.require import require

INSIDE = Path(__file__).with_name("inside")
ENTER = Path(postfix.__file__).with_name("enter.sh")
SECONDS = 280


@pytest.mark.timeout(SECONDS + 20)
async def test_mail_goes_both_ways_between_real_servers() -> None:
    """What ran inside is told, and none of it was left out."""
    require(os.geteuid() == 0 and shutil.which("unshare") and shutil.which("ip"), "a network of one's own needs root")
    require(postfix.find_postfix(), postfix.MISSING)
    require(exim.find_exim(), exim.MISSING)
    inner = (sys.executable, "-m", "pytest", "-q", "-p", "no:xdist", "-p", "no:cacheprovider", "-rA", str(INSIDE))
    process = await asyncio.create_subprocess_exec(
        *("unshare", "--net", "--mount", "--pid", "--fork", "--kill-child", "--mount-proc", "sh", str(ENTER), *inner),
        stdin=asyncio.subprocess.DEVNULL,
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.STDOUT,
        env={key: value for key, value in os.environ.items() if not key.startswith("PYTEST_")} | {"DM3_INSIDE": "mail"},
    )
    try:
        async with asyncio.timeout(SECONDS):
            output, _ = await process.communicate()
    finally:
        if process.returncode is None:
            process.kill()
    text = output.decode(errors="replace")
    assert process.returncode == 0, text
    last = text.strip().splitlines()[-1]
    print(last)
    assert re.fullmatch(r"[0-9]+ passed(, [0-9]+ subtests passed)? in .*", last), text
