"""Commands about the names that this gateway issues."""

from __future__ import annotations

import asyncio
import io
import sys
from collections.abc import Awaitable, Callable, Iterator, Sequence
from datetime import UTC, datetime
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, BinaryIO, Literal

import typer

from gateway.cli_common import (
    CHOSEN_PARENT,
    OPERATOR,
    ConfigOption,
    House,
    counting,
    err,
    name_below,
    opened,
    out,
    print_table,
)
from gateway.cli_keys import admins_app, keys_app, webhooks_app

if TYPE_CHECKING:
    from gateway.ids import EnsName
    from gateway.store.names import NameRow
    from gateway.subnames.bulk import Bulk, Report, Source

app = typer.Typer(
    help="Issue names, look at them, and carry them in and out.", no_args_is_help=True, add_completion=False
)
audit_app = typer.Typer(help="What was done to names, by whom.", no_args_is_help=True)
app.add_typer(audit_app, name="audit")
app.add_typer(keys_app, name="keys")
app.add_typer(webhooks_app, name="webhooks")
app.add_typer(admins_app, name="admins")

SHOWN_ERRORS = 50
PAGE = 1000

Format = Literal["csv", "json", "jsonl"]
FormatOption = Annotated[Format | None, typer.Option("--format", help="Of the file; from its ending when absent.")]
OverwriteOption = Annotated[bool, typer.Option("--overwrite", help="Replace names in use that say something else.")]
ReservedOption = Annotated[bool, typer.Option("--reserved-too", help="Give out names that are kept back.")]
AlikeOption = Annotated[bool, typer.Option("--alike-too", help="Take names that look like another one.")]


@app.callback()
def names(
    parent: Annotated[
        str | None, typer.Option(help="One of `subnames.parents`; the gateway's own when absent.")
    ] = None,
) -> None:
    """Issue names, look at them, and carry them in and out."""
    CHOSEN_PARENT.set(parent)


@app.command("list")
def names_list(
    config: ConfigOption = None,
    containing: Annotated[str, typer.Option(help="Only names that hold this text.")] = "",
    listed: Annotated[bool, typer.Option("--listed", help="Only names that want to be found.")] = False,
    limit: Annotated[int, typer.Option(min=1, max=10_000)] = 100,
) -> None:
    """List names in use, sorted by their labels from the right."""
    from gateway.store.names import ListNames
    from gateway.subnames.names_file import iso_of

    async def work() -> list[NameRow]:
        async with opened(config) as house:
            return await house.store.read(ListNames(house.parent, limit, listed=listed, containing=containing))

    rows = []
    for row in asyncio.run(work()):
        until = "" if row.expires_at is None else iso_of(row.expires_at)
        rows.append((row.name, row.owner or "", until, "yes" if row.listed else "", row.origin.value))
    print_table(("name", "owner", "until", "listed", "came by"), rows)


@app.command("add")
def names_add(
    name: Annotated[str, typer.Argument(help="The name, or its label below the parent.")],
    config: ConfigOption = None,
    owner: Annotated[str, typer.Option(help="Wallet that may change it.")] = "",
    expires: Annotated[str, typer.Option(help="End of its term, ISO 8601.")] = "",
    record: Annotated[list[str] | None, typer.Option(help="key=value, such as text:url=https://…; repeat it.")] = None,
    listed: Annotated[bool, typer.Option("--listed", help="Let it be found in the directory.")] = False,
    overwrite: OverwriteOption = False,
    reserved_too: ReservedOption = False,
    alike_too: AlikeOption = False,
) -> None:
    """Issue one name."""
    from gateway.subnames.bulk import Import
    from gateway.subnames.names_file import csv_line

    fields = {"owner": owner, "expires": expires, "listed": str(listed), **_records(record or [])}

    async def work() -> Report:
        async with opened(config) as house:
            keys = ["name", *fields]
            line = csv_line(keys) + csv_line([name_below(name, house.parent), *fields.values()])
            how = Import(OPERATOR, overwrite=overwrite, reserved_too=reserved_too, alike_too=alike_too)
            return await _bulk(house).apply(_source(line.encode(), "csv", house), how)

    report = asyncio.run(work())
    for error in report.errors:
        err.print(_clean(error.sentence), style="red", markup=False)
    if report.failed:
        raise typer.Exit(1)
    out.print("Added." if report.new else "Changed." if report.changed else "It was there already.")


