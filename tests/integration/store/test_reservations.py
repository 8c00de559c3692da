"""Names that the operator keeps back."""

from __future__ import annotations

from dataclasses import replace

from gateway.ids import EnsName
from gateway.store import Store
from gateway.store.reservations import (
    DropReservation,
    Hold,
    ListReservations,
    PutReservation,
    Reservation,
    ReservationOf,
)
from tests.integration.store.values import NOW, address

ADMIN = Reservation(EnsName("admin.gw.eth"), Hold.BLOCKED, None, "never", NOW)
ANN = Reservation(EnsName("ann.gw.eth"), Hold.RESERVED, address("ann"), "for Ann ✓", NOW)


async def test_kept_back_changed_and_given_free(store: Store) -> None:
    for kept in (ANN, ADMIN):
        await store.commit(PutReservation(kept))
        assert await store.read(ReservationOf(kept.name)) == kept
    assert await store.read(ListReservations(9)) == [ADMIN, ANN]
    assert await store.read(ListReservations(1, ADMIN.name)) == [ANN]
    other, deeper = (replace(ANN, name=EnsName(name)) for name in ("ann.g_.eth", "bob.ann.gw.eth"))
    for kept in (other, deeper, replace(other, name=EnsName("ann.gx.eth"))):
        await store.commit(PutReservation(kept))
    assert await store.read(ListReservations(2, parent=EnsName("gw.eth"))) == [ADMIN, ANN]
    assert await store.read(ListReservations(2, ADMIN.name, EnsName("gw.eth"))) == [ANN]
    assert await store.read(ListReservations(9, parent=EnsName("g_.eth"))) == [other]
    changed = replace(ANN, kind=Hold.BLOCKED, holder=None)
    await store.commit(PutReservation(changed))
    assert await store.read(ReservationOf(ANN.name)) == changed
    assert await store.commit(DropReservation(ANN.name)) is True
    assert await store.commit(DropReservation(ANN.name)) is False
    assert await store.read(ReservationOf(ANN.name)) is None
