"""What the gateway and its workers say to each other over a socket: frames of a kind and some bytes.

A request is one REQUEST frame, with the descriptor of the mail's file or followed by a CONTENT frame. The answer is
one frame, too: MAIL, which says where in the mail its files are, REFUSED or FAULT. Values are JSON and nothing else:
a worker that was taken over can lie about a mail, and no more.
"""

from __future__ import annotations

import json
import struct
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from enum import IntEnum
from typing import Any, Final

from adapters.email.parse import Parsed, ParsedMail
from adapters.email.replies import Reply
from adapters.email.transfer import FilePart
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
    REFUSED = 4
    FAULT = 5


def frame(kind: Kind, content: bytes = b"") -> bytes:
    """One frame as it goes over the socket."""
    return HEAD.pack(kind, len(content)) + content


def to_json(value: Mapping[str, Any]) -> bytes:
    """A JSON object in ASCII: lone surrogates, which names of files may hold, pass too."""
    return json.dumps(value).encode("ascii")


def mail_to_json(parsed: Parsed) -> bytes:
    """A MAIL frame's content."""
    return to_json({"mail": asdict(parsed.mail), "files": [asdict(each) for each in parsed.files]})


def mail_from_json(content: bytes) -> Parsed:
    """What `mail_to_json` wrote."""
    value = json.loads(content)
    mail = value["mail"]
    parsed = ParsedMail(
        **mail
        | {
            "sender": CanonicalId(mail["sender"]),
            "native_id": NativeId(mail["native_id"]),
            "answers": tuple(map(NativeId, mail["answers"])),
            "references": tuple(map(NativeId, mail["references"])),
        }
    )
    return Parsed(parsed, tuple(FilePart(**each) for each in value["files"]))


def reply_from_json(content: bytes) -> Reply:
    """A REFUSED frame's content."""
    return Reply(**json.loads(content))
