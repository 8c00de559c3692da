"""A signer outside the process: a program that reaches a KMS, an HSM or a key on another machine."""

from __future__ import annotations

import asyncio
import os
import re
import signal
from collections.abc import Sequence
from contextlib import suppress
from typing import Any, Final

from gateway.dm3.eth import completed
from gateway.errors import BadSignature, Unavailable
from gateway.ids import EthAddress

TIMEOUT: Final = 5.0
"""Seconds for one signature, those of waiting for others included."""
AT_ONCE: Final = 8
MAX_OUTPUT: Final = 4096
"""Bytes of an answer; a signature has at most 72, in hex 146."""

_HEX: Final = re.compile(rb"(?:0[xX])?((?:[0-9a-fA-F]{2}){64,})")


class CommandSigner:
    """Runs a command for each signature: digest as 64 hex digits and a line feed on its stdin, signature on its stdout.

    The signature may be r || s (64 bytes), r || s || v (65 bytes, v is not looked at) or DER (SEC 1, C.8), as bytes or
    as hex. Whatever s it has, the canonical one is used, and the recovery byte is found here: devices know neither.
    What is not by ``address`` is never passed on.
    """

    def __init__(
        self, command: Sequence[str], address: EthAddress, *, timeout: float = TIMEOUT, at_once: int = AT_ONCE
    ) -> None:
        self.address = address
        self._command = tuple(command)
        self._timeout = timeout
        self._free = asyncio.Semaphore(at_once)

    async def sign(self, digest: bytes) -> bytes:
        """See Signer. Raises Unavailable when the command fails, is too slow, or signs with another key."""
        try:
            async with asyncio.timeout(self._timeout), self._free:
                answer = await self._run(digest.hex().encode() + b"\n")
        except TimeoutError:
            raise Unavailable(f"the signer command gave no signature within {self._timeout:g} s") from None
        except OSError as error:
            raise Unavailable(f"the signer command cannot be run: {type(error).__name__}") from None
        try:
            return completed(*parse_signature(answer), digest, self.address)
        except BadSignature as error:
            raise Unavailable(f"the signer command: {error.detail}") from None

    async def _run(self, given: bytes) -> bytes:
        loop = asyncio.get_running_loop()
        transport, exchange = await loop.subprocess_exec(
            lambda: _Exchange(loop),
            *self._command,
            stdin=asyncio.subprocess.PIPE,
            stdout=asyncio.subprocess.PIPE,
            # What it writes there is not ours to judge, and may hold what must not reach a log.
            stderr=asyncio.subprocess.DEVNULL,
            start_new_session=True,
        )
        group = transport.get_pid()
        try:
            # uvloop's transports are no subclasses of asyncio's.
            stdin: Any = transport.get_pipe_transport(0)
            stdin.write(given)
            stdin.close()
            answer = await exchange.ended
        except BaseException:
            # Its whole group: a shell's children would go on.
            with suppress(ProcessLookupError):
                os.killpg(group, signal.SIGKILL)
            raise
        finally:
            transport.close()
            await exchange.exited
        if (status := transport.get_returncode()) != 0:
            raise Unavailable(f"the signer command ended with {status}")
        return answer


class _Exchange(asyncio.SubprocessProtocol):
    """Collects what a command answers; ``ended`` is its answer once it has exited and its pipes are closed."""

    def __init__(self, loop: asyncio.AbstractEventLoop) -> None:
        self.ended: asyncio.Future[bytes] = loop.create_future()
        self.exited: asyncio.Future[None] = loop.create_future()
        self._answer = bytearray()

    def pipe_data_received(self, fd: int, data: bytes) -> None:
        self._answer += data
        if len(self._answer) > MAX_OUTPUT and not self.ended.done():
            self.ended.set_exception(Unavailable("the signer command wrote more than a signature"))

    def process_exited(self) -> None:
        if not self.exited.done():
            self.exited.set_result(None)

    def connection_lost(self, exc: Exception | None) -> None:
        """Called when the process has exited and all its pipes are closed."""
        if not self.ended.done():
            self.ended.set_result(bytes(self._answer))


def parse_signature(answer: bytes) -> tuple[int, int]:
    """r and s of a signature in one of the forms above. Raises BadSignature."""
    text = _HEX.fullmatch(answer.strip())
    data = bytes.fromhex(text[1].decode()) if text else answer
    if len(data) in (64, 65):
        return int.from_bytes(data[:32], "big"), int.from_bytes(data[32:64], "big")
    return _parse_der(data)


def _parse_der(data: bytes) -> tuple[int, int]:
    """SEQUENCE of two INTEGERs, each shorter than 128 bytes."""
    if len(data) < 2 or data[0] != 0x30 or data[1] != len(data) - 2:
        raise BadSignature("what was answered is no signature")
    numbers, position = [], 2
    for _ in range(2):
        head = data[position : position + 2]
        if len(head) != 2 or head[0] != 0x02:
            raise BadSignature("what was answered is no DER signature")
        end = position + 2 + head[1]
        if head[1] == 0 or end > len(data):
            raise BadSignature("what was answered is no DER signature")
        numbers.append(int.from_bytes(data[position + 2 : end], "big", signed=True))
        position = end
    if position != len(data):
        raise BadSignature("there are bytes behind the DER signature")
    return numbers[0], numbers[1]