@app.command("import")
def names_import(
    file: Annotated[str, typer.Argument(help="The file, - for standard input.")],
    config: ConfigOption = None,
    file_format: FormatOption = None,
    dry_run: Annotated[bool, typer.Option("--dry-run", help="Check everything, write nothing.")] = False,
    each: Annotated[bool, typer.Option("--each", help="Write what is right; else one wrong row stops all.")] = False,
    overwrite: OverwriteOption = False,
    reserved_too: ReservedOption = False,
    alike_too: AlikeOption = False,
    zone: Annotated[bool, typer.Option("--zone", help="The signed file of a whole zone.")] = False,
    signer: Annotated[str, typer.Option(help="With --zone: who must have signed it.")] = "",
) -> None:
    """Issue the names of a file. Exit code 1 when a row is wrong."""
    if zone:
        from gateway.cli_zone import zone_import

        zone_import(Path(file), config, dry_run=dry_run, overwrite=overwrite, signer=signer)
        return
    from gateway.subnames.bulk import Import, Mode

    kind = file_format or _format_of(file)
    data = _read(file)
    how = Import(OPERATOR, Mode.EACH if each else Mode.ALL, overwrite, reserved_too, alike_too)

    async def work() -> Report:
        async with opened(config) as house:
            bulk, source = _bulk(house), _source(data, kind, house)
            with counting("Checking" if dry_run else "Importing") as progress:
                return await (bulk.check if dry_run else bulk.apply)(source, how, progress=progress)

    report = asyncio.run(work())
    for error in report.errors[:SHOWN_ERRORS]:
        subject = f" {error.name}:" if error.name else ""
        err.print(_clean(f"{file}:{error.line}:{subject} {error.sentence}"), markup=False)
    if report.failed > SHOWN_ERRORS:
        err.print(f"… and {report.failed - SHOWN_ERRORS:,} more.")
    out.print(_summary(report, dry_run=dry_run))
    if report.failed:
        raise typer.Exit(1)


@app.command("export")
def names_export(
    file: Annotated[str, typer.Argument(help="The file, - for standard output.")] = "-",
    config: ConfigOption = None,
    file_format: FormatOption = None,
    zone: Annotated[bool, typer.Option("--zone", help="The whole zone, signed, for a second gateway.")] = False,
) -> None:
    """Write all names in use to a file."""
    if zone:
        from gateway.cli_zone import zone_export

        zone_export(file, config)
        return
    kind = file_format or ("csv" if file == "-" else _format_of(file))

    async def work(sink: BinaryIO) -> str:
        async with opened(config) as house:
            with counting("Exporting") as progress:
                return f"{await _export(house, kind, sink, progress):,} names written."

    told = write_to(file, work)
    err.print(told)


@app.command("reserve")
def names_reserve(
    name: Annotated[str, typer.Argument(help="The name, or its label below the parent.")],
    config: ConfigOption = None,
    holder: Annotated[str, typer.Option("--for", help="The one wallet that may claim it all the same.")] = "",
    block: Annotated[bool, typer.Option("--block", help="Refuse it to everybody.")] = False,
    note: Annotated[str, typer.Option(help="Why; only the operator sees it.")] = "",
    drop: Annotated[bool, typer.Option("--drop", help="Keep it back no longer.")] = False,
) -> None:
    """Keep a name back; whoever has it keeps it."""
    from gateway.dm3.canonical import stringify
    from gateway.dm3.eth import parse_address
    from gateway.errors import NotFound
    from gateway.lifecycle import now_ms
    from gateway.store.audit import Audit, AuditEntry
    from gateway.store.reservations import DropReservation, Hold, PutReservation, Reservation, ReservationOf

    if block and holder:
        raise typer.BadParameter("a blocked name is for nobody: --for or --block, not both")

    async def work() -> EnsName:
        async with opened(config) as house:
            full, now = name_below(name, house.parent), now_ms()
            if drop and await house.store.read(ReservationOf(full)) is None:
                raise NotFound(f"{full} is not kept back")
            wallet = parse_address(holder) if holder else None
            kept = Reservation(full, Hold.BLOCKED if block else Hold.RESERVED, wallet, note, now)
            action = "name.unreserved" if drop else "name.reserved"
            detail = stringify({} if drop else {"hold": kept.kind.value, "holder": wallet})
            entry = Audit(AuditEntry(now, OPERATOR, action, full, detail))
            await house.store.commit_all(DropReservation(full) if drop else PutReservation(kept), entry)
            return full

    full = asyncio.run(work())
    out.print(f"{full} is {'free' if drop else 'blocked' if block else 'reserved'}.", markup=False)


