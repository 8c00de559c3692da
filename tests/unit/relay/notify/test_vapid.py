"""The VAPID key: read from its one form, never shown, and signing what RFC 8292 says."""

from __future__ import annotations

import base64
import json
from pathlib import Path
from typing import Any

import pytest
from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives.asymmetric.ec import ECDSA, SECP256R1, EllipticCurvePublicKey
from cryptography.hazmat.primitives.asymmetric.utils import encode_dss_signature
from cryptography.hazmat.primitives.hashes import SHA256

from gateway.errors import ConfigError, InvalidInput
from gateway.operations.installation import P256_ORDER, create_vapid_key
from gateway.relay.notify.subscription import to_base64url
from gateway.relay.notify.vapid import VapidKey, default_subject, load_vapid_key
from gateway.settings import NotificationSettings

# RFC 8291, section 5: the key pair of the application server there.
SECRET = "yfWPiYE-n46HLnH0KqZOF1fJJU3MYrct3AELtAQ-oRw"
PUBLIC = "BP4z9KsN6nGRTbVYI_c7VJSPQTBtkgcy27mlmlMoZIIgDll6e3vCYLocInmYWAmS6TlzAC8wEqKK6PBru3jl7A8"


def write(path: Path, content: bytes, mode: int = 0o600) -> Path:
    path.write_bytes(content)
    path.chmod(mode)
    return path


def raw(text: str) -> bytes:
    return base64.urlsafe_b64decode(text + "=" * (-len(text) % 4))


def test_a_known_pair(tmp_path: Path) -> None:
    key = load_vapid_key(write(tmp_path / "vapid.key", SECRET.encode() + b"\n"))
    assert key.public == PUBLIC
    assert SECRET not in repr(key)


def test_the_key_that_init_writes(tmp_path: Path) -> None:
    create_vapid_key(tmp_path / "a.key")
    create_vapid_key(tmp_path / "b.key")
    assert (tmp_path / "a.key").stat().st_mode & 0o777 == 0o600
    first, second = load_vapid_key(tmp_path / "a.key"), load_vapid_key(tmp_path / "b.key")
    assert first.public != second.public
    assert len(raw(first.public)) == 65


@pytest.mark.parametrize("scalar", [1, P256_ORDER - 1])
def test_the_range_of_keys_that_init_draws_from_is_right(scalar: int) -> None:
    assert len(raw(VapidKey(scalar.to_bytes(32, "big")).public)) == 65


@pytest.mark.parametrize("scalar", [0, P256_ORDER, 2**256 - 1])
def test_what_is_no_private_key(scalar: int) -> None:
    with pytest.raises(InvalidInput):
        VapidKey(scalar.to_bytes(32, "big"))


@pytest.mark.parametrize(
    "content",
    [b"", b"\xff\xff", b"x" * 43, b"A" * 43, SECRET[:-1].encode(), SECRET.encode() * 2, b"-----BEGIN PRIVATE KEY-----"],
    ids=repr,
)
def test_a_damaged_file_is_told_without_its_content(tmp_path: Path, content: bytes) -> None:
    path = write(tmp_path / "vapid.key", content)
    with pytest.raises(ConfigError, match=r"vapid\.key: must hold one line") as caught:
        load_vapid_key(path)
    assert SECRET[:8] not in caught.value.detail


@pytest.mark.parametrize("mode", [0o640, 0o604, 0o666])
def test_a_file_that_others_can_read_is_refused(tmp_path: Path, mode: int) -> None:
    with pytest.raises(ConfigError, match="chmod 600"):
        load_vapid_key(write(tmp_path / "vapid.key", SECRET.encode(), mode))


def test_a_missing_file_is_told(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match="cannot be read"):
        load_vapid_key(tmp_path / "none.key")


def test_the_header_is_signed_for_one_push_service(tmp_path: Path) -> None:
    header = VapidKey(raw(SECRET)).authorization("https://push.example", "mailto:op@gw.example", 1_800_000_000)
    scheme, _, rest = header.partition(" ")
    parts: dict[str, Any] = dict(part.split("=", 1) for part in rest.split(","))
    assert (scheme, parts["k"]) == ("vapid", PUBLIC)
    head, claims, signature = parts["t"].split(".")
    assert json.loads(raw(head)) == {"typ": "JWT", "alg": "ES256"}
    assert json.loads(raw(claims)) == {
        "aud": "https://push.example",
        "exp": 1_800_000_000,
        "sub": "mailto:op@gw.example",
    }
    both = raw(signature)
    der = encode_dss_signature(int.from_bytes(both[:32], "big"), int.from_bytes(both[32:], "big"))
    public = EllipticCurvePublicKey.from_encoded_point(SECP256R1(), raw(PUBLIC))
    public.verify(der, f"{head}.{claims}".encode(), ECDSA(SHA256()))
    with pytest.raises(InvalidSignature):
        public.verify(der, f"{head}.{to_base64url(b'{}')}".encode(), ECDSA(SHA256()))


@pytest.mark.parametrize(
    ("public_url", "subject"),
    [
        ("https://gw.example", "https://gw.example"),
        ("https://gw.example:8443/path", "https://gw.example"),
        ("http://127.0.0.1:8080", "mailto:postmaster@127.0.0.1"),
        ("http://localhost:8080", "mailto:postmaster@localhost"),
    ],
)
def test_a_subject_for_an_operator_who_named_none(public_url: str, subject: str) -> None:
    assert default_subject(public_url) == subject
    assert VapidKey(raw(SECRET)).authorization("https://push.example", subject, 1_800_000_000)


@pytest.mark.parametrize("subject", ["mailto:op@gw.example", "mailto:a.b+c@x.y.z", "https://gw.example"])
def test_every_subject_that_the_settings_take_can_be_signed(subject: str) -> None:
    settings = NotificationSettings(vapid_subject=subject)
    assert settings.vapid_subject is not None
    assert VapidKey(raw(SECRET)).authorization("https://push.example", settings.vapid_subject, 1_800_000_000)


@pytest.mark.parametrize(
    "subject", ["", "op@gw.example", "mailto:", "mailto:op", "http://gw.example", "https://", "mailto:a@b.c\n", "x:y"]
)
def test_other_subjects_stop_the_start(subject: str) -> None:
    with pytest.raises(ValueError, match="vapid_subject"):
        NotificationSettings(vapid_subject=subject)
