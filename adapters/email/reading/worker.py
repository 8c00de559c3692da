"""The process in which mails are read: ``python -m adapters.email.reading.worker DESCRIPTOR`` of a socket.

It has the rights of the gateway's user, no secret, and ends when the socket is closed. The limits that it sets for
itself are the kernel's: nothing that a mail does to Python can put them off.
"""

from __future__ import annotations

import contextlib
import json
import math
import mmap
import os
import resource
import signal
import socket
import sys
import traceback
from collections.abc import Iterator
from dataclasses import asdict
from pathlib import Path
from typing import Any, Final

from adapters.email import html, replies
from adapters.email.mime import Content
from adapters.email.parse import parse_mail
from adapters.email.reading.frames import HEAD, MAX_FRAME, Kind, frame, mail_to_json, to_json
from adapters.email.replies import MailRefused

MAX_REQUEST: Final = 1_000_000
_PAGE: Final = resource.getpagesize()


def main(descriptor: int) -> None:
    """Answer requests until the other side closes."""
    for each in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
        # Whoever stops a service signals all its processes; ours ends with the gateway, and not in front of it.
        signal.signal(each, signal.SIG_IGN)
    resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
    html.load()
    with socket.socket(fileno=descriptor) as peer:
        while (request := _receive(peer)) is not None:
            with _content(peer, *request) as (values, content):
                _limit(values["cpu_seconds"], len(content) + values["memory"])
                _answer(peer, content, values)


def _limit(cpu_seconds: int, memory: int) -> None:
    used = resource.getrusage(resource.RUSAGE_SELF)
    cpu = math.ceil(used.ru_utime + used.ru_stime) + cpu_seconds
    resource.setrlimit(resource.RLIMIT_CPU, (cpu, resource.RLIM_INFINITY))
    mapped = _mapped()
    if mapped is not None:
        resource.setrlimit(resource.RLIMIT_AS, (mapped + memory, resource.RLIM_INFINITY))


def _mapped() -> int | None:
    """Bytes of address space in use; None where the system does not say (the limit is Linux's alone then)."""
    try:
        return int(Path("/proc/self/statm").read_text().split()[0]) * _PAGE
    except OSError:
        return None


def _answer(peer: socket.socket, content: Content, values: dict[str, Any]) -> None:
    try:
        parsed = parse_mail(content, domain=values["domain"], now_ms=values["now_ms"])
        peer.sendall(frame(Kind.MAIL, mail_to_json(parsed)))
    except MailRefused as refusal:
        peer.sendall(frame(Kind.REFUSED, to_json(asdict(refusal.reply))))
    except (MemoryError, RecursionError):
        # It will not fit the next time either.
        peer.sendall(frame(Kind.REFUSED, to_json(asdict(replies.BAD_STRUCTURE))))
    except OSError:
        raise
    except Exception as error:  # a fault of ours, told to whoever reads logs, without a word of the mail
        where = "".join(traceback.format_tb(error.__traceback__, -6))
        peer.sendall(frame(Kind.FAULT, f"{type(error).__name__}\n{where}"[:4_000].encode()))


def _receive(peer: socket.socket) -> tuple[dict[str, Any], int | None] | None:
    """The next request and the descriptor that came with it; None when the other side is gone."""
    head, descriptors, _, _ = socket.recv_fds(peer, HEAD.size, 1)
    if not head:
        return None
    head += _exactly(peer, HEAD.size - len(head))
    kind, size = HEAD.unpack(head)
    if kind != Kind.REQUEST or size > MAX_REQUEST:
        raise ValueError("no request")
    return json.loads(_exactly(peer, size)), (descriptors[0] if descriptors else None)


@contextlib.contextmanager
def _content(
    peer: socket.socket, values: dict[str, Any], descriptor: int | None
) -> Iterator[tuple[dict[str, Any], Content]]:
    """The mail: of its file nothing is copied, and the pages are the kernel's to take back."""
    if descriptor is None:
        kind, size = HEAD.unpack(_exactly(peer, HEAD.size))
        if kind != Kind.CONTENT or size > MAX_FRAME:
            raise ValueError("no content")
        yield values, _exactly(peer, size)
        return
    try:
        mapped = mmap.mmap(descriptor, 0, access=mmap.ACCESS_READ)
    finally:
        os.close(descriptor)
    with mapped:
        yield values, mapped


def _exactly(peer: socket.socket, size: int) -> bytes:
    received = bytearray()
    while len(received) < size:
        block = peer.recv(min(size - len(received), 1 << 20))
        if not block:
            raise ConnectionResetError("the gateway is gone")
        received += block
    return bytes(received)


if __name__ == "__main__":
    with contextlib.suppress(ConnectionError):
        main(int(sys.argv[1]))
