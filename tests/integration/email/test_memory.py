"""Memory that a large mail takes, of the gateway and of the worker that reads it, measured in a process of its own."""

from __future__ import annotations

import asyncio
import json
import os
import re
import sys
from pathlib import Path

import pytest

from adapters.email.adapter import EmailAdapter
from adapters.email.kept_files import PIECES_KIND
from adapters.email.settings import EmailSettings
from gateway.sdk import EnsName, Value
from gateway.sdk.testing import MemoryContext
from gateway.sdk.testing.context import MemoryValues
from tests.integration.email.talk import letter, talk_to

SIZE = 25_000_000
LINE = b"QUJD" * 19 + b"\r\n"
FACTOR = 1.5


class Elsewhere(MemoryValues):
    """Values whose large ones are kept by somebody else, as a database is."""

    async def put(self, *values: Value) -> None:
        await super().put(*(each for each in values if each.kind != PIECES_KIND))


def resident(pid: int, field: str) -> int:
    """VmRSS (now) or VmHWM (at most, since `forget_peak`) in bytes."""
    found = re.search(rf"{field}:\s+(\d+) kB", Path(f"/proc/{pid}/status").read_text())
    assert found is not None
    return int(found[1]) * 1024


def forget_peak(pid: int) -> int:
    """Begin a measurement; what is resident now."""
    Path(f"/proc/{pid}/clear_refs").write_text("5")
    return resident(pid, "VmRSS")


async def measured() -> dict[str, float]:
    """How much more than before both processes had at most, in mails."""
    adapter = EmailAdapter(
        EmailSettings(domain="gw.example", smtp_host="127.0.0.1", smtp_port=0, allowed_senders=("example.net",))
    )
    ctx = MemoryContext(network=adapter.name, known_names={EnsName("alice.eth")}, values=Elsewhere())
    await adapter.open(ctx)
    assert adapter.mx_port is not None
    idle_workers = len(adapter.workers)
    async with talk_to(adapter.mx_port) as talk:
        await talk.reply()
        await talk.say("EHLO client")
        # What is loaded and kept from now on is no matter of the size of a mail.
        html = letter("<p>hello</p>", "Content-Type: text/html")
        assert (await talk.mail(html)).startswith("250")
        (worker,) = adapter.workers
        before = [forget_peak(pid) for pid in (os.getpid(), worker)]
        await talk.begin()
        head = letter("", "Content-Type: multipart/mixed; boundary=b")
        await talk.send(head + b"\r\n--b\r\n\r\nlook\r\n--b\r\nContent-Type: application/pdf; name=a.pdf\r\n")
        await talk.send(b"Content-Transfer-Encoding: base64\r\n\r\n")
        for _ in range(SIZE // (len(LINE) * 500)):
            await talk.send(LINE * 500)
        await talk.send(b"--b--\r\n.\r\n")
        reply = await talk.reply()
        peaks = [resident(pid, "VmHWM") for pid in (os.getpid(), worker)]
    await adapter.close()
    assert reply.startswith("250"), reply
    assert ctx.taken[-1].attachments[0].data.startswith("http")
    gateway, reader = (peak - start for peak, start in zip(peaks, before, strict=True))
    return {"gateway": gateway / SIZE, "worker": reader / SIZE, "idle_workers": idle_workers}


@pytest.mark.skipif(sys.platform != "linux", reason="reads /proc")
async def test_a_large_mail_takes_less_than_one_and_a_half_of_its_size(capsys: pytest.CaptureFixture[str]) -> None:
    process = await asyncio.create_subprocess_exec(
        sys.executable, "-m", "tests.integration.email.test_memory", stdout=asyncio.subprocess.PIPE
    )
    output, _ = await process.communicate()
    assert process.returncode == 0
    figures = json.loads(output.splitlines()[-1])
    with capsys.disabled():
        print(f"\nmemory of a 25 MB mail, in mails: {figures}")
    assert figures["idle_workers"] == 0
    assert figures["gateway"] + figures["worker"] < FACTOR


if __name__ == "__main__":
    print(json.dumps(asyncio.run(measured())))
