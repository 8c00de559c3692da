"""Signatures of our own mail, checked by a reading of RFC 6376 that shares no code with the signer."""

from __future__ import annotations

import base64
import hashlib
import re
from email import policy
from email.message import EmailMessage

import pytest
from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PublicKey
from cryptography.hazmat.primitives.asymmetric.padding import PKCS1v15
from cryptography.hazmat.primitives.asymmetric.rsa import RSAPublicKey
from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.hazmat.primitives.serialization import load_der_public_key
from hypothesis import given, settings
from hypothesis import strategies as st

from adapters.email.dkim.keys import DkimKey, new_keys
from adapters.email.dkim.signing import SIGNED, Signer

KEYS = new_keys("dm3")
SIGNER = Signer("gw.example", KEYS)


def mail(text: str = "hello\nworld\n", **headers: str) -> bytes:
    message = EmailMessage(policy=policy.SMTP)
    message["From"] = "alice.eth <alice.eth@gw.example>"
    message["To"] = "bob@example.net"
    message["Subject"] = "Grüße   aus der Ferne"
    message["Message-ID"] = "<dm3.abc@gw.example>"
    for name, value in headers.items():
        message[name.replace("_", "-")] = value
    message.set_content(text)
    return message.as_bytes()


def relaxed_field(raw: bytes) -> bytes:
    name, _, value = raw.partition(b":")
    value = re.sub(rb"[ \t]+", b" ", value.replace(b"\r\n", b"")).strip(b" ")
    return name.lower().strip() + b":" + value


def relaxed_body(body: bytes) -> bytes:
    lines = [re.sub(rb"[ \t]+", b" ", line).rstrip(b" ") for line in body.split(b"\r\n")]
    while lines and not lines[-1]:
        lines.pop()
    return b"".join(line + b"\r\n" for line in lines)


def fields_of(head: bytes) -> list[bytes]:
    return re.split(rb"\r\n(?![ \t])", head)


def tags_of(signature: bytes) -> dict[str, str]:
    value = re.sub(r"\s+", "", signature.partition(b":")[2].decode())
    return dict(tag.split("=", 1) for tag in value.split(";"))


def verify(signed: bytes, keys: tuple[DkimKey, ...] = KEYS) -> list[str]:
    """Algorithms of the signatures that hold; each key is read from its DNS record."""
    head, _, body = signed.partition(b"\r\n\r\n")
    fields = fields_of(head)
    records = {key.selector: dict(part.strip().split("=", 1) for part in key.record().split(";")) for key in keys}
    good = []
    for signature in [each for each in fields if each.lower().startswith(b"dkim-signature:")]:
        tags = tags_of(signature)
        digest = base64.b64encode(hashlib.sha256(relaxed_body(body)).digest()).decode()
        if tags["bh"] != digest:
            continue
        left = list(fields)
        data = b""
        for name in tags["h"].split(":"):
            found = [each for each in left if each.partition(b":")[0].strip().lower() == name.lower().encode()]
            if found:
                left.reverse()
                left.remove(found[-1])
                left.reverse()
                data += relaxed_field(found[-1]) + b"\r\n"
        emptied = re.sub(rb"(;\s*b=)[^;]*$", rb"\1", signature)
        data += relaxed_field(emptied)
        public = base64.b64decode(records[tags["s"]]["p"])
        try:
            if tags["a"] == "ed25519-sha256":
                Ed25519PublicKey.from_public_bytes(public).verify(
                    base64.b64decode(tags["b"]), hashlib.sha256(data).digest()
                )
            else:
                rsa = load_der_public_key(public)
                assert isinstance(rsa, RSAPublicKey)
                assert rsa.key_size == 2048
                rsa.verify(base64.b64decode(tags["b"]), data, PKCS1v15(), SHA256())
        except InvalidSignature:
            continue
        good.append(tags["a"])
    return good


def test_both_signatures_hold() -> None:
    assert verify(SIGNER.sign(mail())) == ["ed25519-sha256", "rsa-sha256"]


def test_the_mail_itself_is_untouched() -> None:
    content = mail()
    assert SIGNER.sign(content).endswith(content)


def test_each_try_has_the_same_bytes() -> None:
    assert SIGNER.sign(mail()) == SIGNER.sign(mail())


def test_without_keys_nothing_is_signed() -> None:
    assert Signer("gw.example").sign(mail()) == mail()


def test_tags() -> None:
    first, second = (tags_of(each) for each in fields_of(SIGNER.sign(mail()).partition(b"\r\n\r\n")[0])[:2])
    assert {first["d"], second["d"]} == {"gw.example"}
    assert (first["s"], second["s"]) == ("dm3-ed25519", "dm3-rsa")
    assert first["c"] == second["c"] == "relaxed/relaxed"
    # Part of a body would let others add to it (RFC 6376, section 8.2).
    assert "l" not in first


def test_lines_are_short_enough_for_every_server() -> None:
    assert max(map(len, SIGNER.sign(mail()).split(b"\r\n"))) <= 78


@pytest.mark.parametrize("name", SIGNED)
def test_no_field_can_be_added_or_replaced(name: str) -> None:
    """Each signed name is signed once more than it occurs (oversigning)."""
    signed = SIGNER.sign(mail())
    assert verify(name.encode() + b": forged\r\n" + signed) == []


@pytest.mark.parametrize(
    ("old", "new"),
    [
        (b"alice.eth@gw.example", b"eve.eth@gw.example"),
        (b"bob@example.net", b"eve@example.net"),
        (b"hello", b"hellO"),
        (b"world\r\n", b"world\r\nand more\r\n"),
    ],
)
def test_changes_are_seen(old: bytes, new: bytes) -> None:
    assert verify(SIGNER.sign(mail()).replace(old, new, 1)) == []


def test_what_relays_do_to_white_space_is_allowed() -> None:
    signed = SIGNER.sign(mail("hello  world\n"))
    changed = signed.replace(b"hello  world", b"hello world \t").replace(b"To: bob", b"TO:  bob") + b"\r\n\r\n"
    assert verify(changed) == ["ed25519-sha256", "rsa-sha256"]


@given(st.text(max_size=300))
@settings(max_examples=50, deadline=None)
def test_any_text_is_signed(text: str) -> None:
    cleaned = text.encode("utf-8", "replace").decode().replace("\r", "").replace("\0", "")
    assert len(verify(SIGNER.sign(mail(cleaned)))) == 2


def test_large_mail() -> None:
    content = mail("a line of a large mail\n" * 200_000)
    assert len(verify(SIGNER.sign(content))) == 2
