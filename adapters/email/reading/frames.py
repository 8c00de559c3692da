"""What the gateway and its workers say to each other over a socket: frames of a kind and some bytes.

A request is one REQUEST frame, with the descriptor of the mail's file or followed by a CONTENT frame. The answer is
REFUSED, FAULT, or MAIL and for each file FILE, any number of BLOCKs and END; then DONE. Values are JSON and nothing
else: a worker that was taken over can lie about a mail, and no more.
"""

from __future__ import annotations

import json
import struct
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from enum import IntEnum
from typing import Any, Final

from adapters.email.parse import ParsedMail
from adapters.email.replies import Reply
from gateway.sdk import CanonicalId, NativeId

HEAD: Final = struct.Struct("!BI")
MAX_FRAME: Final = 16_000_000
"""Bytes of one frame; the largest is MAIL, with a text of a million bytes in whatever way JSON writes it."""


@dataclass(frozen=True, slots=True)
class Limits:
    """What a worker may use for one mail."""

    cpu_seconds: int = 10
    """The slowest mail that we know takes two."""
    memory: int = 300_000_000
    """Bytes that it may map besides what it has and besides the mail itself."""


class Kind(IntEnum):
    """What a frame holds."""

    REQUEST = 1
    CONTENT = 2
    MAIL = 3
    FILE = 4
    BLOCK = 5
    END = 6
    DONE = 7
    REFUSED = 8
    FAULT = 9


def frame(kind: Kind, content: bytes = b"") -> bytes:
    """One frame as it goes over the socket."""
    return HEAD.pack(kind, len(content)) + content


def to_json(value: Mapping[str, Any]) -> bytes:
    """A JSON object in ASCII: lone surrogates, which names of files may hold, pass too."""
    return json.dumps(value).encode("ascii")


def mail_to_json(mail: ParsedMail) -> bytes:
    """A MAIL frame's content."""
    return to_json(asdict(mail))


def mail_from_json(content: bytes) -> ParsedMail:
    """What `mail_to_json` wrote."""
    value = json.loads(content)
    return ParsedMail(
        **value
        | {
            "sender": CanonicalId(value["sender"]),
            "native_id": NativeId(value["native_id"]),
            "answers": tuple(map(NativeId, value["answers"])),
            "references": tuple(map(NativeId, value["references"])),
        }
    )


def reply_from_json(content: bytes) -> Reply:
    """A REFUSED frame's content."""
    return Reply(**json.loads(content))
