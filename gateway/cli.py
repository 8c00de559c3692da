"""The commands: thin, they parse, call and print."""

from __future__ import annotations

import asyncio
import json
import signal
from collections.abc import Callable, Coroutine, Iterable
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, Final, Literal

import typer
from typer.core import TyperGroup

from gateway import __version__
from gateway.cli_common import ConfigOption, err, out, parents_of, print_table
from gateway.errors import GatewayError
from gateway.observability import LogFormat, set_up_logging
from gateway.settings import Settings, find_config, load_settings, shown

if TYPE_CHECKING:
    from gateway.demo.ground import GivenChain
    from gateway.demo.homeserver import GivenHomeserver
    from gateway.demo.xmpp_side import GivenXmpp


ENDS: Final = (signal.SIGINT, signal.SIGTERM)


def _doctor() -> typer.Typer:
    from gateway.cli_doctor import app

    return app


def _names() -> typer.Typer:
    from gateway.cli_names import app

    return app


def _queue() -> typer.Typer:
    from gateway.cli_queue import app

    return app


def _keys() -> typer.Typer:
    from gateway.cli_secrets import app

    return app


def _backups(command: str) -> Callable[[], typer.Typer]:
    def load() -> typer.Typer:
        from gateway import cli_backup

        app: typer.Typer = getattr(cli_backup, f"{command}_app")
        return app

    return load


_LATER = {
    "backup": _backups("backup"),
    "doctor": _doctor,
    "keys": _keys,
    "names": _names,
    "queue": _queue,
    "restore": _backups("restore"),
    "verify": _backups("verify"),
}


class Commands(TyperGroup):
    """The commands; some are loaded when they are asked for: a node that serves needs none of them."""

    def list_commands(self, ctx: typer.Context) -> list[str]:  # type: ignore[override]
        return [*super().list_commands(ctx), *_LATER]

    def get_command(self, ctx: typer.Context, cmd_name: str) -> Any:  # type: ignore[override]
        if cmd_name not in _LATER:
            return super().get_command(ctx, cmd_name)
        command = typer.main.get_command(_LATER[cmd_name]())
        command.name = cmd_name
        return command


app = typer.Typer(
    name="dm3-gateway",
    cls=Commands,
    help="A DM3 delivery service that bridges ENS names to Matrix, XMPP and e-mail.",
    no_args_is_help=True,
    pretty_exceptions_enable=False,
)
config_app = typer.Typer(help="Look at the configuration.", no_args_is_help=True)
identities_app = typer.Typer(help="Look at bridged people.", no_args_is_help=True)
app.add_typer(config_app, name="config")
app.add_typer(identities_app, name="identities")

PortOption = Annotated[
    int | None, typer.Option(min=0, max=65535, help="A free one when absent and the usual one is taken, or when 0.")
]
LogLevel = Annotated[
    Literal["DEBUG", "INFO", "WARNING", "ERROR"], typer.Option(case_sensitive=False, help="What is worth a line.")
]


def main() -> None:
    """Run a command; a named error is one line for each fault and exit code 1, never a traceback."""
    try:
        app()
    except GatewayError as error:
        err.print(error.detail, style="red", markup=False)
        raise SystemExit(1) from None
    except OSError as error:
        # The last resort for a disk, a file or a socket that no name was given to.
        where = "" if error.filename is None else f"{error.filename}: "
        err.print(f"{where}{error.strerror or type(error).__name__}", style="red", markup=False)
        raise SystemExit(1) from None


def _version(wanted: bool) -> None:
    if wanted:
        out.print(__version__)
        raise typer.Exit


@app.callback()
def root(
    version: Annotated[bool, typer.Option("--version", callback=_version, is_eager=True, help="Print it.")] = False,
) -> None:
    """Global options."""


@app.command()
def serve(
    config: ConfigOption = None,
    log_level: LogLevel = "INFO",
    log_format: Annotated[LogFormat, typer.Option(help="console or json")] = "console",
) -> None:
    """Run this node until SIGINT or SIGTERM."""
    set_up_logging(log_level, log_format)
    path = find_config(config)
    settings = load_settings(path)
    from gateway.allocator import keep_freed_memory
    from gateway.operations.adapter_types import make_adapters
    from gateway.serving import serve_until

    keep_freed_memory()
    adapters = make_adapters(settings, path.resolve().parent)
    run(lambda stop: serve_until(settings, adapters, stop, path))


