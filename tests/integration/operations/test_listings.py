"""What strangers call themselves is printed as it is, and steers nothing."""

from __future__ import annotations

import asyncio
from pathlib import Path

import pytest
from rich.console import Console
from typer.testing import CliRunner

from gateway.cli import app
from gateway.cli_common import out, plain, print_table
from gateway.custody.identities import Identities
from gateway.custody.keyring import Keyring
from gateway.custody.seed import load_seed
from gateway.ids import EnsName, Network
from gateway.operations.installation import Answers, create_installation
from gateway.settings import load_settings
from gateway.store import Store
from gateway.store.identities import IssueIdentity
from gateway.store.migrate import upgrade
from tests.integration.store.values import NOW

NAMES = {
    "email": ('"[/x]"@their.domain', '"[red]"@their.domain', '":smile:"@their.domain'),
    "matrix": ("@[/x]:evil.org", "@back\\[:evil.org"),
}


async def test_people_are_listed_whatever_they_are_called(
    sqlite_store_url: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(vars(out), "console", Console(width=400, highlight=False, emoji=False))
    answers = Answers(
        parent="gw.eth", public_url="https://gw.example", rpc_url="http://127.0.0.1:9", store_url=sqlite_store_url
    )
    config = create_installation(tmp_path / "node", answers)
    await asyncio.to_thread(upgrade, sqlite_store_url)
    seed = load_seed(load_settings(config, environ={}).custody.seed_file)
    identities = Identities(Keyring(seed, delivery_services=(), max_ttl_ms=1), EnsName("gw.eth"))
    async with await Store.open(sqlite_store_url) as store:
        for network, people in NAMES.items():
            for each in people:
                await store.commit(IssueIdentity(identities.draft(Network(network), each, now_ms=NOW)))
    listing = ["identities", "list", "--config", str(config)]
    done = await asyncio.to_thread(CliRunner().invoke, app, listing)
    assert done.exit_code == 0, done.exception
    assert [each for people in NAMES.values() for each in people if each not in done.output] == []


def test_no_cell_moves_the_cursor() -> None:
    assert plain("a\x1b[2Jb\x9bc\u202ed\r\n") == "a\ufffd[2Jb\ufffdc\ufffdd\ufffd\ufffd"
    assert plain("Zoë ☃ 名") == "Zoë ☃ 名"
    print_table(("person",), [("\x1b[2J[/x]",)])
