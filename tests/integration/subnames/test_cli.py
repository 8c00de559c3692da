"""The commands about names as an operator types them."""

from __future__ import annotations

import json
import os
import re
import sqlite3
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

Run = Callable[..., subprocess.CompletedProcess[str]]
OWNER = "0x5aAeb6053F3E94C9b9A09f33669435E7Ef1BeAed"


def command(*arguments: str, config: Path, given: str = "") -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "-m", "gateway", *arguments],
        capture_output=True,
        input=given,
        text=True,
        timeout=60,
        env={**os.environ, "COLUMNS": "250", "NO_COLOR": "1", "DM3_GATEWAY_CONFIG": str(config)},
    )


def install(folder: Path) -> Path:
    """A new installation with a database."""
    config = folder / "gateway.toml"
    made = command(
        *("init", "--dir", str(folder), "--parent", "gw.eth", "--public-url", "https://gw.example", "--yes"),
        config=config,
    )
    assert made.returncode == 0, made.stderr
    assert command("migrate", config=config).returncode == 0
    return config


@pytest.fixture
def config(tmp_path: Path) -> Path:
    return install(tmp_path)


@pytest.fixture
def names(config: Path) -> Run:
    def run(*arguments: str, given: str = "", ok: bool = True) -> subprocess.CompletedProcess[str]:
        done = command("names", *arguments, config=config, given=given)
        assert "Traceback" not in done.stderr, done.stderr
        assert (done.returncode == 0) is ok, done.stdout + done.stderr
        return done

    return run


def test_add_list_reserve_release(names: Run, config: Path) -> None:
    url = "text:url==1+1"
    assert names("add", "bob", "--owner", OWNER, "--expires", "2030-01-01", "--record", url).stdout == "Added.\n"
    assert names("add", "bob", "--owner", OWNER, "--expires", "2030-01-01", "--record", url).stdout.startswith("It was")
    assert "bob.gw.eth is taken" in names("add", "bob.gw.eth", ok=False).stderr
    assert names("add", "bob", "--listed", "--overwrite").stdout == "Changed.\n"
    listed = names("list").stdout
    assert "bob.gw.eth" in listed
    assert "bob" not in names("list", "--containing", "carol").stdout
    assert names("reserve", "carol", "--note", "later").stdout == "carol.gw.eth is reserved.\n"
    assert "carol.gw.eth is reserved" in names("add", "carol", ok=False).stderr
    names("add", "carol", "--reserved-too")
    assert names("reserve", "carol", "--drop").stdout == "carol.gw.eth is free.\n"
    assert "not kept back" in names("reserve", "carol", "--drop", ok=False).stderr
    names("reserve", "dave", "--for", OWNER)
    names("add", "dave", "--owner", OWNER)
    names("reserve", "never", "--block")
    assert "never.gw.eth is blocked" in names("add", "never", "--reserved-too", ok=False).stderr
    assert names("release", "bob").stdout == "bob.gw.eth is released.\n"
    assert "nobody has bob.gw.eth" in names("release", "bob", ok=False).stderr
    assert "rests" in names("add", "bob", "--owner", OWNER, ok=False).stderr
    shown = names("audit", "show", "bob").stdout
    assert re.findall("name[.][a-z]+", shown) == ["name.released", "name.imported", "name.imported"]