@app.command()
def init(
    folder: Annotated[Path, typer.Option("--dir", help="Folder for configuration, keys and database.")] = Path(),
    parent: Annotated[str | None, typer.Option(help="ENS name under which names are issued.")] = None,
    public_url: Annotated[str | None, typer.Option(help="How the world reaches this server.")] = None,
    rpc: Annotated[str | None, typer.Option(help="Ethereum JSON-RPC server.")] = None,
    chain_id: Annotated[int, typer.Option(help="Chain id of that server.")] = 1,
    resolver: Annotated[str | None, typer.Option(help="Address of the resolver contract, when it is known.")] = None,
    email_domain: Annotated[str | None, typer.Option(help="Switch e-mail on for this domain.")] = None,
    matrix_homeserver: Annotated[str | None, typer.Option(help="Switch Matrix on for the homeserver here.")] = None,
    matrix_server_name: Annotated[
        str | None, typer.Option(help="Its name in Matrix ids.", show_default="host of --matrix-homeserver")
    ] = None,
    xmpp_component: Annotated[
        str | None, typer.Option(help="Switch XMPP on, as this component of a server, such as dm3.example.org.")
    ] = None,
    xmpp_host: Annotated[
        str | None, typer.Option(help="Where that server listens for components.", show_default="127.0.0.1")
    ] = None,
    xmpp_port: Annotated[
        int | None, typer.Option(min=1, max=65535, help="The port there.", show_default="5347")
    ] = None,
    yes: Annotated[bool, typer.Option("--yes", help="Ask nothing.")] = False,
) -> None:
    """Make a new installation: configuration, seed and keys."""
    from gateway.dm3.eth import checksum
    from gateway.operations import installation
    from gateway.operations.adapter_types import new_keys
    from gateway.operations.installation import RELAY_KEY, SEED, SIGNER_KEY, VAPID_KEY
    from gateway.operations.next_steps import next_steps
    from gateway.resolver.signer import load_signer

    if matrix_server_name is not None and matrix_homeserver is None:
        raise typer.BadParameter("--matrix-server-name needs --matrix-homeserver")
    if xmpp_component is None and (xmpp_host is not None or xmpp_port is not None):
        raise typer.BadParameter("--xmpp-host and --xmpp-port need --xmpp-component")

    def answer(given: str | None, question: str, example: str) -> str:
        if given is not None:
            return given
        return example if yes else str(typer.prompt(question, default=example))

    adapters: dict[str, dict[str, Any]] = {}
    if email_domain:
        adapters["email"] = {"domain": email_domain}
    if matrix_homeserver:
        adapters["matrix"] = installation.matrix_table(matrix_homeserver, matrix_server_name)
    if xmpp_component:
        adapters["xmpp"] = installation.xmpp_table(xmpp_component, xmpp_host, xmpp_port)
    answers = installation.Answers(
        parent=answer(parent, "ENS name under which names are issued", "gw.example.eth"),
        public_url=answer(public_url, "Public address of this server", "https://gw.example"),
        rpc_url=answer(rpc, "Ethereum JSON-RPC server", "http://127.0.0.1:8545"),
        chain_id=chain_id,
        resolver_address=resolver,
        adapters=adapters,
        adapter_keys={name: new_keys(name) for name in adapters},
    )
    path = installation.create_installation(folder, answers)
    signer = load_signer(folder / SIGNER_KEY).address
    out.print(f"Wrote {path}, {SEED}, {RELAY_KEY}, {SIGNER_KEY} and {VAPID_KEY}.", markup=False)
    out.print(f"Back up {SEED} now: without it the keys of every bridged person are lost.", style="yellow")
    for paragraph in next_steps(folder, answers, checksum(signer)):
        out.print(f"\n{paragraph}", markup=False)


@app.command("registration")
def show_registration(
    network: Annotated[str, typer.Argument(help="The adapter, such as matrix.")],
    file: Annotated[
        str | None, typer.Argument(help="Which file, where there is one for each kind of server (xmpp).")
    ] = None,
    config: ConfigOption = None,
    output: Annotated[
        Path | None, typer.Option("--output", "-o", help="Write it here; a new file can be read by its owner only.")
    ] = None,
) -> None:
    """Print the file by which a server of another network knows this gateway; it holds secrets."""
    from gateway.operations.adapter_types import registration
    from gateway.operations.secret_files import replace_secret

    path = find_config(config)
    settings = load_settings(path)
    base, url = path.resolve().parent, settings.server.public_url
    text = registration(network, settings.adapters, base=base, public_url=url, file=file)
    if output is None:
        typer.echo(text, nl=False)
    else:
        replace_secret(output, text)
        out.print(f"Wrote {output}.", markup=False)


