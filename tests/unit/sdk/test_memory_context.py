"""The gateway in memory keeps the promises of the real one."""

from __future__ import annotations

from dataclasses import replace

import pytest

from gateway.sdk import (
    AdapterContext,
    CanonicalId,
    EnsName,
    MessageHash,
    NativeId,
    Network,
    Outgoing,
    Person,
    Unavailable,
    UnknownName,
)
from gateway.sdk.testing import MemoryContext

BOB = Person(CanonicalId("bob"), "Bob")
MESSAGE = Outgoing(sender=BOB, recipient=EnsName("alice.eth"), native_id=NativeId("1"), sent_at=1, text="hello")


@pytest.fixture
def ctx() -> MemoryContext:
    return MemoryContext(network=Network("example"))


async def test_a_repeat_is_taken_once_and_says_so(ctx: MemoryContext) -> None:
    first = await ctx.submit(MESSAGE)
    again = await ctx.submit(replace(MESSAGE, text="other"))
    assert (first.repeat, again.repeat) == (False, True)
    assert first.sender_name == again.sender_name
    assert ctx.taken == [MESSAGE]


async def test_one_event_for_two_recipients_is_two_messages(ctx: MemoryContext) -> None:
    other = replace(MESSAGE, recipient=EnsName("carol.eth"))
    submitted = await ctx.submit_all((MESSAGE, other))
    assert [each.repeat for each in submitted] == [False, False]
    assert ctx.taken == [MESSAGE, other]


async def test_during_a_fault_nothing_is_taken(ctx: MemoryContext) -> None:
    ctx.fault = Unavailable("down")
    with pytest.raises(Unavailable):
        await ctx.submit_all((MESSAGE, replace(MESSAGE, native_id=NativeId("2"))))
    with pytest.raises(Unavailable):
        await ctx.check_recipient(EnsName("alice.eth"))
    assert ctx.taken == []
    assert await ctx.person(BOB.canonical_id) is None


async def test_a_person_gets_one_name_and_keeps_the_last_display_name(ctx: MemoryContext) -> None:
    submitted = await ctx.submit(MESSAGE)
    await ctx.submit(replace(MESSAGE, native_id=NativeId("2"), sender=Person(BOB.canonical_id, "Robert")))
    await ctx.submit(replace(MESSAGE, native_id=NativeId("3"), sender=Person(BOB.canonical_id)))
    person = await ctx.person(BOB.canonical_id)
    assert person is not None
    assert (person.name, person.display_name) == (submitted.sender_name, "Robert")
    assert await ctx.person_named(submitted.sender_name) == person
    assert submitted.sender_name.endswith(".example.gw.eth")


async def test_two_people_get_two_names(ctx: MemoryContext) -> None:
    bob = await ctx.submit(MESSAGE)
    eve = await ctx.submit(replace(MESSAGE, sender=Person(CanonicalId("eve"))))
    assert bob.sender_name != eve.sender_name


async def test_look_ups_of_what_never_was(ctx: MemoryContext) -> None:
    assert await ctx.person_named(EnsName("nobody.eth")) is None
    assert await ctx.native_id_of(MessageHash("0x" + "00" * 32)) is None
    assert await ctx.alias_target("a-nothing") is None
    with pytest.raises(UnknownName):
        await ctx.check_recipient(EnsName("nobody.eth"))


async def test_look_ups_of_what_is_known(ctx: MemoryContext) -> None:
    message_hash = MessageHash("0x" + "11" * 32)
    ctx.known_names.add(EnsName("alice.eth"))
    ctx.native_ids[message_hash] = NativeId("<1@example.net>")
    await ctx.put_alias("a-digest", "long.eth")
    await ctx.check_recipient(EnsName("alice.eth"))
    assert await ctx.native_id_of(message_hash) == "<1@example.net>"
    assert await ctx.alias_target("a-digest") == "long.eth"


def test_it_has_the_shape_of_a_context(ctx: MemoryContext) -> None:
    context: AdapterContext = ctx
    assert context.network == "example"
    assert context.now_ms() > 1_600_000_000_000
    assert not context.public_url.endswith("/")
