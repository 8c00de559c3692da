"""No interface, command or file hands out a key that the gateway keeps for somebody: nothing to wait for or to wrap."""

from __future__ import annotations

import asyncio
import base64
from collections.abc import AsyncIterator, Iterator
from pathlib import Path

import pytest

from gateway.custody.derive import link_code_key, webhook_sealing_key
from gateway.custody.keyring import Keyring
from gateway.custody.seed import load_seed
from gateway.dm3.eth import sign_text
from gateway.ids import EnsName
from gateway.lifecycle import now_ms
from gateway.store.identities import IdentityNamed
from gateway.subnames.api_keys import ApiKeys
from gateway.subnames.callers import EVERYTHING
from tests.integration.subnames.conftest import OPEN
from tests.integration.subnames.test_cli import command
from tests.integration.subnames.wallets import Wallet
from tests.support.adapters import PaperAdapter
from tests.support.house import House, running_house
from tests.support.routes import AnyValue, operations
from tests.support.waiting import mail_of

BOB = "bob@example.org"
GIVEN = EnsName("bob.example.org.paper.gw.eth")
NAME = EnsName("robert.gw.eth")


@pytest.fixture
async def house(tmp_path: Path) -> AsyncIterator[House]:
    """Somebody has written, and has linked a name."""
    paper = PaperAdapter()
    async with running_house(tmp_path / "house", adapters={paper.name: paper}, overrides=OPEN) as running:
        native = await running.native("native.eth")
        await paper.write(BOB, native.name, "hello", "n1")
        await mail_of(native)
        wallet = Wallet(running, b"\x07" * 32)
        assert (await wallet.claim(NAME)).status_code == 201
        asked = await wallet.post(f"/names/{NAME}/link", {"network": "paper", "person": BOB}, session=True)
        (note,) = await paper.wait_delivered(1)
        code, signature = note.text.removeprefix("[gateway] ")[:9], sign_text(wallet.key, asked.json()["message"])
        body = {"code": code, "signature": signature}
        assert (await wallet.post(f"/names/{NAME}/link/confirm", body, session=True)).status_code == 200
        yield running


async def kept(house: House) -> dict[str, bytes]:
    """Every secret of this house by name."""
    settings = house.settings
    seed = load_seed(settings.custody.seed_file)
    identity = await house.gateway.store.read(IdentityNamed(GIVEN))
    assert identity is not None
    keyring = Keyring(seed, delivery_services=(house.gateway.service_name,), max_ttl_ms=1000)
    keys = keyring.keys(identity)
    relay = [line.split('"')[1] for line in settings.relay.key_file.read_text().splitlines() if '"' in line]
    return {
        "seed": seed.secret,
        "wallet of a bridged person": keys.eth_key,
        "encryption of a bridged person": keys.profile_keys.encryption.private,
        "signing of a bridged person": keys.profile_keys.signing.private[:32],
        "sealed salt": identity.sealed_salt or b"",
        "resolver": bytes.fromhex(settings.ens.signer_key_file.read_text().strip()),
        "link codes": link_code_key(seed),
        "webhook secrets": webhook_sealing_key(seed),
        **{f"relay {number}": bytes.fromhex(each) for number, each in enumerate(relay)},
    }


def spellings(secret: bytes) -> Iterator[str]:
    """As it could stand in a text."""
    yield secret.hex()
    yield base64.b64encode(secret).decode().rstrip("=")
    yield base64.urlsafe_b64encode(secret).decode().rstrip("=")


@pytest.mark.attack(51)
async def test_no_key_is_in_anything_that_can_be_asked_for(house: House, tmp_path: Path) -> None:
    wallet = Wallet(house, b"\x07" * 32)
    await wallet.sign_in()
    made = await ApiKeys(store=house.gateway.store, clock=now_ms).make(
        EnsName("gw.eth"), EVERYTHING, label="all", actor="operator"
    )
    said: dict[str, str] = {}
    values = {"name": str(NAME), "address": wallet.shown, "key_id": made.key.id, "parent": "gw.eth"}
    asked = [each for each in await operations(house) if each.method == "GET" and "ccip" not in each.template]
    for path in (each.path(AnyValue(values)) for each in asked):
        for token in (None, wallet.token, made.token):
            headers = {} if token is None else {"authorization": f"Bearer {token}"}
            answer = await house.http.get(house.url + path, headers=headers)
            said[f"GET {path} {token is None}"] = answer.text
    files = {kind: tmp_path / f"names.{kind}" for kind in ("csv", "json", "zone")}
    runs: list[tuple[str, ...]] = [
        ("names", "export", str(files["csv"])),
        ("names", "export", str(files["json"])),
        ("names", "export", str(files["zone"]), "--zone"),
        ("names", "list"),
        ("names", "keys", "list"),
        ("names", "audit", "show", NAME),
        ("identities", "list"),
        ("config", "show"),
    ]
    for arguments in runs:
        done = await asyncio.to_thread(command, *arguments, config=house.config)
        assert done.returncode == 0, done.stderr
        said[" ".join(arguments)] = done.stdout + done.stderr
    said |= {name: path.read_text() for name, path in files.items()}
    assert GIVEN in said["zone"], "people are in it"
    assert wallet.shown in said["csv"]
    for what, secret in (await kept(house)).items():
        for spelling in spellings(secret):
            holders = [name for name, text in said.items() if spelling in text]
            assert not holders, (what, holders)
