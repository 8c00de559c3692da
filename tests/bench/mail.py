"""The mail side of a world: a domain with its records, signed mails of several kinds, Postfix as the peer."""

from __future__ import annotations

import base64
import random
import socket
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Final

from adapters.email.dkim.keys import DkimKey, new_keys
from adapters.email.dkim.signing import Signer
from gateway.bridge.jobs import outbound_lane
from gateway.ens.escapes import EMAIL, bridged_name, canonical_email
from gateway.ids import EnsName, LaneKey
from tests.bench.load import write_requests
from tests.bench.machine import SERVER_CORE, children_of, pin
from tests.bench.world import HOST, PARENT
from tests.support.mail import postfix
from tests.support.waiting import until

DOMAIN: Final = "gw.example"
AUTHORS: Final = "sender.example"
"""Domain from which mail comes; SPF, DKIM and DMARC of it hold."""
NEAR: Final = "192.0.2.0/24"
"""The operator's own networks: not the loopback, because SPF of those is not asked."""
DATE: Final = "Thu, 01 Jan 2026 12:00:00 +0000"
SETTLED_SECONDS: Final = 60.0
SERVICES: Final = "discard unix - - n - - discard\n"


class Postfix(postfix.Postfix):
    """A queue as it comes with the package, for a domain whose mail it queues, and then drops.

    What the tests make quicker or slower is set back. `in_flow_delay` would hold up mail that comes too fast.
    """

    address = HOST

    def __init__(self) -> None:
        self.port = free_port(self.address)
        super().__init__(
            {
                "virtual_mailbox_domains": "",
                "virtual_alias_maps": "",
                "relay_domains": DOMAIN,
                "relay_transport": "discard:",
                "message_size_limit": "50000000",
                "mailbox_size_limit": "0",
                "in_flow_delay": "0",
                "minimal_backoff_time": "300s",
                "maximal_backoff_time": "4000s",
                "queue_run_delay": "300s",
                "smtpd_recipient_restrictions": "permit_mynetworks, reject_unauth_destination",
            }
        )

    def configure(self) -> None:
        super().configure()
        listening = postfix.SERVICES.replace("smtp inet", f"{self.address}:{self.port} inet", 1)
        (self.folder / "conf/master.cf").write_text(listening + SERVICES)

    @property
    def pid(self) -> int:
        """Of the process that starts all others."""
        return int((self.folder / "queue/pid/master.pid").read_text())

    async def start(self) -> None:
        await super().start()
        for pid in (self.pid, *children_of(self.pid)):
            pin(pid, SERVER_CORE)

    async def settled(self) -> None:
        """Return when its queue is empty."""
        queues = [self.folder / "queue" / name for name in ("incoming", "active")]

        async def empty() -> bool | None:
            return not any(any(queue.iterdir()) for queue in queues) or None

        await until(empty, SETTLED_SECONDS)


def free_port(host: str) -> int:
    """A port that was free a moment ago."""
    with socket.socket() as reserved:
        reserved.bind((host, 0))
        return int(reserved.getsockname()[1])


def adapter_table(port: int, dns_server: str) -> dict[str, Any]:
    """The table ``[adapters.email]``."""
    return {
        "domain": DOMAIN,
        "hostname": f"mx.{DOMAIN}",
        "smtp_host": HOST,
        "smtp_port": port,
        "dns_servers": [dns_server],
        "allowed_networks": [NEAR],
        "max_connections_per_address": 100,
    }


def lanes(authors: Sequence[str], names: Iterable[EnsName]) -> list[LaneKey]:
    """In which mails wait."""
    senders = [bridged_name(EMAIL, canonical_email(author), PARENT) for author in authors]
    return [outbound_lane(sender, name) for name in names for sender in senders]


@dataclass(frozen=True, slots=True)
class Kind:
    """Mails that differ in their head alone."""

    headers: str
    """Lines without the last line end; ``Subject`` and what stands in every mail is not among them."""
    body: bytes = field(repr=False)
    subject: str = "The figures of this week"


class Post:
    """Writes mails of people of `AUTHORS` to names."""

    def __init__(self, people: int, names: Sequence[EnsName]) -> None:
        """Takes a tenth of a second, for the key."""
        self.authors = [f"person{index}@{AUTHORS}" for index in range(people)]
        self._names = names
        self._key: DkimKey = next(key for key in new_keys("bench") if key.algorithm == "rsa-sha256")
        self._signer = Signer(AUTHORS, (self._key,))

    @property
    def records(self) -> dict[str, list[str]]:
        """What the DNS says of the domain, as `Zone` wants it."""
        text = self._key.record()
        strings = " ".join(f'"{text[at : at + 250]}"' for at in range(0, len(text), 250))
        return {
            f"{AUTHORS} TXT": [f'"v=spf1 ip4:{HOST} -all"'],
            f"{self._key.record_name(AUTHORS)} TXT": [strings],
            f"_dmarc.{AUTHORS} TXT": ['"v=DMARC1; p=reject"'],
        }

    def write(self, kinds: Sequence[Kind], number: int, folder: Path, label: str) -> tuple[Path, Path]:
        """Files for `smtp_load`: mails of these kinds in turn, all of one kind with one rest, of several with none."""
        rest = b".\r\n" if len(kinds) > 1 else _stuffed(kinds[0].body) + b".\r\n"
        entries: list[bytes] = []
        for index in range(number):
            kind = kinds[index % len(kinds)]
            # Everybody writes to everybody.
            author = self.authors[index % len(self.authors)]
            to = f"{self._names[index // len(self.authors) % len(self._names)]}@{DOMAIN}"
            head = _head(kind, author, to, f"{label}.{index}@{AUTHORS}")
            signature = self._signer.sign(head + kind.body).removesuffix(head + kind.body)
            entries.append(f"MAIL FROM:<{author}>\r\nRCPT TO:<{to}>\r\nDATA\r\n".encode())
            entries.append(signature + head + (_stuffed(kind.body) if len(kinds) > 1 else b""))
        letters, end = folder / f"{label}.letters", folder / f"{label}.rest"
        write_requests(entries, letters)
        end.write_bytes(rest)
        return letters, end


