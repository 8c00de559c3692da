"""What the benchmark pushes is what a homeserver would, and everything in it is new."""

from __future__ import annotations

from pathlib import Path

from adapters.matrix.reading import parse_room_event
from adapters.matrix.settings import MatrixSettings
from adapters.matrix.transactions import native_events, read_transaction
from gateway.settings import validate_section
from tests.bench.matrix import ROOMS, TRANSACTION_EVENTS, adapter_table, transactions


def test_transactions_are_of_new_messages_of_the_rooms() -> None:
    requests = transactions(3, "token", "127.0.0.1:80")
    assert [request.split(b" ", 2)[1].rpartition(b"/")[2] for request in requests] == [b"1", b"2", b"3"]
    kept = []
    for request in requests:
        head, _, body = request.partition(b"\r\n\r\n")
        assert b"\r\nauthorization: Bearer token\r\n" in head
        events = read_transaction(body).events
        assert len(events) == TRANSACTION_EVENTS
        assert 450 < len(body) / len(events) < 550
        assert {parse_room_event(each.raw).type for each in events} == {"m.room.message"}
        kept += native_events(read_transaction(body))
    assert len({each.key for each in kept}) == len(kept) == 3 * TRANSACTION_EVENTS
    assert {each.lane for each in kept} == set(ROOMS)


def test_the_table_is_one_that_the_adapter_takes(tmp_path: Path) -> None:
    table, token = adapter_table(tmp_path, "http://127.0.0.1:1")
    settings = validate_section(MatrixSettings, table, where="adapters.matrix", base=tmp_path)
    assert settings.hs_token_file.read_text() == token
