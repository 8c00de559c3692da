"""The list of errors: each has a code of JSON-RPC or DM3-MTP, a fitting status, and a sentence."""

from __future__ import annotations

import pytest

from gateway import errors
from gateway.errors import GatewayError

ALL = [kind for kind in vars(errors).values() if isinstance(kind, type) and issubclass(kind, GatewayError)]
SPECIFIED = {-32700, -32600, -32601, -32602, -32603} | set(range(-32011, -31999))


@pytest.mark.parametrize("kind", ALL, ids=lambda kind: kind.__name__)
def test_policy_sits_on_the_error(kind: type[GatewayError]) -> None:
    assert kind.code in SPECIFIED
    assert 400 <= kind.status < 600
    assert kind.sentence[0].isupper()
    assert kind().detail == kind.sentence
    assert kind("why").detail == "why"


@pytest.mark.parametrize("kind", [kind for kind in ALL if kind.retry], ids=lambda kind: kind.__name__)
def test_what_may_be_tried_again_is_no_fault_of_the_caller(kind: type[GatewayError]) -> None:
    # 409 is what draft-ietf-httpapi-idempotency-key-header asks for.
    assert kind.status in (429, 500, 503) or kind in (errors.RequestUnderWay, errors.JobUnderWay)
