"""Routes of the reference's resolver that take a name by a signature without a nonce: here there are none."""

from __future__ import annotations

import pytest

from gateway.dm3.eth import sign_text
from gateway.operations.dm3_client import Dm3Client
from tests.support.house import House


@pytest.mark.weakness(20)
@pytest.mark.attack(8)
@pytest.mark.parametrize("prefix", ["", "/ds", "/api/v1"])
@pytest.mark.parametrize(
    ("route", "text"),
    [("address", "claim: gw.eth"), ("name", "alias: mine.gw.eth"), ("deleteName", "remove: mine.gw.eth")],
)
async def test_a_signature_that_can_be_replayed_gives_and_takes_no_name(
    house: House, alice: Dm3Client, prefix: str, route: str, text: str
) -> None:
    body = {
        "dm3Name": "mine.gw.eth",
        "name": alice.name,
        "alias": "mine.gw.eth",
        "address": alice.address,
        "signature": sign_text(house.chain.accounts["alice"].key, text),
        "signedUserProfile": alice.signed_profile().to_json(),
    }
    answer = await house.http.post(f"{house.url}{prefix}/profile/{route}", json=body)
    # The two prefixes of the old surface take a profile of a person at this path, whose name this is not.
    assert answer.status_code in (400, 404, 405), answer.text
    assert (await house.http.get(f"{house.url}/ds/profile/mine.gw.eth")).status_code == 404
