"""A gateway that took over another one's zone answers for bridged people as that one does."""

from __future__ import annotations

from pathlib import Path

from gateway.custody.identities import Identities as Drafts
from gateway.custody.keyring import Keyring
from gateway.custody.seed import load_seed
from gateway.ens.names import namehash
from gateway.ids import EnsName, Network
from gateway.resolver.calls import AddrCall, Call, CoinCall, ContenthashCall, TextCall
from gateway.resolver.records import answer_call
from gateway.resolver.rows import Rows
from gateway.resolver.sources import PROFILE_KEY, Identities, Names
from gateway.store import Store
from gateway.store.identities import IdentitiesNamed, IssueIdentity
from gateway.store.names import NamesNamed
from tests.integration.subnames.test_cli import command, install

GW = EnsName("gw.eth")
MATRIX = Network("matrix")


async def test_people_are_answered_for_while_their_gateway_is_away(tmp_path: Path) -> None:
    first, second = install(tmp_path / "first"), install(tmp_path / "second")
    keyring = Keyring(
        load_seed(first.with_name("seed.key")), delivery_services=(EnsName("ds.gw.eth"),), max_ttl_ms=1000
    )
    async with await Store.open(f"sqlite:///{first.with_name('gateway.db')}") as store:
        draft = Drafts(keyring, GW).draft(MATRIX, "@ann:example.org", now_ms=1, display_name="Ann 💩, 'x'")
        ann = await store.commit(IssueIdentity(draft))
        there = await Identities(
            Rows(store, IdentitiesNamed), GW, frozenset({MATRIX}), lambda each: keyring.keys(each).signed_profile
        ).find(ann.name)
    assert there is not None
    zone = tmp_path / "gw.zone"
    for config, arguments in ((first, ("export", str(zone), "--zone")), (second, ("import", str(zone), "--zone"))):
        done = command("names", *arguments, config=config)
        assert done.returncode == 0, done.stderr
        assert "1 people" in done.stdout + done.stderr
    async with await Store.open(f"sqlite:///{second.with_name('gateway.db')}") as store:
        here = await Names(Rows(store, NamesNamed)).find(ann.name)
    assert here is not None
    node = namehash(ann.name)
    asked: list[Call] = [AddrCall(node), ContenthashCall(node)]
    asked += [CoinCall(node, coin) for coin in (0, 60, 0x80000000, 0x80002105)]
    asked += [TextCall(node, key) for key in (PROFILE_KEY, "name", "alias", "url")]
    for call in asked:
        assert answer_call(call, node, here) == answer_call(call, node, there)
    assert there.texts[PROFILE_KEY]
    sealed = ann.sealed_salt
    assert sealed is not None
    assert sealed.hex() not in zone.read_text()
