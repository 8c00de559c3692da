"""The commands about keys of the gateway itself: copies of them, and others in their place."""

from __future__ import annotations

import asyncio
from collections.abc import Coroutine
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, Literal

import typer

from gateway.cli_common import ConfigOption, counting, err, opened, out
from gateway.errors import ConfigError
from gateway.observability import set_up_logging
from gateway.settings import find_config, load_settings

if TYPE_CHECKING:
    from gateway.operations.rotation import Report
    from gateway.settings import Settings

app = typer.Typer(no_args_is_help=True, add_completion=False, pretty_exceptions_enable=False)

DAY_MS = 24 * 3600 * 1000
Which = Literal["resolver", "relay", "people", "email", "matrix", "xmpp", "vapid"]


@app.callback()
def keys() -> None:
    """Copy keys to a safe place, bring them back, change them."""
    set_up_logging("ERROR")


@app.command("backup")
def keys_backup(
    to: Annotated[str, typer.Option(help="age1... recipient that they are encrypted for.")],
    file: Annotated[Path, typer.Argument(help="Where to.", show_default=True)] = Path("dm3-gateway-keys.age"),
    config: ConfigOption = None,
) -> None:
    """Write configuration, seed and every key and secret into one file, encrypted; it is never written otherwise."""
    from gateway.operations.key_backup import collect_keys, seal_keys
    from gateway.operations.secret_files import replace_secret

    path = find_config(config)
    ring = collect_keys(load_settings(path), path)
    replace_secret(file, seal_keys(ring, to).decode("latin-1"), encoding="latin-1")
    for each in ring.files:
        err.print(f"{each.setting}: {each.path}", markup=False)
    err.print(
        f"Seed {ring.seed}. Try at once whether it comes back: keys restore {file} -i KEYFILE --dir /tmp/try",
        markup=False,
    )
    typer.echo(file)


@app.command("restore")
def keys_restore(
    file: Annotated[Path, typer.Argument(help="What `keys backup` wrote.")],
    identity: Annotated[Path, typer.Option("--identity", "-i", help="File with the AGE-SECRET-KEY that opens it.")],
    folder: Annotated[Path, typer.Option("--dir", help="Folder of the configuration; made when it is not there.")],
    replace_files: Annotated[bool, typer.Option("--replace", help="Overwrite files that differ.")] = False,
) -> None:
    """Write every file back. What is there and differs stays, and then nothing is written, unless --replace."""
    from gateway.operations.key_backup import put_back, unseal_keys

    try:
        sealed = file.read_bytes()
    except OSError as error:
        raise ConfigError(f"{file}: cannot be read: {error.strerror}") from error
    for path, what in put_back(unseal_keys(sealed, identity), folder, replace=replace_files).items():
        out.print(f"{path}: {what}", markup=False)


@app.command("rotate")
def keys_rotate(
    which: Annotated[Which, typer.Argument(help="Whose key.")],
    config: ConfigOption = None,
    owner_key: Annotated[
        Path | None, typer.Option(help="resolver: file with the key of the contract's owner, to send its transactions.")
    ] = None,
    wait: Annotated[bool, typer.Option("--wait", help="resolver: go on until the rotation is finished.")] = False,
    gateway_url: Annotated[
        str | None, typer.Option(help="resolver: the running gateway, when not at server.public_url.")
    ] = None,
    skew: Annotated[float, typer.Option(min=0, help="resolver: seconds by which clocks may differ.")] = 60.0,
    network: Annotated[str, typer.Option(help="people: of this network.")] = "",
) -> None:
    """Do the next step of changing a key, and say what comes after; run again for the next.

    No message and no look-up is lost meanwhile. Where a change stands is read from files and from what is published.
    """
    path = find_config(config)
    settings = load_settings(path)
    match which:
        case "resolver":
            url = (gateway_url or settings.server.public_url).rstrip("/")
            _run(_rotate_resolver(settings, owner_key, url, skew, wait=wait))
        case "relay":
            _run(_rotate_relay(settings))
        case "people":
            if not network:
                raise typer.BadParameter("people: --network says of which network")
            _run(_rotate_people(path, network))
        case "email":
            from gateway.operations.rotation_brought import rotate_brought

            brought = rotate_brought(which, settings, path, datetime.now(UTC).date())
            for line in (brought.done, brought.coming):
                out.print(line, markup=False)
            for line in brought.lines:
                typer.echo(line)
        case "vapid" | "matrix" | "xmpp":
            from gateway.operations.rotation_shared import rotate_shared, rotate_vapid

            report = (
                rotate_vapid(settings) if which == "vapid" else rotate_shared(which, settings, path.resolve().parent)
            )
            for line in (report.done, report.coming):
                out.print(line, markup=False)


def _run(work: Coroutine[Any, Any, None]) -> None:
    asyncio.run(work)


async def _rotate_resolver(settings: Settings, owner_key: Path | None, url: str, skew: float, *, wait: bool) -> None:
    from gateway.operations.rotation import opened_rotation

    async with opened_rotation(settings, owner_key, url, skew) as rotation:
        told = None
        while True:
            report = await rotation.advance()
            if told is None or replace(report, seconds=0) != replace(told, done=(), seconds=0):
                _tell(told := report)
            if report.finished or not wait:
                return
            await asyncio.sleep(1)


async def _rotate_relay(settings: Settings) -> None:
    from gateway.operations.rotation_relay import opened_relay_rotation
    from gateway.relay.keys import load_one

    async with opened_relay_rotation(settings, load_one) as rotation:
        _tell(await rotation.advance())


async def _rotate_people(config: Path, network: str) -> None:
    from gateway.custody.keyring import Keyring
    from gateway.custody.seed import load_seed
    from gateway.ids import Network
    from gateway.lifecycle import now_ms
    from gateway.operations.rotation_people import rotate_people

    async with opened(config) as house:
        ttl = house.settings.relay.message_ttl_days * DAY_MS
        seed = load_seed(house.settings.custody.seed_file)
        # Addresses depend on seed, salt and epoch alone; the profile is made by the nodes.
        keyring = Keyring(seed, delivery_services=(), max_ttl_ms=ttl)
        with counting("new keys") as told:
            done = await rotate_people(house.store, keyring, Network(network), now=now_ms(), ttl_ms=ttl, told=told)
    out.print(
        f"{done.changed} people of {network} have new keys; {done.too_soon} had new ones a short time ago;"
        f" {done.linked} are linked to a name of a wallet, which would have to sign anew, and stay as they are.",
        markup=False,
    )
    out.print(f"Mail to the old keys is opened for {ttl // DAY_MS} days; then they are gone.", markup=False)


def _tell(report: Report) -> None:
    pause = f"Wait {report.seconds:.0f} s. " if report.seconds else ""
    for line in (*report.done, pause + report.coming):
        out.print(line, markup=False)
    for each in report.to_send:
        out.print(f"  {each.meaning}\n    to   {each.to}\n    data 0x{each.data.hex()}", markup=False)