@app.command("release")
def names_release(
    name: Annotated[str, typer.Argument(help="The name, or its label below the parent.")],
    config: ConfigOption = None,
) -> None:
    """Take a name from whoever has it; it then rests before anybody else may have it."""
    from gateway.errors import NotFound
    from gateway.lifecycle import now_ms
    from gateway.store.links import UnlinkName
    from gateway.store.names import NameNamed
    from gateway.store.ownership import ReplaceName
    from gateway.subnames.changes import Change
    from gateway.subnames.events import EventType
    from gateway.subnames.orders import released

    async def work() -> EnsName:
        async with opened(config) as house:
            full, now = name_below(name, house.parent), now_ms()
            row = await house.store.read(NameNamed(full))
            if row is None or row.released_at is not None:
                raise NotFound(f"nobody has {full}")
            change = Change(EventType.RELEASED, full, house.parent, OPERATOR, now, {"owner": row.owner})
            await house.store.commit_all(ReplaceName(released(row, now)), UnlinkName(full), *change.told())
            return full

    out.print(f"{asyncio.run(work())} is released.", markup=False)


@audit_app.command("verify")
def audit_verify(
    config: ConfigOption = None,
    expect: Annotated[str, typer.Option(help="A digest kept from an earlier run, which must be in the chain.")] = "",
) -> None:
    """Check that no entry was changed or taken out. Exit code 1 at the first that does not fit."""
    from gateway.store.audit import BEGINNING, AuditPage, first_break

    wanted = expect.lower().removeprefix("0x")

    async def work() -> tuple[int, str, bool]:
        count, last, met = 0, BEGINNING, not wanted or wanted == BEGINNING.hex()
        async with opened(config) as house:
            with counting("Verifying") as progress:
                seq = 0
                while page := await house.store.read(AuditPage(seq, PAGE)):
                    broken = await asyncio.to_thread(first_break, last, page)
                    if broken is not None:
                        when = datetime.fromtimestamp(broken.entry.at / 1000, UTC).isoformat(timespec="seconds")
                        text = (
                            f"entry {broken.seq} ({broken.entry.action} of {broken.entry.subject}, {when}) does not fit"
                        )
                        err.print(_clean(f"Broken: {text} what stands before it."), style="red", markup=False)
                        raise typer.Exit(1)
                    met = met or any(each.digest.hex() == wanted for each in page)
                    count, seq, last = count + len(page), page[-1].seq, page[-1].digest
                    progress(count)
        return count, last.hex(), met

    count, last, met = asyncio.run(work())
    out.print(f"{count:,} entries, last digest {last}")
    if not met:
        err.print("The expected digest is not in the chain: it was cut off or written anew.", style="red")
        raise typer.Exit(1)


@audit_app.command("show")
def audit_show(
    name: Annotated[str, typer.Argument(help="The name, or its label below the parent.")],
    config: ConfigOption = None,
    limit: Annotated[int, typer.Option(min=1, max=10_000)] = 50,
) -> None:
    """What was done to one name, newest first."""
    from gateway.store.audit import LatestEntries, LoggedEntry

    async def work() -> list[LoggedEntry]:
        async with opened(config) as house:
            return await house.store.read(LatestEntries(name_below(name, house.parent), limit))

    rows = []
    for each in asyncio.run(work()):
        when = datetime.fromtimestamp(each.entry.at / 1000, UTC).isoformat(timespec="seconds")
        rows.append((when, each.entry.actor, each.entry.action, each.entry.detail))
    print_table(("when", "by", "what", "detail"), rows)


def write_to(file: str, work: Callable[[BinaryIO], Awaitable[str]]) -> str:
    """Run ``work`` on standard output, or on a file that is there only when all of it is."""
    from gateway.errors import ConfigError

    async def run(sink: BinaryIO) -> str:
        return await work(sink)

    if file == "-":
        told = asyncio.run(run(sys.stdout.buffer))
        sys.stdout.buffer.flush()
        return told
    path = Path(file)
    part = path.with_name(f"{path.name}.part")
    try:
        with part.open("wb") as sink:
            told = asyncio.run(run(sink))
        part.replace(path)
    except OSError as error:
        raise ConfigError(f"{file}: cannot be written: {error.strerror}") from None
    finally:
        part.unlink(missing_ok=True)
    return told


