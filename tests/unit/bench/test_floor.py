"""The floor does the work that it stands for: the gateway opens and verifies what it made."""

from __future__ import annotations

import json
from collections.abc import Sequence

import pytest
from nacl.exceptions import CryptoError

from gateway.dm3.envelope import open_delivery_information, parse_envelope
from gateway.dm3.keys import ServiceKeys
from gateway.dm3.postmark import open_postmark, verify_postmark
from gateway.dm3.profile import DeliveryServiceProfile
from tests.bench.floor import Floor
from tests.bench.people import Person, crowd, submissions

ENCRYPTION, SIGNING = b"\x51" * 32, b"\x52" * 32
KEYS = ServiceKeys.from_seeds(ENCRYPTION, SIGNING)
SENDERS, RECIPIENTS = crowd("sender", 2), crowd("recipient", 2)
REQUESTS = submissions(SENDERS, RECIPIENTS, DeliveryServiceProfile.of(KEYS, "http://gw.example/ds"), 6, "gw.example")


def floor(senders: Sequence[Person] = SENDERS) -> Floor:
    """Who signs as each sender can be somebody else."""
    return Floor(
        ENCRYPTION,
        SIGNING,
        {person.name: key.keys.signing.public for person, key in zip(SENDERS, senders, strict=True)},
        {person.name: person.keys.encryption.public for person in RECIPIENTS},
    )


def body_of(request: bytes) -> bytes:
    return request.partition(b"\r\n\r\n")[2]


@pytest.mark.parametrize("request_", REQUESTS)
def test_its_postmarks_are_right(request_: bytes) -> None:
    envelope = parse_envelope(json.loads(body_of(request_))["params"][0])
    information = open_delivery_information(envelope, KEYS)
    (recipient,) = (person for person in RECIPIENTS if person.name == information.to)
    postmark = open_postmark(recipient.keys.encryption, floor().accept(body_of(request_)))
    assert verify_postmark(postmark, envelope, KEYS.signing.public)
    assert postmark.information == information


def test_it_refuses_a_wrong_signature() -> None:
    with pytest.raises(CryptoError):
        floor(crowd("stranger", 2)).accept(body_of(REQUESTS[0]))


def test_the_requests_are_all_different_envelopes_of_about_6_kb() -> None:
    envelopes = {json.loads(body_of(request))["params"][0] for request in REQUESTS}
    assert len(envelopes) == len(REQUESTS)
    assert all(5_500 < len(envelope) < 6_500 for envelope in envelopes)
    assert all(request.startswith(b"POST /ds/rpc HTTP/1.1\r\nhost: gw.example\r\n") for request in REQUESTS)
    assert all(b"content-length: %d\r\n" % len(body_of(request)) in request for request in REQUESTS)
