"""What a peer may send over a socket: packets of ours pass, everything else is told from them without an error."""

from __future__ import annotations

import json
import time
from collections.abc import Callable
from typing import Any

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from gateway.relay.frames import MAX_DEPTH, in_order

LIMIT = 4_096


def passes(text: str, max_bytes: int = LIMIT) -> bool:
    return in_order(text, max_bytes=max_bytes)


@pytest.mark.parametrize(
    "packet",
    [
        "2",
        "3",
        "1",
        "2probe",
        "3probe",
        "40",
        '40{"account":{"ensName":"alice.eth"},"token":"t"}',
        "40/,",
        '40/chat,{"token":"t"}',
        "41",
        "41/chat,",
        '42["submitMessage",{"envelop":{},"token":"t"}]',
        '420["submitMessage",{"envelop":{"metadata":{"deliveryInformation":"x"}},"token":"t"}]',
        '42123456789012345["submitMessage",{}]',
        '42/,7["submitMessage",{}]',
        '42/a/b-c_D,7["x"]',
        "430[]",
        '431[{"response":"success"}]',
        '42["' + "ä" * 100 + '"]',
        '42["\\ud83d\\ude00"]',
    ],
)
def test_packets_of_clients_pass(packet: str) -> None:
    """As socket.io-client 4 and python-socketio 5 write them."""
    assert passes(packet)


@pytest.mark.attack(29)
@pytest.mark.attack(33)
@pytest.mark.parametrize(
    "packet",
    [
        "",
        " ",
        "0",
        "4",
        "5",
        "6",
        "7",
        "00",
        "22",
        "2 ",
        "2\n",
        "3\n",
        "2probe\n",
        "2Probe",
        "2probeprobe",
        "44",
        '44{"message":"x"}',
        "45",
        '451-["submitMessage",{"_placeholder":true,"num":0}]',
        '4599999999-["x"]',
        "461-[]",
        "4x",
        "40\n",
        "40null",
        "40true",
        "401",
        '40"text"',
        "40[]",
        "41{}",
        "42",
        "427",
        "42[]",
        "42{}",
        "42[1]",
        "42[null]",
        "42[[]]",
        '42["connect"]',
        '42["disconnect"]',
        "43",
        "43[]",
        "430",
        "430{}",
        '42"submitMessage"',
        '42["submitMessage"',
        '42["submitMessage"]]',
        ' 42["submitMessage"]',
        '42 ["submitMessage"]',
        '42-1["submitMessage"]',
        '421234567890123456["submitMessage"]',
        '42٧["submitMessage"]',
        '42/["submitMessage"]',
        '42/a b,["submitMessage"]',
        '42/../,["submitMessage"]',
        '42/?token=x,["submitMessage"]',
        "42/" + "a" * 65 + ',["submitMessage"]',
        '42["a",NaN]',
        '42["a",Infinity]',
        '42["a",1e999]',
        '42["a",' + "9" * 400 + "]",
        '42["a",{"b":1,"b":2}]',
        '42["\\ud800"]',
        '42["\ud800"]',
        '42["a"' + ",[" * MAX_DEPTH + "]" * MAX_DEPTH + "]",
        "42" + "[" * 2_000,
        "42" + '["a",' * 700,
        '42["a",]',
        "42['a']",
        '42["a"]' * 2,
        '42["a"]\x1e42["b"]',
        "b" + "AAAA",
        "\x1e",
        "\x00",
        "{}",
        "[]",
        "GET / HTTP/1.1",
    ],
    ids=lambda packet: ascii(packet)[:40],
)
def test_what_no_client_sends_does_not_pass(packet: str) -> None:
    """Binary attachments, events without a name or with one of the library's own, control packets of the server,
    JSON that two parsers read apart."""
    assert not passes(packet)


def test_an_event_may_be_as_deep_as_an_envelope_needs() -> None:
    depth = MAX_DEPTH - 1
    assert passes('42["a",' + "[" * depth + "]" * depth + "]")
    assert not passes('42["a",' + "[" * MAX_DEPTH + "]" * MAX_DEPTH + "]")


@pytest.mark.attack(28)
def test_size_is_counted_in_bytes_and_first() -> None:
    packet = '42["' + "ä" * 100 + '"]'
    assert passes(packet, len(packet.encode()))
    assert not passes(packet, len(packet.encode()) - 1)
    assert not passes("2" * 10, 9)


JSON = st.recursive(
    st.none()
    | st.booleans()
    | st.integers(-(2**53), 2**53)
    | st.floats(allow_nan=False, allow_infinity=False)
    | st.text(),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(), inner, max_size=4),
    max_leaves=10,
)


def depth(value: Any) -> int:
    inner = value.values() if isinstance(value, dict) else value if isinstance(value, list) else None
    return 0 if inner is None else 1 + max(map(depth, inner), default=0)


@given(name=st.text(min_size=1).filter(lambda name: name not in {"connect", "disconnect"}), data=JSON)
def test_every_event_within_bounds_passes(name: str, data: Any) -> None:
    packet = "420" + json.dumps([name, data])
    assert passes(packet, 1_000_000) is (depth(data) < MAX_DEPTH)


@given(st.text() | st.text('0123456789[]{}",:/\\ab\x1e\n-') | st.from_regex(r"4[0-6][/a-z,0-9-]*[\[{\"].*"))
@example("42" + "9" * 5_000)
@example("42[" + "9" * 5_000 + "]")
@example('42["\\u' + "d800" * 10 + '"]')
def test_no_text_raises(text: str) -> None:
    assert passes(text, 100_000) in {True, False}


@given(st.binary(max_size=200))
def test_no_bytes_read_as_text_raise(raw: bytes) -> None:
    assert passes("42" + raw.decode("utf-8", "surrogateescape")) in {True, False}


@pytest.mark.attack(30)
@pytest.mark.parametrize(
    "worst",
    [
        lambda size: "42/" + "a" * size,
        lambda size: "42" + "/a" * (size // 2),
        lambda size: "42" + "0" * size,
        lambda size: "42" + "[" * size,
        lambda size: '42["' + "\\" * size,
        lambda size: '42["' + '\\"' * (size // 2),
        lambda size: '42["a"' + ',"b"' * (size // 4) + "]",
        lambda size: "42[" + '"a",' * (size // 4),
        lambda size: "2probe" * (size // 6),
    ],
)
def test_no_text_takes_long(worst: Callable[[int], str]) -> None:
    text = worst(100_000)
    best = min(_seconds(text) for _ in range(3))
    assert best < 0.05


def _seconds(text: str) -> float:
    started = time.process_time()
    in_order(text, max_bytes=2**20)
    return time.process_time() - started
