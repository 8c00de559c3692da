"""Packets that carry JSON as it is: the same on the wire as if it had been read and written again."""

from __future__ import annotations

import json

from hypothesis import given
from hypothesis import strategies as st
from socketio.packet import EVENT, Packet

from gateway.relay.packets import JsonText, TextPacket

values = st.recursive(
    st.none() | st.booleans() | st.integers() | st.text(),
    lambda inner: st.lists(inner) | st.dictionaries(st.text(), inner),
)


@given(values)
def test_a_peer_reads_what_it_would_have_read(value: object) -> None:
    text = JsonText(json.dumps(value, ensure_ascii=False))
    packet = TextPacket(EVENT, data=["message", text], namespace="/").encode()
    assert Packet(encoded_packet=packet).data == ["message", value]


@given(values)
def test_everything_else_is_written_as_by_the_library(value: object) -> None:
    for data in (["authorized", value], value):
        ours, theirs = (kind(EVENT, data=data, namespace="/").encode() for kind in (TextPacket, Packet))
        assert ours == theirs
