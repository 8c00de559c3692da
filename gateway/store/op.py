"""What the store runs: operations that write and queries that read.

An operation is a frozen dataclass that holds its arguments, times among them, and knows how to apply itself inside
a transaction that somebody else opened. The same code runs on SQLite and on PostgreSQL.
"""

from __future__ import annotations

from collections.abc import Sequence
from functools import cache
from itertools import groupby
from typing import Any, Protocol, TypeVar, cast, runtime_checkable

from sqlalchemy import Connection

from gateway.errors import GatewayError
from gateway.ids import EnvelopeId, EthAddress, LaneKey

T_co = TypeVar("T_co", covariant=True)


class Op(Protocol[T_co]):
    """A write. It raises to refuse; then the whole unit it is part of is rolled back."""

    def apply(self, conn: Connection) -> T_co:
        """Write inside the open transaction of ``conn`` and return what the caller wants to know."""
        ...


class Query(Protocol[T_co]):
    """A read of committed data."""

    def run(self, conn: Connection) -> T_co:
        """Read through ``conn``; nothing is written."""
        ...


@runtime_checkable
class Mergeable(Protocol):
    """Optional ability of an operation: neighbours of one class in a batch are applied by one call."""

    @staticmethod
    def apply_many(conn: Connection, ops: Sequence[Any]) -> list[Any]:
        """Apply ``ops`` in their order; one result each, the same as if they had been applied one by one.

        A GatewayError in the place of a result refuses that operation alone, which then has written nothing: raising
        would cost the others their transaction.
        """
        ...


@runtime_checkable
class Waking(Protocol):
    """Optional ability of an operation: its commit may give the workers something to do."""

    def wakes(self, result: Any) -> bool:
        """True when the committed ``result`` of this operation means new work."""
        ...


@runtime_checkable
class Locking(Protocol):
    """Optional ability of an operation: names the lanes whose rows it will lock.

    A batch locks them all beforehand in one order, so that batches of two nodes cannot wait for each other in a
    circle (PostgreSQL; on SQLite there is one writer). A mergeable class may say ``locks_first``: its ``apply_many``
    begins with just that.
    """

    def lanes(self) -> tuple[LaneKey, ...]:
        """The lanes touched by this operation."""
        ...


@runtime_checkable
class Posting(Protocol):
    """Optional ability of an operation: names the mailboxes in which envelopes come or go.

    A batch locks them all beforehand in one order, before its lanes (see ``gateway.store.usage.lock``).
    """

    def mailboxes(self) -> tuple[EthAddress | EnvelopeId, ...]:
        """Recipients, or envelopes whose recipients are meant."""
        ...


def mergeable(op: Op[Any]) -> type[Mergeable] | None:
    """The class of an operation that is applied together with its like; None for one that stands alone."""
    return cast("type[Mergeable]", type(op)) if can(type(op), Mergeable) else None


def apply_in_order(conn: Connection, ops: Sequence[Op[Any]]) -> list[Any]:
    """Apply operations of which none counts without the others; neighbours of one mergeable class by one call.

    Raises what one of them raises to refuse.
    """
    results: list[Any] = []
    for kind, run in groupby(ops, key=mergeable):
        alike = list(run)
        if kind is None or len(alike) == 1:
            results += [op.apply(conn) for op in alike]
        else:
            results += [result for _, result in zip(alike, kind.apply_many(conn, alike), strict=True)]
    for result in results:
        if isinstance(result, GatewayError):
            raise result
    return results


def wakes(op: Op[Any], result: Any) -> bool:
    """True when ``op``, committed with ``result``, may have made work for the workers."""
    return can(type(op), Waking) and not isinstance(result, GatewayError) and cast("Waking", op).wakes(result)


def lanes_of(op: Op[Any]) -> tuple[LaneKey, ...]:
    """Lanes that ``op`` says it will lock; none for an operation that does not say."""
    return cast("Locking", op).lanes() if can(type(op), Locking) else ()


def mailboxes_of(op: Op[Any]) -> tuple[EthAddress | EnvelopeId, ...]:
    """Mailboxes that ``op`` says it will write to; none for an operation that does not say."""
    return cast("Posting", op).mailboxes() if can(type(op), Posting) else ()


def locks_first(kind: type[Any]) -> bool:
    """True when operations of a class begin by locking their lanes in order."""
    return bool(getattr(kind, "locks_first", False))


@cache
def can(kind: type[Any], ability: type[Any]) -> bool:
    """Whether operations of a class have an optional ability; isinstance() of a protocol takes microseconds."""
    return issubclass(kind, ability)
