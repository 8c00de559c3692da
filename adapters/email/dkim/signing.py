"""Signing of our own mail by DKIM (RFC 6376), with RSA (RFC 8301) and Ed25519 (RFC 8463) side by side. Pure.

Large receivers still know RSA alone, so a mail has one signature for each key.
"""

from __future__ import annotations

import base64
from collections import Counter
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from typing import Final

from adapters.email.dkim.canonical import Form, body_hash, signed_header
from adapters.email.dkim.fields import Field, select, split_fields, split_mail
from adapters.email.dkim.keys import DkimKey

SIGNED: Final = (
    "From",
    "Reply-To",
    "Sender",
    "To",
    "Cc",
    "Subject",
    "Date",
    "Message-ID",
    "In-Reply-To",
    "References",
    "MIME-Version",
    "Content-Type",
    "Content-Transfer-Encoding",
    "Auto-Submitted",
    "List-Unsubscribe",
    "List-Unsubscribe-Post",
)
"""Each is named once more than it stands in the mail, so that none can be added on the way (section 8.15)."""
_WIDTH: Final = 72


@dataclass(frozen=True, slots=True)
class Signer:
    """Signs for one domain with all of its keys; without keys mail stays as it is."""

    domain: str
    keys: tuple[DkimKey, ...] = ()

    def sign(self, mail: bytes) -> bytes:
        """The mail with its signatures in front; the same for the same mail, so that each try sends the same bytes.

        `mail` has CR LF lines. Hashes all of it: call it in a thread. No ``t=`` is written: it would differ from try
        to try, and receivers do nothing with it.
        """
        if not self.keys:
            return mail
        head, body = split_mail(mail)
        fields = split_fields(head)
        names = tuple(_signed_names(fields))
        digest, _ = body_hash(body, Form.RELAXED)
        # A later signature does not cover an earlier one: each must hold when the other is not understood.
        return b"".join([*(self._signature(key, fields, names, digest) for key in self.keys), mail])

    def _signature(self, key: DkimKey, fields: tuple[Field, ...], names: tuple[str, ...], digest: bytes) -> bytes:
        unsigned = "\r\n\t".join(
            (
                f"DKIM-Signature: v=1; a={key.algorithm}; c=relaxed/relaxed;",
                f"d={self.domain}; s={key.selector};",
                f"h={_folded(names, ':')};",
                f"bh={base64.b64encode(digest).decode()};",
                "b=",
            )
        ).encode()
        signature = key.sign(signed_header(select(fields, names), unsigned, Form.RELAXED))
        text = base64.b64encode(signature).decode()
        pieces = [text[start : start + _WIDTH] for start in range(0, len(text), _WIDTH)]
        return unsigned + "\r\n\t".join(pieces).encode() + b"\r\n"


def _signed_names(fields: Iterable[Field]) -> Iterator[str]:
    present = Counter(field.name for field in fields)
    for name in SIGNED:
        yield from (name,) * (present[name.lower()] + 1)


def _folded(names: Iterable[str], separator: str) -> str:
    """Names in lines that no server has to fold."""
    lines = [""]
    for name in names:
        if lines[-1] and len(lines[-1]) + len(name) > _WIDTH:
            lines.append("")
        lines[-1] += name + separator
    return "\r\n\t".join(lines).removesuffix(separator)
