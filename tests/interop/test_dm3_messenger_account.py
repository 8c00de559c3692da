"""A foreign messenger's account: profile in ENS, registration, log-in, and what it does when it is told 401."""

from __future__ import annotations

import secrets
from pathlib import Path
from typing import Final

import pytest

from gateway.dm3.eth import checksum
from gateway.errors import BadProfile, LimitExceeded, Unauthorised
from tests.interop.messenger import Messenger, Messengers, Refused, fresh
from tests.support.house import House, running_house
from tests.support.node import NodeScript

pytestmark = pytest.mark.asyncio(loop_scope="module")

AS_IT_CAME: Final = {"responseType": "text", "transitional": {"forcedJSONParsing": False}}
"""Options of a request whose body is wanted as text."""


def bearer(token: object) -> dict[str, str]:
    return {"authorization": f"Bearer {token}"}


# --- profiles -------------------------------------------------------------------------------------------------------


async def test_the_libraries_find_the_service_through_our_resolver(house: House, messengers: Messengers) -> None:
    """`ds.<parent>` exists off chain only: ethers 5 follows CCIP-read to the gateway."""
    found = await messengers.ask("serviceOf", name=house.gateway.service_name)
    assert found == house.gateway.service_profile.to_json()


async def test_a_library_made_profile_is_published_and_handed_out(alice: Messenger, messengers: Messengers) -> None:
    assert await messengers.ask("profileOf", name=alice.name) == alice.signed
    assert await messengers.ask("checkProfile", signed=alice.signed, address=checksum(alice.address)) is True
    answer = await alice.request("GET", f"{alice.service_url}/profile/{alice.name}")
    assert (answer["status"], answer["data"]) == (200, alice.signed)


# --- registration ---------------------------------------------------------------------------------------------------


@pytest.mark.weakness(1)
@pytest.mark.attack(1)
async def test_nobody_s_published_profile_gives_a_token(alice: Messenger, bob: Messenger, carol: Messenger) -> None:
    """The profile is public: what its registration answers opens neither mailbox nor socket."""
    await alice.send(bob.name, "secret")
    url = bob.service_url
    answer = await carol.request("POST", f"{url}/profile/{bob.name}", data=bob.signed)
    assert answer["status"] == 200
    token = answer["data"]
    assert isinstance(token, str), "a messenger keeps it as its token"
    reading = await carol.request("GET", f"{url}/delivery/messages/incoming/{bob.name}/", headers=bearer(token))
    assert (reading["status"], reading["data"]) == (401, {"error": Unauthorised.sentence})
    deleting = await carol.request(
        "POST",
        f"{url}/delivery/messages/{bob.name}/syncAcknowledgements/",
        headers=bearer(token),
        data={"acknowledgements": []},
    )
    assert deleting["status"] == 401
    events = await bob.listen("stolen", until="refused", token=token)
    assert events == [f"refused: {Unauthorised.sentence}"]
    assert [each.text for each in await bob.fetch()] == ["secret"]


async def test_a_messenger_that_registers_first_logs_in_when_it_is_told_to(bob: Messenger) -> None:
    """It takes the answer of the registration for a token, is told 401, proves its key, and asks again."""
    await bob.ask("useToken", token=await bob.register())
    await bob.requests()
    assert await bob.fetch() == []
    incoming = f"/delivery/messages/incoming/{bob.name}/"
    assert await bob.requests() == [
        ("GET", incoming, 401),
        ("GET", f"/auth/{bob.name}", 200),
        ("POST", f"/auth/{bob.name}", 200),
        ("GET", incoming, 200),
    ]


@pytest.mark.weakness(17)
async def test_an_account_needs_a_profile_that_names_this_service(house: House, messengers: Messengers) -> None:
    stranger = await messengers.create(house, fresh("stranger"), services=("ds.elsewhere.eth",))
    await stranger.publish(url=f"{house.url}/ds")
    with pytest.raises(Refused) as refused:
        await stranger.register()
    assert refused.value.status == 400


# --- log-in ---------------------------------------------------------------------------------------------------------


async def test_a_messenger_starts_with_a_look_at_its_profile_and_a_log_in(house: House, messengers: Messengers) -> None:
    person = await messengers.create(house, fresh("person"))
    await person.publish()
    await person.log_in()
    assert await person.requests() == [
        ("GET", f"/profile/{person.name}", 200),
        ("GET", f"/auth/{person.name}", 200),
        ("POST", f"/auth/{person.name}", 200),
    ]
    assert await person.fetch() == []


async def test_a_refused_log_in_says_exactly_what_messengers_compare(alice: Messenger, bob: Messenger) -> None:
    """The words make a messenger publish its profile again; any others leave it without a token for good."""
    url = f"{bob.service_url}/auth/{bob.name}"
    challenge = await bob.ask("challenge")
    signature = await alice.ask("sign", text=challenge)
    answer = await alice.request("POST", url, data={"signature": signature, "challenge": challenge}, **AS_IT_CAME)
    assert (answer["status"], answer["data"]) == (400, '{"error":"Signature invalid"}')