@pytest.mark.parametrize(
    ("arguments", "word"),
    [
        (("add", "bob.other.eth"), "not a name below gw.eth"),
        (("add", "b ob"), "normal form"),
        (("add", "bob", "--owner", "0x12"), "owner"),
        (("add", "bob", "--record", "text:url"), "key=value"),
        (("add", "bob", "--record", "nick=x"), "nick"),
        (("import", "missing.csv"), "cannot be read"),
        (("import", "names.txt"), "--format"),
        (("import", "missing.zone", "--zone"), "cannot be read"),
        (("export", "missing/names.csv"), "cannot be written"),
        (("release", "bob"), "nobody has"),
        (("reserve", "bob", "--block", "--for", OWNER), "not both"),
        (("keys", "create", "--scope", "names:all", "--label", "x"), "names:read"),
        (("keys", "revoke", "x"), "no key"),
        (("webhooks", "add", "http://127.0.0.1/"), "https"),
        (("webhooks", "add", "https://a.example", "--event", "name.eaten"), "name.claimed"),
        (("webhooks", "remove", "x"), "no webhook"),
        (("admins", "add", "x"), "address"),
        (("admins", "remove", OWNER), "does not look after"),
    ],
)
def test_what_cannot_be_done_is_said_in_one_line(names: Run, arguments: tuple[str, ...], word: str) -> None:
    assert word in names(*arguments, ok=False).stderr


def test_a_file_in_and_out(names: Run, tmp_path: Path) -> None:
    wrong = tmp_path / "wrong.csv"
    wrong.write_text("name,owner,text:url\nann.gw.eth,,x\nBob.gw.eth,,x\n\x1b[31mc.gw.eth,0x1,x\ndave.gw.eth,,x\n")
    dry = names("import", str(wrong), "--dry-run", ok=False)
    assert f"{wrong}:3: Bob.gw.eth: the name is not in its normal form" in dry.stderr
    assert f"{wrong}:4: " in dry.stderr
    assert "\x1b" not in dry.stderr
    assert dry.stdout == "4 rows: 2 new, 0 changed, 0 as they were, 2 wrong; nothing was written (dry run).\n"
    assert "nothing was written.\n" in names("import", str(wrong), ok=False).stdout
    assert "ann" not in names("list").stdout
    assert "2 wrong; written.\n" in names("import", str(wrong), "--each", ok=False).stdout
    for ending in ("csv", "json", "jsonl"):
        file = tmp_path / f"names.{ending}"
        assert names("export", str(file)).stderr == "2 names written.\n"
        assert names("import", str(file)).stdout.startswith("2 rows: 0 new, 0 changed, 2 as they were, 0 wrong")
    assert json.loads((tmp_path / "names.json").read_text())[0]["records"] == {"text:url": "x"}
    assert not list(tmp_path.glob("*.part"))
    assert names("export").stdout.splitlines()[0] == "name,owner,expires,listed,text:url"
    assert "1 new" in names("import", "-", "--format", "jsonl", given='{"name":"eve.gw.eth"}\n').stdout
    assert names("import", str(tmp_path / "names.csv"), "--dry-run").returncode == 0


@pytest.mark.attack(50)
def test_a_log_that_was_tampered_with_is_noticed(names: Run, config: Path) -> None:
    for label in ("ann", "bob", "carol"):
        names("add", label)
    verified = names("audit", "verify").stdout
    found = re.fullmatch(r"3 entries, last digest ([0-9a-f]{64})\n", verified)
    assert found is not None
    names("add", "dave")
    assert names("audit", "verify", "--expect", f"0x{found[1].upper()}").stdout.startswith("4 entries")
    with sqlite3.connect(config.with_name("gateway.db")) as damaged:
        damaged.execute("DELETE FROM audit WHERE seq > 2")
    assert names("audit", "verify").stdout.startswith("2 entries")
    assert "not in the chain" in names("audit", "verify", "--expect", found[1], ok=False).stderr
    with sqlite3.connect(config.with_name("gateway.db")) as damaged:
        damaged.execute("UPDATE audit SET actor = 'somebody' WHERE seq = 1")
    broken = names("audit", "verify", ok=False)
    assert "entry 1 (name.imported of ann.gw.eth" in broken.stderr
    assert broken.stdout == ""


