"""A mail on its way in: small ones in memory, larger ones in an unnamed file."""

from __future__ import annotations

import asyncio
import mmap
import os
import tempfile
from collections.abc import Callable, Iterator
from typing import Final

from adapters.email.mime import BLOCK, body_blocks

IN_MEMORY: Final = 256 * 1024
"""Bytes of a mail that is kept in memory."""
WRITTEN_AT_ONCE: Final = 1024 * 1024
"""Bytes of a larger one that go to its file together: the way into a thread costs more than to write 64 KiB."""


class Spool:
    """Content of one mail; a context manager that leaves nothing behind."""

    def __init__(self) -> None:
        # Opens no file before IN_MEMORY is passed, hence no I/O on the event loop.
        self._file = tempfile.SpooledTemporaryFile(max_size=IN_MEMORY)  # noqa: SIM115 - __exit__ closes it
        self._size = 0
        self._held: list[bytes] = []
        self._held_size = 0
        self._closing: list[Callable[[], None]] = []
        self._closed = False

    def on_close(self, call: Callable[[], None]) -> None:
        """Called when nothing of it is kept any more."""
        self._closing.append(call)

    def __enter__(self) -> Spool:
        return self

    def __exit__(self, *_: object) -> None:
        self._closed = True
        self._file.close()
        while self._closing:
            self._closing.pop()()

    async def write(self, block: bytes) -> None:
        """Append, some of it later; raises OSError when the disk is full."""
        self._size += len(block)
        if self._size <= IN_MEMORY:
            self._file.write(block)
            return
        self._held.append(block)
        self._held_size += len(block)
        if self._held_size >= WRITTEN_AT_ONCE:
            await asyncio.to_thread(self._write_held)

    async def flush(self) -> None:
        """Write what is held back; raises OSError as `write` does."""
        if self._held:
            await asyncio.to_thread(self._write_held)

    def _write_held(self) -> None:
        held, self._held, self._held_size = self._held, [], 0
        try:
            self._file.writelines(held)
        finally:
            # Whoever was cancelled meanwhile has closed it, and this may have opened it anew to move it to the disk.
            if self._closed:
                self._file.close()

    @property
    def size(self) -> int:
        """Bytes so far."""
        return self._size

    @property
    def in_file(self) -> bool:
        """False while it is in memory, where nothing blocks."""
        return self._size > IN_MEMORY

    def descriptor(self) -> int | None:
        """Of the file that holds all of it; None while it is in memory. Blocks: call it in a thread."""
        if not self.in_file:
            return None
        if self._held:
            self._write_held()
        self._file.flush()
        return self._file.fileno()

    def content(self) -> bytes | mmap.mmap:
        """All of it; what is in a file is not copied. Blocks on a large mail: call it in a thread."""
        descriptor = self.descriptor()
        return self.read() if descriptor is None else mmap.mmap(descriptor, 0, access=mmap.ACCESS_READ)

    def blocks(self, start: int, end: int) -> Iterator[bytes]:
        """What stands between two places, in pieces of `BLOCK` bytes. Blocks on a large mail, as `content` does.

        Read and not mapped: what was mapped counts as memory of ours until the mail is gone.
        """
        descriptor = self.descriptor()
        if descriptor is None:
            yield from body_blocks(self.read(), start, end)
            return
        while start < end and (block := os.pread(descriptor, min(BLOCK, end - start), start)):
            yield block
            start += len(block)

    def read(self) -> bytes:
        """All of it. Blocks on a large mail: call it in a thread."""
        if self.in_file:
            return b"".join(self.blocks(0, self._size))
        self._file.seek(0)
        return self._file.read()
