"""What the database holds about one person: found by reading, removed in small steps.

Most of it has no index by person, and nobody is deleted often: tables are read through beside the writers, and only the
rows that are found are written to.
"""

from __future__ import annotations

import json
import re
from dataclasses import dataclass
from typing import Any, Final

from sqlalchemy import ColumnElement, Connection, Table, and_, delete, func, or_, select, update

from gateway.ids import CanonicalId, EnsName, EnvelopeId, EthAddress, LaneKey, Network
from gateway.store.jobs import JobState
from gateway.store.mailbox import remove
from gateway.store.schema import (
    adapter_values,
    aliases,
    challenges,
    envelopes,
    failed_messages,
    jobs,
    lanes,
    link_codes,
    message_links,
    statuses,
    tokens,
)

AT_ONCE: Final = 100
"""Rows of one step: a key has up to four values."""
MAX_VALUE: Final = 65_536
"""Characters of an adapter's value that is looked into; what is larger holds files, or belongs to many."""


@dataclass(frozen=True, slots=True)
class Traces:
    """Whom to look for."""

    network: Network
    canonical_id: CanonicalId
    names: tuple[EnsName, ...]
    """The name that we gave them, first, and the one they linked."""
    address: EthAddress


@dataclass(frozen=True, slots=True)
class RowsAbout:
    """Keys of rows of one table that are about a person, or of their conversations; at most ``AT_ONCE``."""

    table: str
    traces: Traces

    def run(self, conn: Connection) -> list[tuple[Any, ...]]:
        """Read through the table."""
        table, where = _places(self.traces)[self.table]
        return [tuple(row) for row in conn.execute(select(*table.primary_key).where(where).limit(AT_ONCE))]


TABLES: Final = ("message_links", "statuses", "failed_messages", "link_codes", "aliases", "challenges", "tokens")
"""Where ``RowsAbout`` can look."""


@dataclass(frozen=True, slots=True)
class ValuesAbout:
    """Kinds and keys of an adapter's values about a person of its network; at most ``limit``.

    A value is about them when its key names them, or when it is their id, or an object with a field that is. One that
    merely lists them among others belongs to those, too.
    """

    network: Network
    canonical_id: CanonicalId
    limit: int = AT_ONCE

    def run(self, conn: Connection) -> list[tuple[Any, ...]]:
        """Read what holds the id anywhere, then look closer."""
        wanted = self.canonical_id
        quoted = json.dumps(wanted)[1:-1]
        holding = or_(
            *(
                func.instr(column, text) > 0 if conn.dialect.name == "sqlite" else func.strpos(column, text) > 0
                for column in (adapter_values.c.key, adapter_values.c.value)
                for text in {wanted, quoted}
            )
        )
        rows = conn.execute(
            select(*adapter_values.c).where(
                adapter_values.c.network == self.network, func.length(adapter_values.c.value) <= MAX_VALUE, holding
            )
        )
        found = (row for row in rows if mentions(row.key, wanted) or _is_about(row.value, wanted))
        return [(row.network, row.kind, row.key) for row, _ in zip(found, range(self.limit), strict=False)]


@dataclass(frozen=True, slots=True)
class EraseRows:
    """Delete rows by the keys that a query found; how many went."""

    table: str
    keys: tuple[tuple[Any, ...], ...]

    def apply(self, conn: Connection) -> int:
        """One statement for each key: SQLite looks up no wide key in a list."""
        table = _TABLES[self.table]
        return sum(
            conn.execute(delete(table).where(*(c == v for c, v in zip(table.primary_key, key, strict=True)))).rowcount
            for key in self.keys
        )


@dataclass(frozen=True, slots=True)
class EnvelopesAbout:
    """Ids and recipients of envelopes that wait for a person, or that nobody has picked up from them."""

    traces: Traces

    def run(self, conn: Connection) -> list[tuple[EnvelopeId, EthAddress]]:
        """Read through the mailboxes, without bodies; at most ``AT_ONCE``."""
        names = self.traces.names
        theirs = or_(
            envelopes.c.recipient == self.traces.address,
            envelopes.c.recipient_name.in_(names),
            envelopes.c.sender.in_(names),
        )
        rows = conn.execute(select(envelopes.c.id, envelopes.c.recipient).where(theirs).limit(AT_ONCE))
        return [(EnvelopeId(row.id), EthAddress(row.recipient)) for row in rows]


