"""What a person takes along, and what goes when they leave."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Awaitable, Callable, Sequence
from typing import Any, Final

import structlog

from gateway.bridge.erasing import Erased, erase, second_look
from gateway.bridge.jobs import JobKind, OutboundJob, decode_outbound_head
from gateway.dm3.sender_rules import RecipientRules
from gateway.errors import InvalidInput
from gateway.ids import EnsName, NativeId
from gateway.sdk.attachments import FileContent
from gateway.store import Store
from gateway.store.accounts import CloseAccount
from gateway.store.backlog import BacklogOf, SendersTo, WaitingFrom, WaitingOf
from gateway.store.erasure import Traces, ValuesAbout
from gateway.store.failed import Failure, FailuresOf, KeptMessages, LastFailure
from gateway.store.identities import OWNED, Identity, ShredIdentity
from gateway.store.messagemap import LinksOfPerson, MessageLink
from gateway.store.status import SenderStatus, StatusesOfSender
from gateway.store.values import ValueOf

log = structlog.get_logger(__name__)

MAX_ROWS: Final = 10_000
"""Rows of each kind in one document, the newest; it has to pass through a network for short messages."""
MAX_TEXTS: Final = 100
"""The same of what has whole messages in it."""
AT_ONCE: Final = 4
"""Whole messages that are read together: with their files each may have many megabytes, of which the words are kept."""


async def document_of(store: Store, person: Identity, rules: RecipientRules, now: int) -> FileContent:
    """All that is kept about a person, as JSON in UTF-8; times are milliseconds since the epoch.

    Neither salt nor keys: whoever had them could write in the person's name for ever.
    """
    network, name = person.network, person.name
    statuses = await store.read(StatusesOfSender(network, name, MAX_ROWS))
    failed = await store.read(FailuresOf(network, name, MAX_ROWS))
    links = await store.read(LinksOfPerson(network, name, MAX_ROWS))
    texts, all_texts = await _texts_of_failed(store, person)
    waiting, all_waiting = await _waiting_to_leave(store, name)
    senders = await store.read(SendersTo(person.address, MAX_ROWS))
    values = [
        (kind, key, await store.read(ValueOf(network, kind, key)))
        for _, kind, key in await store.read(ValuesAbout(network, person.canonical_id, MAX_TEXTS))
    ]

    def text() -> str:
        document = {
            "exportedAt": now,
            "identity": _identity_json(person),
            "rules": rules.to_json(),
            "statuses": list(map(_status_json, statuses)),
            "failedMessages": [{**_failure_json(each), "text": texts.get(each.native_id)} for each in failed],
            "messages": list(map(_link_json, links)),
            "waitingToLeave": waiting,
            "waitingForYou": list(map(_sender_json, senders)),
            "rememberedByYourNetwork": [{"kind": kind, "key": key, "value": value} for kind, key, value in values],
            "complete": max(len(statuses), len(failed), len(links), len(senders)) < MAX_ROWS
            and len(values) < MAX_TEXTS
            and all_texts
            and all_waiting,
        }
        return json.dumps(document, ensure_ascii=False, indent=1)

    return FileContent("dm3-gateway.json", "application/json", (await asyncio.to_thread(text)).encode())


async def _texts_of_failed(store: Store, person: Identity) -> tuple[dict[NativeId, str], bool]:
    """What was written in messages that are kept for another try, and whether that is all of it."""
    last = await store.read(LastFailure(person.network, person.name))
    texts: dict[NativeId, str] = {}
    after, seen, whole = 0, 0, True
    while kept := await store.read(KeptMessages(person.network, person.name, None, after, last, AT_ONCE)):
        after, seen = kept[-1].id, seen + len(kept)
        for work in await asyncio.to_thread(_heads, [each.payload for each in kept]):
            whole &= work is not None
            if work is not None and work.native_id is not None:
                texts[work.native_id] = work.text
        if seen >= MAX_TEXTS:
            return texts, False
    return texts, whole


async def _waiting_to_leave(store: Store, name: EnsName) -> tuple[list[dict[str, Any]], bool]:
    """Messages that are on their way out, and whether these are all."""
    found: list[dict[str, Any]] = []
    after, seen, whole = 0, 0, True
    while page := await store.read(WaitingOf(name, AT_ONCE, after)):
        after, seen = page[-1].id, seen + len(page)
        jobs = [job for job in page if job.kind == JobKind.OUTBOUND]
        heads = await asyncio.to_thread(_heads, [job.payload for job in jobs])
        whole &= None not in heads
        found += [_waiting_json(work, job.reason) for work, job in zip(heads, jobs, strict=True) if work is not None]
        if seen >= MAX_TEXTS:
            return found, False
    return found, whole


def _heads(payloads: Sequence[bytes]) -> list[OutboundJob | None]:
    """None for what cannot be read, as when a newer version wrote it."""
    heads: list[OutboundJob | None] = []
    for payload in payloads:
        try:
            heads.append(decode_outbound_head(payload))
        except InvalidInput:
            heads.append(None)
    return heads


def _sender_json(waiting: WaitingFrom) -> dict[str, Any]:
    return {"from": waiting.sender, "messages": waiting.messages, "since": waiting.since}


def _waiting_json(work: OutboundJob, reason: str) -> dict[str, Any]:
    return {
        "nativeId": work.native_id,
        "recipient": work.recipient,
        "type": work.type,
        "text": work.text,
        "files": [each.name for each in work.attachments],
        "at": work.sent_at,
        "reason": reason,
    }


async def leave(
    store: Store,
    person: Identity,
    tombstone: str,
    *,
    now: int,
    end_link: Callable[[EnsName], Awaitable[None]],
) -> tuple[Erased, int]:
    """Delete a person: what is known about their messages, the link to a name of theirs, keys and account.

    Gives what was removed, and how many messages waited to leave. What handlers that are under way write down about
    them meanwhile goes at the second look, half a minute later, with what the adapter remembers. Raises Unavailable.
    """
    names = (person.name,) if person.owned_name is None else (person.name, person.owned_name)
    traces = Traces(person.network, person.canonical_id, names, person.address)
    waiting = await store.read(BacklogOf(person.name))
    erased = await erase(store, traces)
    if person.level == OWNED and person.owned_name is not None:
        await end_link(person.owned_name)
    gone = (ShredIdentity(person.id, now, tombstone), CloseAccount(person.address), second_look(traces, now))
    await store.commit_all(*gone)
    late = await erase(store, traces)
    log.info("person.deleted", network=person.network)
    return erased + late, waiting.messages


def _identity_json(person: Identity) -> dict[str, Any]:
    return {
        "network": person.network,
        "id": person.canonical_id,
        "name": person.name,
        "shownName": person.shown_name,
        "ownedName": person.owned_name,
        "address": person.address,
        "level": person.level,
        "displayName": person.display_name,
        "displayNameChosen": person.display_name_chosen,
        "createdAt": person.created_at,
        "keysChangedAt": person.rotated_at,
        "linkedAt": person.linked_at,
        "pausedUntil": person.paused_until,
    }


def _status_json(status: SenderStatus) -> dict[str, Any]:
    return {
        "nativeId": status.native_id,
        "recipient": status.recipient,
        "state": status.state,
        "reason": status.reason,
        "at": status.at,
    }


def _failure_json(failure: Failure) -> dict[str, Any]:
    return {
        "nativeId": failure.native_id,
        "recipient": failure.recipient,
        "reason": failure.reason,
        "at": failure.at,
    }


def _link_json(link: MessageLink) -> dict[str, Any]:
    return {
        "nativeId": link.native_id,
        "with": link.conversation.partition("|")[2],
        "sent": link.outbound,
        "messageHash": link.message_hash,
        "encryptedHash": link.encrypted_hash,
        "at": link.created_at,
    }
