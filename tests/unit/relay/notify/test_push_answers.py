"""What the answers of push services mean."""

from __future__ import annotations

import pytest

from gateway.ens.egress import Fetched
from gateway.ids import NativeId
from gateway.relay.notify.offered import Gone, Told
from gateway.relay.notify.push_channel import told_by
from gateway.sdk.delivery import Delivered, Rejected, Retry


def told(status: int, **headers: str) -> Told:
    return told_by(Fetched("https://push.example/", status, "", b"", headers), "key")


@pytest.mark.parametrize("status", [200, 201, 202, 204])
def test_taken(status: int) -> None:
    assert told(status) == Delivered(NativeId("key"))


@pytest.mark.parametrize("status", [404, 410])
def test_the_browser_is_gone(status: int) -> None:
    assert told(status) == Gone()


@pytest.mark.parametrize("status", [429, 500, 502, 503, 504])
def test_later(status: int) -> None:
    assert told(status) == Retry(f"the push service said {status}")


@pytest.mark.parametrize("status", [400, 401, 403, 405, 413, 418])
def test_refused(status: int) -> None:
    assert told(status) == Rejected(f"the push service said {status}")


@pytest.mark.parametrize(
    ("header", "pause"),
    [
        ("7", 7.0),
        ("0", 0.0),
        ("86400", 3600.0),
        ("999999999", 3600.0),
        ("9999999999", None),
        ("-1", None),
        ("1.5", None),
        ("", None),
        ("²", None),
        ("Fri, 31 Dec 1999 23:59:59 GMT", None),
    ],
)
def test_the_pause_that_was_asked_for(header: str, pause: float | None) -> None:
    result = told_by(Fetched("https://push.example/", 503, "", b"", {"retry-after": header}), "key")
    assert result == Retry("the push service said 503", pause)