@pytest.mark.weakness(5)
@pytest.mark.attack(6)
async def test_a_challenge_is_for_one_account_and_one_time(alice: Messenger, bob: Messenger) -> None:
    challenge = await bob.ask("challenge")
    for person, signer, status in ((alice, alice, 400), (bob, bob, 200), (bob, bob, 400)):
        body = {"signature": await signer.ask("sign", text=challenge), "challenge": challenge}
        answer = await person.request("POST", f"{person.service_url}/auth/{person.name}", data=body)
        assert answer["status"] == status
        if person is alice:
            challenge = await bob.ask("challenge")


async def test_an_ended_session_is_renewed_and_the_request_repeated(house: House, alice: Messenger) -> None:
    await alice.requests()
    ended = await alice.request("DELETE", f"{house.url}/api/v1/session", headers=bearer(await alice.ask("token")))
    assert ended["status"] < 300
    acknowledged = await alice.ask("acknowledge", acknowledgements=[])
    assert acknowledged == {"done": True, "value": 200}
    assert [status for _, _, status in await alice.requests()] == [401, 200, 200, 200]


async def test_an_account_under_the_address_as_messengers_name_it(
    house: House, messengers: Messengers, alice: Messenger
) -> None:
    """A messenger's own name is its checksummed address before a sub-domain, folded by nameprep."""
    wallet = secrets.token_bytes(32)
    address = checksum((await messengers.create(house, fresh("unused"), wallet=wallet)).address)
    person = await messengers.create(house, f"{address}.user.eth", wallet=wallet)
    assert person.name == f"{address.lower()}.user.eth"
    await person.publish()
    await person.log_in()
    await alice.send(f"{address}.user.eth", "by the spelling of the wallet")
    await alice.send(person.name, "by the folded spelling")
    assert [each.text for each in await person.mail(2)] == ["by the spelling of the wallet", "by the folded spelling"]


# --- other keys -----------------------------------------------------------------------------------------------------


@pytest.mark.weakness(4)
@pytest.mark.weakness(17)
@pytest.mark.attack(2)
async def test_a_rotated_key_works_at_once_and_the_old_one_no_more(
    house: House, messengers: Messengers, alice: Messenger
) -> None:
    person = await messengers.join(house, fresh("person"))
    assert await person.fetch() == []
    renewed = await messengers.create(house, person.name, wallet=person.wallet, nonce="another nonce")
    await renewed.publish()
    await renewed.log_in()
    await alice.send(person.name, "for the new key")
    (found,) = await renewed.fetch()
    assert found.text == "for the new key"
    with pytest.raises(Refused) as refused:
        await person.fetch()
    assert (refused.value.status, refused.value.data) == (400, {"error": BadProfile.sentence})
    assert ("POST", f"/profile/{person.name}", 400) in await person.requests(), "the old profile rolls nothing back"


@pytest.mark.parametrize("asked", ["mail", "notifications"])
async def test_a_messenger_whose_keys_do_not_fit_is_told_to_stop(
    tmp_path: Path, messengers: Messengers, messenger_script: NodeScript, house: House, asked: str
) -> None:
    """With another nonce than that of its published profile, a messenger asks again for as long as it is told 401."""
    async with running_house(tmp_path / "house", working=False) as small:
        lonely = Messengers(messenger_script)
        await lonely.open(small)
        person = await lonely.join(small, fresh("person"))
        other = await lonely.create(small, person.name, wallet=person.wallet, nonce="another nonce")
        await other.ask("meet", signed=person.signed)
        with pytest.raises(Refused) as refused:
            await (other.fetch() if asked == "mail" else other.notifications("GET", "global/"))
        assert (refused.value.status, refused.value.data) == (429, {"error": LimitExceeded.sentence})
        assert len(await other.requests()) < 100
    await messengers.open(house)


# --- notifications --------------------------------------------------------------------------------------------------


async def test_notifications_are_switched_on_and_off_as_a_messenger_does(alice: Messenger) -> None:
    for enabled in (True, False):
        await alice.notifications("POST", "global/", isEnabled=enabled)
        assert await alice.notifications("GET", "global/") == {"isEnabled": enabled}


async def test_a_messenger_without_channels_is_shown_none(alice: Messenger) -> None:
    for enabled in (True, False):
        await alice.notifications("POST", "global/", isEnabled=enabled)
        assert await alice.notifications("GET") == {"notificationChannels": []}


async def test_notification_settings_are_the_owner_s_alone(alice: Messenger, bob: Messenger) -> None:
    await bob.notifications("POST", "global/", isEnabled=True)
    url = f"{alice.service_url}/notifications/global/{bob.name}"
    for token in (None, await alice.ask("token")):
        headers = bearer(token) if token else {}
        answer = await alice.request("POST", url, headers=headers, data={"isEnabled": False})
        assert answer["status"] == 401
    assert await bob.notifications("GET", "global/") == {"isEnabled": True}


async def test_a_setting_that_is_none_is_refused_in_the_reference_s_words(alice: Messenger) -> None:
    with pytest.raises(Refused) as refused:
        await alice.notifications("POST", "global/", isEnabled="yes")
    assert (refused.value.status, refused.value.data) == (400, {"error": "Invalid value"})