@app.command()
def migrate(
    config: ConfigOption = None,
    to: Annotated[str, typer.Option(help="Revision to go to; head is this version's.")] = "head",
) -> None:
    """Bring the database to a revision; a new database is created."""
    from gateway.store.migrate import bring_to, current

    url = load_settings(find_config(config)).store.url
    before = current(url)
    bring_to(url, to)
    out.print(f"Database schema: {before or 'none'} -> {current(url)}")


@config_app.command("check")
def config_check(config: ConfigOption = None) -> None:
    """Read the configuration and say whether it is right."""
    from gateway.operations.adapter_types import make_adapters
    from gateway.operations.installation import parent_name
    from gateway.resolver.registries.opening import zones

    path = find_config(config)
    settings = load_settings(path)
    adapters = make_adapters(settings, path.resolve().parent)
    zones(settings.ens.registries, parent_name(settings.ens.parent), adapters)
    out.print(f"{path}: right. Adapters: {', '.join(adapters) or 'none'}", markup=False)


@config_app.command("show")
def config_show(config: ConfigOption = None) -> None:
    """Print the configuration as it is in effect; secrets are hidden."""
    out.print_json(json.dumps(shown(load_settings(find_config(config)))))


@config_app.command("schema")
def config_schema() -> None:
    """Print the JSON schema of gateway.toml."""
    out.print_json(json.dumps(Settings.model_json_schema()))


@identities_app.command("list")
def identities_list(
    config: ConfigOption = None,
    network: Annotated[str | None, typer.Option(help="Of this network only.")] = None,
    limit: Annotated[int, typer.Option(min=1, max=10_000)] = 100,
) -> None:
    """List bridged people, oldest first."""
    from gateway.ids import Network
    from gateway.store.identities import Identity, ListIdentities

    async def work(settings: Settings) -> list[Identity]:
        from gateway.store import Store

        async with await Store.open(settings.store.url) as store:
            return await store.read(ListIdentities(Network(network) if network else None, limit))

    found = asyncio.run(work(load_settings(find_config(config))))
    rows = [(each.name, each.network, each.canonical_id, each.level, each.address) for each in found]
    print_table(("name", "network", "person", "trust", "address"), rows)


@identities_app.command("delete")
def identities_delete(
    name: Annotated[str, typer.Argument(help="The name that we gave them, as `list` shows it.")],
    config: ConfigOption = None,
    yes: Annotated[bool, typer.Option("--yes", help="Ask nothing.")] = False,
) -> None:
    """Delete a bridged person for good: keys, messages that wait, and whatever is known about them."""
    from gateway.custody.derive import tombstone
    from gateway.custody.seed import load_seed
    from gateway.errors import NotFound
    from gateway.ids import EnsName
    from gateway.joining.burying import bury
    from gateway.store import Store
    from gateway.store.identities import IdentityNamed

    settings = load_settings(find_config(config))
    parents = parents_of(settings)
    if not yes:
        typer.confirm(f"Delete the keys of {name} and all that is known about them? Nobody can undo it.", abort=True)

    async def work() -> int:
        async with await Store.open(settings.store.url) as store:
            person = await store.read(IdentityNamed(EnsName(name)))
            if person is None:
                raise NotFound(f"{name} is nobody's name here")
            seed = load_seed(settings.custody.seed_file)
            mark = tombstone(seed, person.network, person.canonical_id)
            return await bury(store, person, mark, parents=parents)

    rows = asyncio.run(work())
    out.print(f"Deleted; {rows} rows went. What the adapter remembers goes within a minute when a node runs.")