@dataclass(frozen=True, slots=True)
class WithdrawEnvelopes:
    """Delete envelopes, given with their recipients; how many went. Their ids stay remembered, as digests."""

    found: tuple[tuple[EnvelopeId, EthAddress], ...]

    def mailboxes(self) -> tuple[EthAddress, ...]:
        """All recipients."""
        return tuple({recipient for _, recipient in self.found})

    def apply(self, conn: Connection) -> int:
        """Delete by the unique index."""
        return remove(conn, envelopes.c.id.in_([id_ for id_, _ in self.found]))


@dataclass(frozen=True, slots=True)
class JobsAbout:
    """Numbers of jobs in the lanes of a person, in ``others``, or of these envelopes, whatever their state."""

    person: EnsName
    others: tuple[LaneKey, ...] = ()
    of: tuple[EnvelopeId, ...] = ()

    def run(self, conn: Connection) -> list[int]:
        """Read by lanes; at most ``AT_ONCE``."""
        theirs = select(lanes.c.name).where(lanes.c.person == self.person)
        where = or_(jobs.c.lane.in_(theirs), jobs.c.lane.in_(self.others), jobs.c.envelope.in_(self.of))
        return list(conn.scalars(select(jobs.c.id).where(where).limit(AT_ONCE)))


@dataclass(frozen=True, slots=True)
class LanesNaming:
    """Lanes in which messages of a person left; at most ``AT_ONCE``."""

    person: EnsName

    def run(self, conn: Connection) -> list[LaneKey]:
        """Read by the index of persons."""
        found = select(lanes.c.name).where(lanes.c.person == self.person).limit(AT_ONCE)
        return [LaneKey(name) for name in conn.scalars(found)]


@dataclass(frozen=True, slots=True)
class UnnameLanes:
    """Let lanes be nobody's; what is in them stays."""

    names: tuple[LaneKey, ...]

    def lanes(self) -> tuple[LaneKey, ...]:
        """All of them."""
        return self.names

    def apply(self, conn: Connection) -> int:
        """Update by the key."""
        return conn.execute(update(lanes).where(lanes.c.name.in_(self.names)).values(person=None)).rowcount


@dataclass(frozen=True, slots=True)
class HeldJobsNaming:
    """Numbers of jobs of one kind that were set aside and whose payload names a person of a network."""

    kind: str
    network: Network
    canonical_id: CanonicalId

    def run(self, conn: Connection) -> list[int]:
        """Read what is on hold; there is little of it."""
        held = (
            select(jobs.c.id, jobs.c.payload)
            .join_from(jobs, lanes)
            .where(jobs.c.state == JobState.HOLD.value, jobs.c.kind == self.kind, lanes.c.destination == self.network)
        )
        wanted = self.canonical_id
        return [row.id for row in conn.execute(held) if mentions(bytes(row.payload).decode("utf-8", "replace"), wanted)]


def mentions(text: str, wanted: str) -> bool:
    """Whether a text holds an id that is not part of a longer one."""
    return wanted in text and re.search(rf"(?<![\w.+%-]){re.escape(wanted)}(?![\w-]|\.\w)", text) is not None


def _is_about(text: str, wanted: str) -> bool:
    if text == wanted:
        return True
    try:
        value = json.loads(text)
    except ValueError:
        return False
    return value == wanted or (isinstance(value, dict) and wanted in [v for v in value.values() if isinstance(v, str)])


_TABLES: Final = {
    table.name: table
    for table in (message_links, statuses, failed_messages, link_codes, aliases, challenges, tokens, adapter_values)
}


def _places(traces: Traces) -> dict[str, tuple[Table, ColumnElement[bool]]]:
    network, names = traces.network, traces.names
    talks = [message_links.c.conversation.endswith(f"|{name}", autoescape=True) for name in names]
    own = and_(
        message_links.c.network == network,
        message_links.c.conversation >= f"{names[0]}|",
        message_links.c.conversation < f"{names[0]}}}",
    )
    code = and_(link_codes.c.network == network, link_codes.c.canonical_id == traces.canonical_id)
    return {
        "message_links": (message_links, or_(own, *talks)),
        "statuses": (statuses, or_(statuses.c.sender.in_(names), statuses.c.recipient.in_(names))),
        "failed_messages": (
            failed_messages,
            or_(failed_messages.c.sender.in_(names), failed_messages.c.recipient.in_(names)),
        ),
        "link_codes": (link_codes, code),
        "aliases": (aliases, aliases.c.target.in_([*names, traces.canonical_id])),
        "challenges": (challenges, challenges.c.subject.in_([*names, traces.address])),
        "tokens": (tokens, or_(tokens.c.name.in_(names), tokens.c.address == traces.address)),
    }
