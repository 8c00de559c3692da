"""Forwarding jobs as they are stored, and what a relay says of itself."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gateway.dm3.layers import LayerMethod
from gateway.errors import InvalidInput
from gateway.ids import EnsName
from gateway.relay.forward import ForwardJob, decode_forward, encode_forward
from gateway.relay.properties import ServiceProperties

UNICODE = st.characters(exclude_categories=["Cs"])


@given(
    following=st.text(UNICODE, max_size=50),
    method=st.sampled_from(LayerMethod),
    payload=st.text(UNICODE, max_size=500),
)
def test_a_job_comes_back_as_it_was(following: str, method: LayerMethod, payload: str) -> None:
    work = ForwardJob(EnsName(following), method, payload)
    assert decode_forward(encode_forward(work)) == work


@pytest.mark.parametrize(
    "payload",
    [b"", b"{}", b"[]", b"null", b"\xff", b'{"next":"a.eth","method":"dm3_auth","payload":"x"}', b'{"next":1}'],
)
def test_what_is_no_job(payload: bytes) -> None:
    with pytest.raises(InvalidInput):
        decode_forward(payload)


def test_the_payload_stays_out_of_representations() -> None:
    assert "sealed" not in repr(ForwardJob(EnsName("ds.far.eth"), LayerMethod.SUBMIT, "sealed"))


def test_properties_speak_of_forwarding_only_when_it_is_done() -> None:
    assert "forward" not in ServiceProperties(30, 1000).to_json()
    assert ServiceProperties(30, 1000, 0).to_json()["forward"] == {"version": 1, "maxHops": 5, "maxDelay": 0}
