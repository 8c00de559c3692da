"""Encryption around the machines: what it takes to switch it on, what is kept of a transaction, who signs."""

from __future__ import annotations

import json
import sys
from pathlib import Path
from typing import Any

import pytest
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PublicKey
from unpaddedbase64 import decode_base64

from adapters.matrix.adapter import MatrixAdapter
from adapters.matrix.crypto.files import locked, unlocked
from adapters.matrix.crypto.pushed import devices_event
from adapters.matrix.crypto.signing import Identity
from adapters.matrix.errors import Unfit
from adapters.matrix.ids import Mxid
from adapters.matrix.settings import MatrixSettings
from gateway.sdk import ConfigError
from gateway.sdk.testing import MemoryContext


def adapter(folder: Path, **more: Any) -> MatrixAdapter:
    for name in ("as", "hs"):
        (folder / name).write_text(name * 20)
    return MatrixAdapter(
        MatrixSettings(
            homeserver_url="http://127.0.0.1:9",
            server_name="hs",
            as_token_file=folder / "as",
            hs_token_file=folder / "hs",
            encryption=True,
            **more,
        )
    )


def context() -> MemoryContext:
    return MemoryContext(network=MatrixAdapter.name)


@pytest.mark.parametrize("module", ["vodozemac", "peewee"])
async def test_without_the_extra_the_error_says_what_to_install(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, module: str
) -> None:
    monkeypatch.setitem(sys.modules, module, None)
    opened = adapter(tmp_path, crypto_store=tmp_path / "keys")
    with pytest.raises(ConfigError, match=r"pip install 'dm3-gateway\[matrix-e2ee\]'"):
        await opened.open(context())
    await opened.close()
    assert not (tmp_path / "keys").exists()


async def test_the_folder_is_for_nobody_else(tmp_path: Path) -> None:
    folder = tmp_path / "keys"
    bare = adapter(tmp_path)
    with pytest.raises(ConfigError, match="needs crypto_store"):
        await bare.open(context())
    await bare.close()
    first, second = adapter(tmp_path, crypto_store=folder), adapter(tmp_path, crypto_store=folder)
    await first.open(context())
    assert folder.stat().st_mode & 0o777 == 0o700
    with pytest.raises(ConfigError, match="another process uses it"):
        await second.open(context())
    await second.close()
    await first.close()
    await second.open(context())
    await second.close()
    (folder / "lock").write_text("0" * 16)
    with pytest.raises(ConfigError, match="another installation"):
        await second.open(context())
    await second.close()


def kept(**body: Any) -> Any:
    event = devices_event(json.dumps({"events": [], **body}).encode())
    return None if event is None else (event.lane, bool(event.key), json.loads(event.payload))


def test_a_transaction_is_kept_for_devices_only_when_it_says_something() -> None:
    message = {"type": "m.room.encrypted", "to_user_id": "@u:hs", "to_device_id": "D", "content": {}}
    enough = {"@u:hs": {"D": {"signed_curve25519": 50}}}
    few = {"@u:hs": {"D": {"signed_curve25519": 24}, "E": {"signed_curve25519": 25}, "F": 1}, "@v:hs": []}
    counts, lists = "org.matrix.msc3202.device_one_time_keys_count", "org.matrix.msc3202.device_lists"
    assert kept() is None
    assert kept(**{"de.sorunome.msc2409.to_device": [], counts: enough, lists: {"changed": [], "left": []}}) is None
    assert kept(**{"de.sorunome.msc2409.to_device": [message]}) == ("devices", True, {"to_device": [message]})
    assert kept(to_device=[message]) == ("devices", True, {"to_device": [message]})
    low = {"counts": {"@u:hs": {"D": {"signed_curve25519": 24}}}}
    assert kept(**{counts: few}) == ("devices", False, low)
    changed = {"changed": ["@a:hs"], "left": []}
    assert kept(**{lists: changed}) == kept(device_lists=changed) == ("devices", False, {"lists": changed})


@pytest.mark.parametrize("body", [b"", b"[]", b"{", b'{"to_device": 3, "device_lists": [], "events": 1}', b"\xff"])
def test_a_transaction_that_cannot_be_read_holds_nothing_for_devices(body: bytes) -> None:
    assert devices_event(body) is None


def test_an_identity_is_always_the_same_and_signs() -> None:
    user = Mxid("@u:hs")
    identity = Identity(user, b"s" * 32)
    keys = identity.keys()
    assert keys == Identity(user, b"s" * 32).keys()
    assert keys != Identity(user, b"t" * 32).keys()
    assert keys["master_key"]["keys"] != Identity(Mxid("@v:hs"), b"s" * 32).keys()["master_key"]["keys"]
    device = {"user_id": user, "device_id": "D", "keys": {"ed25519:D": "é"}, "signatures": {user: {"ed25519:D": "x"}}}
    signed = identity.signed_device("D", device)[user]["D"]
    for thing, signer in ((keys["self_signing_key"], "master_key"), (signed, "self_signing_key")):
        ((name, public),) = keys[signer]["keys"].items()
        bare = {key: value for key, value in thing.items() if key != "signatures"}
        text = json.dumps(bare, ensure_ascii=False, separators=(",", ":"), sort_keys=True).encode()
        signature = decode_base64(thing["signatures"][user][name])
        Ed25519PublicKey.from_public_bytes(decode_base64(public)).verify(signature, text)


def test_files_are_locked_and_unlocked_and_no_other_file_is_taken() -> None:
    data, keys = locked(b"a picture")
    assert b"picture" not in data
    assert unlocked(data, keys) == b"a picture"
    for broken in ({}, {**keys, "key": {"k": "?"}}, {**keys, "iv": ""}, {**keys, "hashes": {"sha256": 4}}):
        with pytest.raises(Unfit):
            unlocked(data, broken)
    with pytest.raises(Unfit):
        unlocked(data + b"x", keys)
