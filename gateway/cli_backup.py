"""The commands about backups; they work beside a running node, except that nothing is restored under one."""

from __future__ import annotations

import asyncio
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from gateway.cli_common import ConfigOption, err, out, parents_of
from gateway.errors import ConfigError
from gateway.observability import set_up_logging
from gateway.settings import Settings, find_config, load_settings

if TYPE_CHECKING:
    from gateway.custody.keyring import Keyring
    from gateway.custody.seed import MasterSeed
    from gateway.operations.age import Identity
    from gateway.operations.backup_file import OpenedBackup
    from gateway.sdk.examination import Finding
    from gateway.store.snapshot import Progress

backup_app = typer.Typer(add_completion=False, pretty_exceptions_enable=False)
verify_app = typer.Typer(add_completion=False, pretty_exceptions_enable=False)
restore_app = typer.Typer(add_completion=False, pretty_exceptions_enable=False)

DAY_MS = 24 * 3600 * 1000
_COLOURS = {"ok": "green", "warn": "yellow", "fail": "red"}

IdentityOption = Annotated[
    Path | None, typer.Option("--identity", "-i", help="File with the AGE-SECRET-KEY that opens the backup.")
]


@backup_app.command()
def backup(
    folder: Annotated[Path | None, typer.Argument(metavar="[DIR]", help="Where to.", show_default="./backups")] = None,
    config: ConfigOption = None,
    to: Annotated[str | None, typer.Option(help="Encrypt it for this age1... recipient.")] = None,
    plain: Annotated[bool, typer.Option("--plain", help="Do not encrypt it.")] = False,
    with_keys: Annotated[bool, typer.Option("--with-keys", help="With seed and keys; encrypted only.")] = False,
    keep: Annotated[int | None, typer.Option(min=1, help="Delete the oldest in DIR beyond so many.")] = None,
) -> None:
    """Copy the database into one file, beside a running node. The file's path is printed."""
    from gateway.operations.backup import Order, make_backup, near_database
    from gateway.operations.ending import orderly_end
    from gateway.operations.scratch import scratch_folder

    set_up_logging("ERROR")
    path = find_config(config)
    settings = load_settings(path)
    recipient = to or settings.operation.backup_recipient
    if plain and to is not None:
        raise typer.BadParameter("--plain and --to exclude each other")
    if recipient is None and not plain:
        raise ConfigError(
            "a backup holds who writes to whom: --to age1... or operation.backup_recipient encrypts it,"
            " --plain says that it need not be"
        )
    order = Order(
        folder=folder or settings.operation.backup_folder,
        recipient=None if plain else recipient,
        with_keys=with_keys,
        keep=keep,
    )
    near = near_database(settings.store.url, path)
    with orderly_end() as ending, scratch_folder(near) as scratch, _pages() as progress:

        def told(done: int, total: int) -> None:
            ending.check()
            progress(done, total)

        made = asyncio.run(make_backup(settings, path, order, scratch, told))
    rows = sum(made.manifest.counts.values())
    err.print(f"{rows} rows of schema {made.manifest.revision}; {made.path.stat().st_size} bytes.", markup=False)
    for old in made.removed:
        err.print(f"Removed {old}.", markup=False)
    typer.echo(made.path)


@verify_app.command()
def verify(
    file: Annotated[Path | None, typer.Argument(help="A backup.")] = None,
    config: ConfigOption = None,
    live: Annotated[bool, typer.Option("--live", help="The database that the configuration names.")] = False,
    identity: IdentityOption = None,
    scratch: Annotated[
        str | None, typer.Option(help="An empty PostgreSQL database to bring a backup of one back into, to look at it.")
    ] = None,
) -> None:
    """Look whether a backup, or the running database, is whole. Exit code 1 when it is not."""
    set_up_logging("ERROR")
    if (file is None) is not live:
        raise typer.BadParameter("name a backup, or say --live")
    path = find_config(config)
    settings = load_settings(path)
    found = _verify_live(settings) if file is None else _verify_file(settings, path, file, identity, scratch)
    for each in found:
        out.print(f"{each.state:<4}  {each.check}: {each.found}", style=_COLOURS[each.state], markup=False)
        if each.fix:
            out.print(f"      {each.fix}", markup=False)
    raise typer.Exit(1 if any(each.state == "fail" for each in found) else 0)


