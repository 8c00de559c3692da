"""Commands about who may do something to names, and who is told of them: keys, admins, webhooks."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from gateway.cli_common import OPERATOR, ConfigOption, House, opened, out, print_table

if TYPE_CHECKING:
    from gateway.subnames.api_keys import ApiKeys
    from gateway.subnames.webhooks import Webhooks

keys_app = typer.Typer(help="Keys for programs.", no_args_is_help=True)
webhooks_app = typer.Typer(help="Who is told of names.", no_args_is_help=True)
admins_app = typer.Typer(help="Wallets that look after the names.", no_args_is_help=True)

DAY_MS = 24 * 3600 * 1000

IdArgument = Annotated[str, typer.Argument(help="As `list` shows it.")]
WalletArgument = Annotated[str, typer.Argument(help="Its address.")]


@keys_app.command("create")
def keys_create(
    scope: Annotated[list[str], typer.Option(help="What it may do, such as names:read; repeat it.")],
    label: Annotated[str, typer.Option(help="What tells it from other keys.")],
    config: ConfigOption = None,
    days: Annotated[int | None, typer.Option(min=1, max=36_500, help="Days that it is good for.")] = None,
) -> None:
    """Make a key and print it, once."""
    from gateway.lifecycle import now_ms
    from gateway.subnames.callers import Scope

    known = {each.value: each for each in Scope}
    if unknown := [each for each in scope if each not in known]:
        raise typer.BadParameter(f"--scope {unknown[0]}: must be one of {', '.join(known)}")

    async def work() -> str:
        async with opened(config) as house:
            scopes = frozenset(known[each] for each in scope)
            end = None if days is None else now_ms() + days * DAY_MS
            new = await _keys(house).make(house.parent, scopes, label=label, actor=OPERATOR, expires_at=end)
            return new.token

    out.print(asyncio.run(work()), markup=False)
    out.print("Keep it now: it is not shown again.", style="yellow")


@keys_app.command("list")
def keys_list(config: ConfigOption = None) -> None:
    """List keys, ended ones too; secrets are not kept."""

    async def work() -> list[tuple[str, ...]]:
        async with opened(config) as house:
            return [
                (
                    key.id,
                    key.label,
                    " ".join(key.scopes),
                    *map(_time, (key.created_at, key.expires_at, key.used_at, key.revoked_at)),
                )
                for key in await _keys(house).list(house.parent)
            ]

    print_table(("id", "label", "scopes", "made", "good until", "last used", "revoked"), asyncio.run(work()))


@keys_app.command("revoke")
def keys_revoke(key: IdArgument, config: ConfigOption = None) -> None:
    """End a key at once."""

    async def work() -> None:
        async with opened(config) as house:
            await _keys(house).revoke(house.parent, key, actor=OPERATOR)

    asyncio.run(work())
    out.print("Revoked.")


@webhooks_app.command("add")
def webhooks_add(
    url: Annotated[str, typer.Argument(help="Where events are POSTed; https.")],
    config: ConfigOption = None,
    event: Annotated[list[str] | None, typer.Option(help="Such as name.claimed; repeat it. All when absent.")] = None,
) -> None:
    """Register a receiver and print its secret, once."""
    from gateway.subnames.events import EventType

    known = {each.value: each for each in EventType}
    if unknown := [each for each in event or () if each not in known]:
        raise typer.BadParameter(f"--event {unknown[0]}: must be one of {', '.join(known)}")

    async def work() -> tuple[str, str]:
        async with _webhooks(config) as (house, webhooks):
            wanted = frozenset(known[each] for each in event or ())
            new = await webhooks.register(house.parent, url, actor=OPERATOR, events=wanted)
            return new.webhook.id, new.secret

    webhook_id, secret = asyncio.run(work())
    out.print(f"{webhook_id} {secret}", markup=False)
    out.print("Keep the secret now: it is not shown again.", style="yellow")


@webhooks_app.command("list")
def webhooks_list(config: ConfigOption = None) -> None:
    """List receivers, disabled ones too."""
    from gateway.subnames.webhooks import shown_url

    async def work() -> list[tuple[str, ...]]:
        async with _webhooks(config) as (house, webhooks):
            return [
                (
                    each.id,
                    shown_url(each.url),
                    " ".join(each.events) or "all",
                    _time(each.created_at),
                    _time(each.disabled_at),
                )
                for each in await webhooks.list(house.parent)
            ]

    print_table(("id", "receiver", "events", "made", "disabled"), asyncio.run(work()))


@webhooks_app.command("remove")
def webhooks_remove(webhook: IdArgument, config: ConfigOption = None) -> None:
    """Tell a receiver nothing more."""

    async def work() -> None:
        async with _webhooks(config) as (house, webhooks):
            await webhooks.remove(house.parent, webhook, actor=OPERATOR)

    asyncio.run(work())
    out.print("Removed.")


@webhooks_app.command("enable")
def webhooks_enable(webhook: IdArgument, config: ConfigOption = None) -> None:
    """Tell a receiver again that was disabled because it failed for days."""

    async def work() -> None:
        async with _webhooks(config) as (house, webhooks):
            await webhooks.enable(house.parent, webhook, actor=OPERATOR)

    asyncio.run(work())
    out.print("Enabled.")


@admins_app.command("add")
def admins_add(wallet: WalletArgument, config: ConfigOption = None) -> None:
    """Let a wallet look after the names."""
    asyncio.run(_admin(config, wallet, add=True))
    out.print("Added.")


@admins_app.command("remove")
def admins_remove(wallet: WalletArgument, config: ConfigOption = None) -> None:
    """Take that right away."""
    asyncio.run(_admin(config, wallet, add=False))
    out.print("Removed.")


@admins_app.command("list")
def admins_list(config: ConfigOption = None) -> None:
    """List wallets that look after the names."""
    from gateway.dm3.eth import checksum
    from gateway.store.admins import AdminsOf

    async def work() -> list[tuple[str, str]]:
        async with opened(config) as house:
            found = await house.store.read(AdminsOf(house.parent, 10_000))
            return [(checksum(each.address), _time(each.created_at)) for each in found]

    print_table(("wallet", "since"), asyncio.run(work()))


async def _admin(config: Path | None, wallet: str, *, add: bool) -> None:
    from gateway.dm3.canonical import stringify
    from gateway.dm3.eth import parse_address
    from gateway.errors import NotFound
    from gateway.lifecycle import now_ms
    from gateway.store.admins import AddAdmin, Admin, DropAdmin, IsAdmin
    from gateway.store.audit import Audit, AuditEntry

    address = parse_address(wallet)
    async with opened(config) as house:
        known = await house.store.read(IsAdmin(house.parent, address))
        if known is add:
            if add:
                return
            raise NotFound(f"{wallet} does not look after {house.parent}")
        now = now_ms()
        change = AddAdmin(Admin(house.parent, address, now)) if add else DropAdmin(house.parent, address)
        action = "admin.added" if add else "admin.removed"
        entry = AuditEntry(now, OPERATOR, action, house.parent, stringify({"admin": address}))
        await house.store.commit_all(change, Audit(entry))


def _keys(house: House) -> ApiKeys:
    from gateway.lifecycle import now_ms
    from gateway.subnames.api_keys import ApiKeys

    return ApiKeys(store=house.store, clock=now_ms)


@asynccontextmanager
async def _webhooks(config: Path | None) -> AsyncIterator[tuple[House, Webhooks]]:
    from gateway.custody.derive import webhook_sealing_key
    from gateway.custody.seed import load_seed
    from gateway.ens.egress import GuardedClient
    from gateway.lifecycle import now_ms
    from gateway.subnames.webhooks import Webhooks

    async with opened(config) as house:
        key = webhook_sealing_key(load_seed(house.settings.custody.seed_file))
        async with GuardedClient(allow_private=house.settings.chain.allow_private_gateways) as client:
            yield house, Webhooks(store=house.store, clock=now_ms, sealing_key=key, client=client)


def _time(milliseconds: int | None) -> str:
    if milliseconds is None:
        return ""
    return datetime.fromtimestamp(milliseconds / 1000, UTC).isoformat(timespec="minutes").removesuffix("+00:00")