def test_keys_webhooks_and_admins(names: Run) -> None:
    made = names(
        "keys", "create", "--label", "shop [x]", "--scope", "names:read", "--scope", "names:claim", "--days", "3"
    )
    token = re.match(r"dm3k_([0-9a-f]{16})_[\w-]{43}\n", made.stdout)
    assert token is not None
    listed = names("keys", "list").stdout
    assert token[1] in listed
    assert "shop [x]" in listed
    assert "names:claim names:read" in listed
    assert token[0].strip() not in listed
    names("keys", "revoke", token[1])
    assert "no key" in names("keys", "revoke", token[1], ok=False).stderr
    hook = names("webhooks", "add", "https://a.example/secret", "--event", "name.released").stdout
    found = re.match(r"([0-9a-f]{16}) whsec_[\w+/=]{44}\n", hook)
    assert found is not None
    listed = names("webhooks", "list").stdout
    assert "https://a.example/…" in listed
    assert "name.released" in listed
    assert "secret" not in listed
    names("webhooks", "enable", found[1])
    names("webhooks", "remove", found[1])
    names("admins", "add", OWNER)
    assert OWNER in names("admins", "list").stdout
    names("admins", "remove", OWNER)
    assert OWNER not in names("admins", "list").stdout
    assert names("audit", "verify").stdout.startswith("6 entries")


def test_a_zone_from_one_gateway_to_another(names: Run, config: Path, tmp_path: Path) -> None:
    names("add", "ann", "--owner", OWNER, "--record", "text:url=https://a.example")
    names("reserve", "kept")
    file = tmp_path / "gw.zone"
    told = names("export", str(file), "--zone").stderr
    assert told.startswith("gw.eth: 1 names, 0 people, 1 reservations, 0 admins; signed by 0x")
    signer = re.findall(r"signed by (0x[0-9a-fA-F]{40})", told)[0]
    secrets = [config.with_name(each).read_text().strip() for each in ("seed.key", "resolver.key", "vapid.key")]
    assert not any(secret in file.read_text() for secret in secrets)

    other = install(tmp_path / "second")

    def second(*arguments: str) -> subprocess.CompletedProcess[str]:
        return command("names", *arguments, config=other)

    dry = second("import", str(file), "--zone", "--dry-run", "--signer", signer)
    assert "Nothing was written" in dry.stdout
    assert "relay.key" in dry.stdout, "the second gateway has another key"
    stranger = second("import", str(file), "--zone", "--signer", OWNER)
    assert stranger.returncode == 1
    assert stranger.stderr == f"the file was signed by {signer}, not by {OWNER}\n"
    assert "ann" not in second("list").stdout
    taken = second("import", str(file), "--zone", "--signer", signer)
    assert taken.returncode == 0, taken.stderr
    assert "Names: 1 new; people with keys here: 0." in taken.stdout
    assert second("export").stdout == names("export").stdout
    file.write_text(file.read_text().replace("a.example", "b.example"))
    tampered = second("import", str(file), "--zone", "--overwrite")
    assert tampered.returncode == 1
    assert "changed after it was written" in tampered.stderr
    second("add", "ann", "--overwrite")
    names("export", str(file), "--zone")
    refused = second("import", str(file), "--zone")
    assert refused.returncode == 1
    assert refused.stderr == "ann.gw.eth says something else here; --overwrite replaces it.\n"
    assert second("import", str(file), "--zone", "--overwrite").returncode == 0
    assert second("export").stdout == names("export").stdout


def test_another_parent(names: Run, config: Path) -> None:
    with config.open("a") as file:
        file.write('\n[[subnames.parents]]\nname = "other.eth"\n')
    names("--parent", "other.eth", "add", "bob", "--owner", OWNER)
    assert "bob.other.eth" in names("--parent", "other.eth", "list").stdout
    assert "bob" not in names("list").stdout
    assert "not a name below gw.eth" in names("add", "bob.other.eth", ok=False).stderr
    assert "no names are issued under third.eth" in names("--parent", "third.eth", "list", ok=False).stderr
    names("--parent", "other.eth", "keys", "create", "--label", "shop", "--scope", "names:read")
    assert "shop" in names("--parent", "other.eth", "keys", "list").stdout
    assert "shop" not in names("keys", "list").stdout
