"""Commands that carry a whole zone, signed, from one gateway to another."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Any, BinaryIO, Final

from gateway.cli_common import OPERATOR, House, counting, err, opened, out, plain
from gateway.cli_names import write_to

if TYPE_CHECKING:
    from gateway.store.identities import Identity
    from gateway.store.names import NameRow
    from gateway.subnames.zone import ZoneReport
    from gateway.subnames.zone_file import ZoneSummary

SHOWN: Final = 20
DAY_MS: Final = 24 * 3600 * 1000


def zone_export(file: str, config: Path | None) -> None:
    """Write the zone of this gateway, signed with the resolver's key."""

    async def work(sink: BinaryIO) -> str:
        from gateway.dm3.eth import checksum
        from gateway.lifecycle import now_ms
        from gateway.operations.installation import service_name
        from gateway.resolver.signer import load_signer
        from gateway.subnames.zone import export_zone
        from gateway.subnames.zone_file import ZoneHeader

        async with opened(config) as house:
            signer = load_signer(house.settings.ens.signer_key_file)
            header = ZoneHeader(house.parent, now_ms(), service_name(house.parent), signer.address, _settings(house))
            with counting("Exporting") as progress:
                summary = await export_zone(
                    house.store, header, sink, public_records=_public(house), sign=signer.sign, progress=progress
                )
            return f"{_counts(summary)}; signed by {checksum(signer.address)}; digest {summary.digest}"

    err.print(write_to(file, work), markup=False)


def zone_import(file: Path, config: Path | None, *, dry_run: bool, overwrite: bool, signer: str) -> None:
    """Check the file to its end; then take it over unless it is a dry run."""
    from gateway.dm3.eth import checksum, parse_address
    from gateway.errors import ConfigError
    from gateway.lifecycle import now_ms
    from gateway.subnames.zone import ZoneImport, check_zone, import_zone

    expected = parse_address(signer) if signer else None

    async def work(source: BinaryIO) -> tuple[ZoneSummary, ZoneReport | None, bool]:
        async with opened(config) as house:
            if dry_run:
                summary = await asyncio.to_thread(check_zone, source, house.parent, expected)
                return summary, None, _same_service(summary, house)
            how = ZoneImport(OPERATOR, overwrite, expected)
            with counting("Importing") as progress:
                report = await import_zone(house.store, now_ms, house.parent, source, how, progress=progress)
            return report.summary, report, _same_service(report.summary, house)

    try:
        with file.open("rb") as source:
            summary, report, same_service = asyncio.run(work(source))
    except OSError as error:
        raise ConfigError(f"{file}: cannot be read: {error.strerror}") from None
    out.print(f"{_counts(summary)}; signed by {checksum(summary.header.signer)}", markup=False)
    if expected is None:
        out.print("Whether that is who should have signed, --signer checks.", style="yellow")
    if not same_service:
        service = summary.header.gateway
        told = f"This gateway's relay.key is another one than that of {plain(service)}: mail sealed for it"
        out.print(told, style="yellow", markup=False)
        out.print("cannot be read here until it is copied, too.", style="yellow")
    if report is None:
        out.print("Nothing was written (dry run).")
        return
    _tell(report)


def _tell(report: ZoneReport) -> None:
    import typer

    told = ", ".join(f"{count:,} {outcome}" for outcome, count in sorted(report.outcomes.items()))
    out.print(f"Names: {told or 'none'}; people with keys here: {report.own_people:,}.")
    for name in report.refused[:SHOWN]:
        err.print(f"{plain(name)} says something else here; --overwrite replaces it.", markup=False)
    if report.refused:
        raise typer.Exit(1)


def _counts(summary: ZoneSummary) -> str:
    counts = summary.counts
    kinds = (("name", "names"), ("person", "people"), ("reservation", "reservations"), ("admin", "admins"))
    return f"{summary.header.parent}: " + ", ".join(f"{counts.get(kind, 0):,} {many}" for kind, many in kinds)


def _settings(house: House) -> dict[str, Any]:
    """What a gateway that serves the same must agree with."""
    ens = house.settings.ens
    return {
        "answerTtl": ens.answer_ttl,
        "resolvers": [address.lower() for address in ens.resolver_addresses],
        "publicUrl": house.settings.server.public_url,
        "deliveryService": _service_keys(house),
    }


def _service_keys(house: House) -> str:
    from gateway.dm3.profile import DeliveryServiceProfile
    from gateway.relay.keys import load_service_keys

    keys = load_service_keys(house.settings.relay.key_file)
    return DeliveryServiceProfile.of(keys, f"{house.settings.server.public_url}/ds").to_text()


def _same_service(summary: ZoneSummary, house: House) -> bool:
    """Whether this gateway can open what is sealed for the other one; addresses may differ."""
    from gateway.dm3.canonical import parse_object

    theirs, ours = (
        parse_object(text, max_bytes=100_000)
        for text in (str(summary.header.settings.get("deliveryService") or "{}"), _service_keys(house))
    )
    return theirs.get("publicEncryptionKey") == ours.get("publicEncryptionKey")


def _public(house: House) -> Callable[[Identity], NameRow | None]:
    """Records of bridged people as the resolver serves them."""
    from gateway.custody.keyring import Keyring
    from gateway.custody.seed import load_seed
    from gateway.ens.names import namehash
    from gateway.operations.installation import service_name
    from gateway.resolver.records import ETHEREUM
    from gateway.resolver.sources import identity_records
    from gateway.store.names import NameRow

    keyring = Keyring(
        load_seed(house.settings.custody.seed_file),
        delivery_services=(service_name(house.parent),),
        max_ttl_ms=house.settings.relay.message_ttl_days * DAY_MS,
    )

    def public(identity: Identity) -> NameRow:
        records = identity_records(identity, keyring.keys(identity).signed_profile)
        return NameRow(
            name=identity.name,
            node=namehash(identity.name),
            owner=None,
            address=records.address,
            coins={coin: value for coin, value in records.coins.items() if coin != ETHEREUM},
            texts=dict(records.texts),
            contenthash=None,
            created_at=identity.created_at,
            updated_at=identity.created_at,
        )

    return public