async def _export(house: House, kind: Format, sink: BinaryIO, progress: Callable[[int], None]) -> int:
    from gateway.subnames.names_file import csv_header, csv_row, json_row, keys_of

    keys: list[str] = []
    if kind == "csv":
        found: set[str] = set()
        async for rows in _pages(house):
            found |= keys_of(rows)
        keys = sorted(found)
        sink.write(csv_header(keys).encode())
    count = 0
    async for rows in _pages(house):
        for row in rows:
            if kind == "csv":
                # A kind of record that came between the two rounds is left out with its name's other news.
                sink.write(csv_row(row, keys).encode())
            elif kind == "jsonl":
                sink.write(f"{json_row(row)}\n".encode())
            else:
                sink.write(f"{',' if count else '['}\n{json_row(row)}".encode())
            count += 1
        progress(count)
    if kind == "json":
        sink.write(b"\n]\n" if count else b"[]\n")
    return count


async def _pages(house: House) -> Any:
    from gateway.store.names import ListNames

    after: EnsName | None = None
    while rows := await house.store.read(ListNames(house.parent, PAGE, after)):
        yield rows
        after = rows[-1].name


def _bulk(house: House) -> Bulk:
    from gateway.lifecycle import now_ms
    from gateway.offload import Offload
    from gateway.subnames.bulk import Bulk
    from gateway.subnames.events import news_of_import
    from gateway.subnames.labels import check_file_name
    from gateway.subnames.registrar import skeleton_of

    return Bulk(
        store=house.store,
        clock=now_ms,
        offload=Offload(),
        check=partial(check_file_name, parent=house.parent, parents=house.policies),
        skeleton_of=partial(skeleton_of, parent=house.parent),
        rest_ms=house.policies[house.parent].rest,
        tell=news_of_import(house.parent),
    )


def _source(data: bytes, kind: Format, house: House) -> Source:
    from gateway.lifecycle import now_ms
    from gateway.subnames.names_file import FileFormat, FileRow, RowError, read_names

    def source() -> Iterator[FileRow | RowError]:
        return read_names(io.BytesIO(data), FileFormat(kind), house.parent, now_ms())

    return source


def _read(file: str) -> bytes:
    from gateway.errors import ConfigError, TooLarge
    from gateway.subnames.names_file import MAX_BYTES

    try:
        if file == "-":
            data = sys.stdin.buffer.read(MAX_BYTES + 1)
        else:
            with Path(file).open("rb") as opened_file:
                data = opened_file.read(MAX_BYTES + 1)
    except OSError as error:
        raise ConfigError(f"{file}: cannot be read: {error.strerror}") from None
    if len(data) > MAX_BYTES:
        raise TooLarge(f"{file}: more than {MAX_BYTES:,} bytes; split it")
    return data


def _format_of(file: str) -> Format:
    from gateway.errors import ConfigError

    kinds: dict[str, Format] = {".csv": "csv", ".json": "json", ".jsonl": "jsonl", ".ndjson": "jsonl"}
    kind = kinds.get(Path(file).suffix.lower())
    if kind is None:
        raise ConfigError(f"{file}: neither .csv nor .json; say --format")
    return kind


def _records(pairs: Sequence[str]) -> dict[str, str]:
    from gateway.errors import InvalidInput

    records = {}
    for pair in pairs:
        key, equals, value = pair.partition("=")
        if not equals or not key:
            raise InvalidInput(f"--record {pair!r}: must be key=value, such as text:url=https://gw.example")
        records[key] = value
    return records


def _summary(report: Report, *, dry_run: bool) -> str:
    counts = f"{report.rows:,} rows: {report.new:,} new, {report.changed:,} changed, {report.same:,} as they were"
    written = "nothing was written (dry run)" if dry_run else "written" if report.written else "nothing was written"
    return f"{counts}, {report.failed:,} wrong; {written}."


def _clean(text: str) -> str:
    """Fit for a terminal: a file may hold control characters."""
    from gateway.work.results import clean_reason

    return clean_reason(text)