@restore_app.command()
def restore(
    file: Annotated[Path, typer.Argument(help="A backup.")],
    config: ConfigOption = None,
    identity: IdentityOption = None,
    to: Annotated[str | None, typer.Option(help="Another database than store.url.")] = None,
    replace: Annotated[
        bool, typer.Option("--replace", help="Put it in the place of a database that is not empty.")
    ] = False,
    dry_run: Annotated[bool, typer.Option("--dry-run", help="Say what would happen; change nothing.")] = False,
    tombstones: Annotated[
        list[Path] | None,
        typer.Option(
            exists=True, dir_okay=False, help="Another file of who was deleted, as of another node; repeat it."
        ),
    ] = None,
) -> None:
    """Bring a backup back: sessions end, who was deleted stays deleted, what was delivered is not delivered again."""
    from gateway.joining.burying import bury
    from gateway.operations import restore as restoring
    from gateway.operations.tombstone_file import read_tombstones

    set_up_logging("ERROR")
    path = find_config(config)
    settings = load_settings(path)
    url, seed, parents = to or settings.store.url, _seed(settings), parents_of(settings)
    files = [settings.operation.tombstone_file, *(tombstones or ())]
    buried = tuple(digest for each in files for digest in read_tombstones(each))

    async def work(opened: OpenedBackup) -> None:
        plan = await restoring.plan_restore(opened, url, seed, buried, replacing=replace)
        for sentence in plan.sentences():
            out.print(sentence, markup=False)
        if dry_run:
            out.print("Nothing was changed.")
            return
        done = await restoring.restore(opened, plan, seed, partial(bury, parents=parents))
        renewed = done.renewed
        out.print(
            f"Restored, epoch {renewed.epoch}: {renewed.sessions} sessions and codes ended, "
            f"{renewed.delivered} messages were done with, "
            f"{done.deleted} people and {renewed.closed} accounts deleted again, {renewed.revoked} rights ended again.",
            markup=False,
        )
        for word, sentence in restoring.what_is_next(plan, done).items():
            out.print(f"{word}: {sentence}", markup=False)

    with _taken_apart(file, url, path, identity) as opened:
        asyncio.run(work(opened))


def _verify_live(settings: Settings) -> Sequence[Finding]:
    from gateway.operations.verify import examine
    from gateway.store import Store

    async def work() -> Sequence[Finding]:
        async with await Store.open(settings.store.url) as store:
            return await examine(store, _keyring(settings))

    return asyncio.run(work())


def _verify_file(
    settings: Settings, config: Path, file: Path, identity: Path | None, scratch: str | None
) -> Sequence[Finding]:
    from gateway.operations.verify import examine_backup

    with _taken_apart(file, settings.store.url, config, identity) as opened:
        return asyncio.run(examine_backup(opened, _keyring(settings), scratch))


@contextmanager
def _taken_apart(file: Path, url: str, config: Path, identity: Path | None) -> Iterator[OpenedBackup]:
    from gateway.operations.age import identity_in
    from gateway.operations.backup import near_database
    from gateway.operations.backup_file import open_backup
    from gateway.operations.ending import orderly_end
    from gateway.operations.scratch import scratch_folder

    key: Identity | None = None if identity is None else identity_in(identity)
    near = near_database(url, config)
    if not near.is_dir():
        raise ConfigError(f"store.url: there is no folder {near}")
    with orderly_end(), scratch_folder(near) as scratch:
        yield open_backup(file, scratch, key)


def _seed(settings: Settings) -> MasterSeed:
    from gateway.custody.seed import load_seed

    return load_seed(settings.custody.seed_file)


def _keyring(settings: Settings) -> Keyring:
    from gateway.custody.keyring import Keyring

    return Keyring(_seed(settings), delivery_services=(), max_ttl_ms=settings.relay.message_ttl_days * DAY_MS)


@contextmanager
def _pages() -> Iterator[Progress]:
    """A bar while pages are copied; nothing where nobody looks."""
    if not err.is_terminal:
        yield lambda done, total: None
        return
    from rich.progress import Progress as Bar

    with Bar(console=err.console, transient=True) as bar:
        task = bar.add_task("Copying", total=None)
        yield lambda done, total: bar.update(task, completed=done, total=total)
