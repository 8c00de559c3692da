"""Keys of the gateway itself: copied and brought back, and changed without a message that nobody can open."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest
from typer.testing import CliRunner

from adapters.email.dkim.keys import load_keys
from adapters.email.keys import FILES
from gateway.cli import app
from gateway.custody.keyring import Keyring
from gateway.custody.seed import load_seed
from gateway.dm3.envelope import canonical_envelope, seal
from gateway.dm3.message import Message, MessageType, sign_message
from gateway.errors import ConfigError
from gateway.lifecycle import now_ms
from gateway.operations.adapter_types import adapter_settings
from gateway.operations.installation import Answers, create_installation
from gateway.operations.rotation_people import rotate_people
from gateway.operations.rotation_relay import SKEW, RelayRotation
from gateway.relay.keys import load_one, load_service_keys
from gateway.settings import load_settings
from gateway.store.identities import IdentityNamed
from tests.integration.bridge.scripted import BOB, BOB_NAME
from tests.support.adapters import PaperAdapter
from tests.support.house import House, another_node, rpc, running_house
from tests.support.waiting import mail_of

DAY = 24 * 3600


def age_key(folder: Path) -> tuple[str, Path]:
    import pyrage  # type: ignore[import-untyped]

    secret, path = pyrage.x25519.Identity.generate(), folder / "age.key"
    path.write_text(f"{secret}\n")
    return str(secret.to_public()), path


@pytest.fixture
def config(tmp_path: Path) -> Path:
    answers = Answers(
        parent="gw.eth",
        public_url="https://gw.example",
        rpc_url="http://127.0.0.1:9",
        adapters={
            "xmpp": {"component": "dm3.example.org"},
            "matrix": {"homeserver_url": "http://127.0.0.1:8008", "server_name": "example.org"},
        },
    )
    return create_installation(tmp_path / "node", answers)


def test_every_key_comes_back_and_none_is_overwritten(config: Path, tmp_path: Path) -> None:
    recipient, key = age_key(tmp_path)
    file, back, run = tmp_path / "keys.age", tmp_path / "back", CliRunner()
    made = run.invoke(app, ["keys", "backup", str(file), "--to", recipient, "--config", str(config)])
    assert made.exit_code == 0, made.output
    assert file.stat().st_mode & 0o777 == 0o600
    names = {
        "gateway.toml", "seed.key", "relay.key", "resolver.key", "vapid.key", "xmpp.secret", "matrix-as.token",
        "matrix-hs.token",
    }  # fmt: skip
    stolen = file.read_bytes()
    for name in names:
        text = (config.parent / name).read_text()
        assert [line for line in text.split() if len(line) > 20 and line.encode() in stolen] == []
    done = run.invoke(app, ["keys", "restore", str(file), "-i", str(key), "--dir", str(back)])
    assert done.exit_code == 0, done.output
    assert {each.name: each.read_bytes() for each in back.iterdir()} == {
        name: (config.parent / name).read_bytes() for name in names
    }
    assert {each.stat().st_mode & 0o777 for each in back.iterdir()} == {0o600}
    (back / "seed.key").write_text("00" * 32)
    (back / "vapid.key").unlink()
    refused = run.invoke(app, ["keys", "restore", str(file), "-i", str(key), "--dir", str(back)])
    assert isinstance(refused.exception, ConfigError)
    assert not (back / "vapid.key").exists(), "nothing is written when something differs"
    assert run.invoke(app, ["keys", "backup", str(file), "--config", str(config)]).exit_code == 2, "never plain"
    into = ["keys", "restore", str(file), "-i", str(key), "--dir", str(config / "below a file")]
    assert isinstance(run.invoke(app, into).exception, ConfigError), "where no folder can be made it is named"


def test_a_secret_of_a_network_changes_in_two_steps(config: Path) -> None:
    run, at = CliRunner(), ["--config", str(config)]
    for name, secrets, told in (
        ("xmpp", ["xmpp.secret"], "xmpp-prosody.cfg.lua"),
        ("matrix", ["matrix-as.token", "matrix-hs.token"], "matrix-registration.yaml"),
    ):
        before = [(config.parent / each).read_text() for each in secrets]
        (config.parent / told).chmod(0o640)
        assert run.invoke(app, ["keys", "rotate", name, *at]).exit_code == 0
        assert [(config.parent / each).read_text() for each in secrets] == before, "nothing changes yet"
        coming = [(config.parent / f"{each}.next").read_text() for each in secrets]
        file = (config.parent / f"{told}.next").read_text()
        assert all(each.strip() in file for each in coming)
        done = run.invoke(app, ["keys", "rotate", name, *at])
        assert done.exit_code == 0, done.output
        assert [(config.parent / each).read_text() for each in secrets] == coming
        assert all(each.strip() in (config.parent / told).read_text() for each in coming)
        assert not set(before) & set(coming)
        modes = {(config.parent / each).stat().st_mode & 0o777 for each in (told, f"{told}.next")}
        assert modes == {0o640}, "the server that reads it runs as another user"
        assert not any(each.strip() in done.output for each in coming), "no secret goes to the screen"


def test_keys_that_sign_mail_are_published_before_they_are_used(tmp_path: Path) -> None:
    run, at = CliRunner(), ["--config", str(tmp_path / "gateway.toml")]
    init = ["init", "--dir", str(tmp_path), "--yes", "--parent", "gw.eth", "--email-domain", "gw.example"]
    assert run.invoke(app, init).exit_code == 0
    config = tmp_path / "gateway.toml"
    before = config.read_text()
    made = run.invoke(app, ["keys", "rotate", "email", *at])
    assert made.exit_code == 0, made.output
    (folder,) = tmp_path.glob("email-keys-*")
    assert "PRIVATE" not in made.output
    records = [line for line in made.output.splitlines() if "._domainkey IN TXT" in line]
    settings = [line for line in made.output.splitlines() if line.startswith("dkim_")]
    assert (len(records), len(settings)) == (2, 2)
    again = run.invoke(app, ["keys", "rotate", "email", *at])
    assert [line for line in again.output.splitlines() if line in records + settings] == records + settings
    assert config.read_text() == before
    config.write_text("\n".join([*(line for line in before.splitlines() if not line.startswith("dkim_")), *settings]))
    used = adapter_settings("email", load_settings(config).adapters["email"], tmp_path)
    keys = load_keys(used.dkim_key_files, used.dkim_selector)  # type: ignore[attr-defined]
    assert [key.zone_line() for key in keys] == records
    assert "Finished" in run.invoke(app, ["keys", "rotate", "email", *at]).output
    assert sorted(each.name for each in folder.iterdir()) == sorted(FILES)
    once_more = run.invoke(app, ["keys", "rotate", "email", *at])
    assert (once_more.exit_code, len(list(tmp_path.glob("email-keys-*")))) == (1, 1)


def test_tokens_of_the_operator_are_among_the_keys(config: Path, tmp_path: Path) -> None:
    """The node makes that of the pages itself, so it need not be there yet; that of metrics must be."""
    recipient, key = age_key(tmp_path)
    tables = (
        '\n[admin]\nenabled = true\ntoken_file = "admin.token"\n[operation]\nmetrics_token_file = "metrics.token"\n'
    )
    config.write_text(config.read_text() + tables)
    run, at = CliRunner(), ["--to", recipient, "--config", str(config)]
    assert isinstance(run.invoke(app, ["keys", "backup", str(tmp_path / "none.age"), *at]).exception, ConfigError)
    (config.parent / "metrics.token").write_text("m" * 20)
    assert run.invoke(app, ["keys", "backup", str(tmp_path / "one.age"), *at]).exit_code == 0
    (config.parent / "admin.token").write_text("a" * 20)
    assert run.invoke(app, ["keys", "backup", str(tmp_path / "both.age"), *at]).exit_code == 0
    for name, files in (("one", {"metrics.token"}), ("both", {"admin.token", "metrics.token"})):
        back = ["keys", "restore", str(tmp_path / f"{name}.age"), "-i", str(key), "--dir", str(tmp_path / name)]
        assert run.invoke(app, back).exit_code == 0
        found = {each.name: each.read_text() for each in (tmp_path / name).iterdir()}
        assert {"admin.token", "metrics.token"} & found.keys() == files
        assert all(found[each] == each[0] * 20 for each in files)


async def test_an_envelope_for_the_old_key_is_delivered_after_the_relay_has_a_new_one(tmp_path: Path) -> None:
    """And one for the next key before it is published: on several nodes some know it earlier than others."""
    paper = PaperAdapter()
    async with running_house(tmp_path / "house", adapters={paper.name: paper}) as house:
        native = await house.native("native.eth")
        await paper.write(BOB, native.name, "hello", "n1")
        await mail_of(native)
        path = house.settings.relay.key_file
        old, shown = load_one(path), [load_one(path).encryption.public]
        clock = [1_000_000_000.0]

        async def published() -> bytes:
            return shown[0]

        rotation = RelayRotation(path, load_one, 30 * DAY, published, clock=lambda: clock[0])
        assert "Made the next key" in (await rotation.advance()).done[0]
        coming = load_one(rotation.next_path)
        assert (coming.signing, coming.encryption == old.encryption) == (old.signing, False)
        assert [each.public for each in load_service_keys(path).opening] == [
            old.encryption.public,
            coming.encryption.public,
        ]
        async with another_node(house, working=False) as prepared:
            assert await submitted(house, prepared, coming.encryption.public, "early") == "OK"
        assert "Switched" in (await rotation.advance()).done[0]
        assert load_one(path) == coming
        assert "does not show" in (await rotation.advance()).coming
        shown[0] = coming.encryption.public
        waiting = await rotation.advance()
        assert waiting.seconds == pytest.approx(30 * DAY + SKEW)
        async with another_node(house, working=False) as after:
            assert after.gateway.service_profile.public_encryption_key == coming.encryption.public
            assert await submitted(house, after, old.encryption.public, "late") == "OK"
        assert sorted(each.text for each in await paper.wait_delivered(2)) == ["early", "late"]
        clock[0] += 30 * DAY + SKEW + 1
        done = await rotation.advance()
        assert (done.finished, rotation.old_path.exists()) == (True, False)
        async with another_node(house, working=False) as finished:
            assert await submitted(house, finished, old.encryption.public, "too late") != "OK"
            assert await submitted(house, finished, coming.encryption.public, "in time") == "OK"


async def submitted(house: House, node: House, service_key: bytes, text: str) -> object:
    """What a node answers to a message of the native person for bob, sealed for a key of the relay."""
    native = next(iter(house.clients.values()))
    bob = await house.gateway.directory.user(BOB_NAME)
    draft = Message(
        to=BOB_NAME, from_=native.name, type=MessageType.NEW, timestamp=now_ms(), text=text, attachments=None
    )
    signing = native._keys.signing
    envelope = seal(sign_message(draft, signing), bob.profile.public_encryption_key, service_key, signing)
    answer = (await rpc(node, "dm3_submitMessage", canonical_envelope(envelope))).json()
    return answer.get("result", answer.get("error"))


async def test_people_get_new_keys_once_and_mail_to_the_old_ones_is_read(tmp_path: Path) -> None:
    paper = PaperAdapter()
    async with running_house(tmp_path / "house", adapters={paper.name: paper}) as house:
        store, native = house.gateway.store, await house.native("native.eth")
        await paper.write(BOB, native.name, "hello", "n1")
        await mail_of(native)
        before = await store.read(IdentityNamed(BOB_NAME))
        bob = await house.profiles.user(BOB_NAME)
        keyring = Keyring(load_seed(house.settings.custody.seed_file), delivery_services=(), max_ttl_ms=DAY * 1000)
        ttl = 30 * DAY * 1000
        arguments = {"now": now_ms(), "ttl_ms": ttl, "told": lambda _: None}
        done = await rotate_people(store, keyring, paper.name, **arguments)  # type: ignore[arg-type]
        assert (done.changed, done.too_soon, done.linked) == (1, 0, 0)
        again = await rotate_people(store, keyring, paper.name, **arguments)  # type: ignore[arg-type]
        assert (again.changed, again.too_soon) == (0, 1), "two changes at once would leave mail without a key"
        after = await store.read(IdentityNamed(BOB_NAME))
        assert before is not None
        assert after is not None
        assert (after.epoch, after.address == before.address) == (1, False)
        assert (await house.profiles.user(BOB_NAME)).address == bob.address, "the sender has the old profile still"
        await native.send(BOB_NAME, "to the old key")
        (delivered,) = await paper.wait_delivered(1)
        assert delivered.text == "to the old key"


def test_deleting_by_command(config: Path) -> None:
    """Asks first, and names what is not there."""
    environment = {**os.environ, "PYTHONPATH": os.getcwd()}
    base = [sys.executable, "-m", "gateway"]
    subprocess.run([*base, "migrate", "--config", str(config)], check=True, capture_output=True, env=environment)
    command = [*base, "identities", "delete", "nobody.gw.eth", "--config", str(config)]
    unsure = subprocess.run(command, input=b"n\n", capture_output=True, env=environment, check=False)
    assert unsure.returncode == 1
    sure = subprocess.run([*command, "--yes"], capture_output=True, env=environment, check=False)
    assert (sure.returncode, sure.stderr.decode().strip()) == (1, "nobody.gw.eth is nobody's name here")