@app.command()
def demo(
    once: Annotated[bool, typer.Option("--once", help="End after the story; exit 0 only if every step held.")] = False,
    only: Annotated[str, typer.Option(help="Peers to take part, e.g. email,matrix,xmpp.")] = "",
    no_matrix: Annotated[bool, typer.Option("--no-matrix", help="Leave Matrix out.")] = False,
    no_xmpp: Annotated[bool, typer.Option("--no-xmpp", help="Leave XMPP out.")] = False,
    gateway_port: PortOption = None,
    rpc_port: PortOption = None,
    smtp_port: PortOption = None,
    rpc: Annotated[str | None, typer.Option(help="A chain of yours instead of ours; with --resolver.")] = None,
    resolver: Annotated[str | None, typer.Option(help="Resolver contract of gw.eth on that chain.")] = None,
    signer_key: Annotated[
        Path | None, typer.Option("--signer-key", help="File with the key that this contract believes.")
    ] = None,
    matrix_homeserver: Annotated[
        str | None, typer.Option(help="A homeserver of yours instead of ours; with --matrix-registration.")
    ] = None,
    matrix_registration: Annotated[
        Path | None, typer.Option(help="The registration file by which it knows this demo.")
    ] = None,
    xmpp_component: Annotated[
        str | None,
        typer.Option(
            metavar="DOMAIN@HOST:PORT",
            help="A component of an XMPP server of yours instead of ours; with --xmpp-secret.",
        ),
    ] = None,
    xmpp_secret: Annotated[str | None, typer.Option(help="What that server knows of it.")] = None,
    folder: Annotated[Path, typer.Option("--dir", help="Where the demo's files go; emptied first.")] = Path(".demo"),
    log_level: LogLevel = "ERROR",
) -> None:
    """A whole world on this machine: chain, relay, mail, Matrix, XMPP, and a told story of real messages."""
    from gateway.demo.options import DemoOptions
    from gateway.demo.run import run_demo

    set_up_logging(log_level)
    options = DemoOptions(
        folder=folder,
        once=once,
        only=tuple(filter(None, only.split(","))),
        without=tuple(peer for peer, out in (("matrix", no_matrix), ("xmpp", no_xmpp)) if out),
        gateway_port=gateway_port,
        rpc_port=rpc_port,
        smtp_port=smtp_port,
        chain=_given_chain(rpc, resolver, signer_key),
        homeserver=_given_homeserver(matrix_homeserver, matrix_registration),
        xmpp=_given_xmpp(xmpp_component, xmpp_secret),
    )
    # SIGHUP: its terminal is closed. The servers that it started are in sessions of their own, and would go on.
    held = run(lambda stop: run_demo(options, out.console, stop), ends=(*ENDS, signal.SIGHUP))
    raise SystemExit(0 if held else 1)


def _given_chain(rpc: str | None, resolver: str | None, signer_key: Path | None) -> GivenChain | None:
    from gateway.demo.ground import GivenChain
    from gateway.dm3.eth import parse_address

    given = (rpc, resolver, signer_key)
    if not any(given):
        return None
    if rpc is None or resolver is None or signer_key is None:
        raise typer.BadParameter("--rpc, --resolver and --signer-key go together")
    return GivenChain(rpc, parse_address(resolver), signer_key)


def _given_homeserver(url: str | None, registration: Path | None) -> GivenHomeserver | None:
    from gateway.demo.homeserver import GivenHomeserver

    if url is None and registration is None:
        return None
    if url is None or registration is None:
        raise typer.BadParameter("--matrix-homeserver and --matrix-registration go together")
    return GivenHomeserver(url, registration)


def _given_xmpp(component: str | None, secret: str | None) -> GivenXmpp | None:
    from gateway.demo.xmpp_side import GivenXmpp

    if component is None and secret is None:
        return None
    if component is None or secret is None:
        raise typer.BadParameter("--xmpp-component and --xmpp-secret go together")
    domain, at, server = component.partition("@")
    host, colon, port = server.rpartition(":")
    if not (domain and at and host and colon and port.isdecimal()):
        raise typer.BadParameter("--xmpp-component is DOMAIN@HOST:PORT, such as dm3.example.org@127.0.0.1:5347")
    return GivenXmpp(domain, host, int(port), secret)


def run(work: Any, *, ends: Iterable[signal.Signals] = ENDS) -> Any:
    """Run `work(stop)` on uvloop where there is one; `stop` is set by the signals of `ends`."""
    try:
        from uvloop import new_event_loop
    except ImportError:
        new_event_loop = None  # type: ignore[assignment]

    async def with_signals() -> Any:
        stop = asyncio.Event()
        loop = asyncio.get_running_loop()
        for number in ends:
            # nohup wants it to go on.
            if number is not signal.SIGHUP or signal.getsignal(number) is not signal.SIG_IGN:
                loop.add_signal_handler(number, stop.set)
        coroutine: Coroutine[Any, Any, Any] = work(stop)
        return await coroutine

    with asyncio.Runner(loop_factory=new_event_loop) as runner:
        return runner.run(with_signals())