def _head(kind: Kind, author: str, to: str, message_id: str) -> bytes:
    lines = (
        f"From: {author.partition('@')[0].title()} <{author}>",
        f"To: <{to}>",
        f"Subject: {kind.subject}",
        f"Date: {DATE}",
        f"Message-ID: <{message_id}>",
        kind.headers,
    )
    return "\r\n".join((*lines, "\r\n")).encode()


def _stuffed(body: bytes) -> bytes:
    """With its dots doubled (RFC 5321, section 4.5.2)."""
    return (b"." if body.startswith(b".") else b"") + body.replace(b"\r\n.", b"\r\n..")


PLAIN: Final = "MIME-Version: 1.0\r\nContent-Type: text/plain; charset=utf-8\r\nContent-Transfer-Encoding: 8bit"


def text_mail() -> Kind:
    """Of 2 KB with its signature: plain text."""
    return Kind(PLAIN, _prose(1_000))


def formatted_mail() -> Kind:
    """Of 2 KB: text and the same as HTML."""
    said = _prose(300)
    parts = (("text/plain; charset=utf-8", said), ("text/html; charset=utf-8", b"<div>" + said + b"</div>\r\n"))
    return _multipart("alternative", parts)


def large_mail(size: int) -> Kind:
    """Of `size` bytes: a few words and a file."""
    noise = random.Random(size).randbytes(size * 57 // 78)
    file = base64.encodebytes(noise).replace(b"\n", b"\r\n")
    name = "application/pdf; name=figures.pdf\r\nContent-Transfer-Encoding: base64\r\nContent-Disposition: attachment"
    return _multipart("mixed", (("text/plain", _prose(300)), (name, file)))


def _multipart(subtype: str, parts: Iterable[tuple[str, bytes]]) -> Kind:
    pieces = [b"--=_b\r\nContent-Type: %s\r\n\r\n%s\r\n" % (kind.encode(), body) for kind, body in parts]
    return Kind(
        f'MIME-Version: 1.0\r\nContent-Type: multipart/{subtype}; boundary="=_b"', b"".join([*pieces, b"--=_b--\r\n"])
    )


def _prose(size: int) -> bytes:
    line = b"Nothing was lost this week, and whoever asked for an answer has one by now.\r\n"
    return line * (size // len(line))


def bombs() -> tuple[Kind, ...]:
    """Mails that are as expensive as the bounds let them be; some are refused."""
    nested = b"".join(b"--b%d\r\nContent-Type: multipart/mixed; boundary=b%d\r\n\r\n" % (n, n + 1) for n in range(48))
    mixed = "MIME-Version: 1.0\r\nContent-Type: multipart/mixed; boundary=b0"
    page = "MIME-Version: 1.0\r\nContent-Type: text/html"
    return (
        Kind("\r\n".join(f"X-Field-{number}: {'y' * 40}" for number in range(950)), b"x\r\n"),
        Kind("\r\n".join(["X-Long: " + "z" * 900, *(" " + "z" * 900 for _ in range(65))]), b"x\r\n"),
        Kind("References: " + "\r\n ".join(f"<{number}@a>" for number in range(5_000)), b"x\r\n"),
        Kind(PLAIN, b"x\r\n", subject="\r\n ".join(["=?utf-8?q?=C3=A4=C3=A4=C3=A4?="] * 1_900)),
        Kind("Content-Type: text/plain; " + "; ".join(f"a*{number}*=%41" for number in range(95)), b"x\r\n"),
        Kind(mixed, b"--b0\r\nContent-Type: text/plain\r\n\r\nx\r\n" * 990 + b"--b0--\r\n"),
        Kind(mixed, nested + b"--b48\r\n\r\nx\r\n"),
        Kind(mixed, b"--b0 no\r\n" * 19_000 + b"--b0\r\n\r\nx\r\n--b0--\r\n"),
        Kind(mixed, b"--b0\r\n\r\nx\r\n" * 100_000),
        Kind(PLAIN, b"\r\n" * 2_000_000),
        Kind(PLAIN, b" \t" * 4_000 + b"\r\n" + b"a \r\n" * 1_000_000),
        Kind(PLAIN, b"> > > > > > On Monday somebody wrote:\r\n" * 50_000),
        Kind(page, b"<div>" * 3_000 + b"x\r\n" + (b"<p>a</p>" * 1_000 + b"\r\n") * 100),
        Kind(page, (b"<table><tr><td>" * 200 + b"\r\n") * 50),
        Kind(f"{PLAIN.replace('8bit', 'quoted-printable')}", (b"=41" * 250 + b"=\r\n") * 5_000),
    )
