"""The first chapter: the names of this world resolve, through contracts and signed answers."""

from __future__ import annotations

from gateway.demo.teller import Teller, check
from gateway.demo.world import World


async def tell_ground(teller: Teller, world: World) -> None:
    """Chain, relay and resolver, each asked from the outside."""
    teller.chapter("The ground")

    async def ready() -> tuple[None, str]:
        answer = await world.http.get(f"{world.gateway_url}/readyz")
        check(answer.status_code == 200, f"/readyz says {answer.text}")
        return None, f"{world.gateway_url}, database {world.settings.store.url}"

    await teller.step("the gateway serves, its database and its chain answer", ready)

    async def relay_resolves() -> tuple[None, str]:
        name = world.gateway.service_name
        found = await world.profiles.delivery_service(name)
        check(found == world.gateway.service_profile, "the profile in ENS is not the relay's own")
        return None, f"{name} -> {found.url}, by contract {world.resolver} and CCIP-read"

    await teller.step("the relay's name leads to the relay", relay_resolves)

    async def native_resolves() -> tuple[None, str]:
        found = await world.profiles.user(world.native.name)
        check(found.address == world.native.address, "the address is another one")
        check(found.profile == world.native.signed_profile().profile, "the profile is another one")
        return None, f"{world.native.name} -> {found.address}, profile signed by this address"

    await teller.step(f"{world.native.name} has a signed DM3 profile that names the relay", native_resolves)
