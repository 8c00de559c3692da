"""What a person takes along, and what goes when they leave."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Awaitable, Callable
from typing import Any, Final

import structlog

from gateway.bridge.erasing import Erased, erase, second_look
from gateway.bridge.jobs import JobKind, decode_outbound
from gateway.dm3.sender_rules import RecipientRules
from gateway.ids import EnsName, NativeId
from gateway.sdk.attachments import FileContent
from gateway.store import Store
from gateway.store.accounts import CloseAccount
from gateway.store.backlog import BacklogOf, SendersTo, WaitingFrom, WaitingOf
from gateway.store.erasure import Traces, ValuesAbout
from gateway.store.failed import Failure, FailuresOf, KeptMessages, LastFailure
from gateway.store.identities import OWNED, Identity, ShredIdentity
from gateway.store.jobs import Job
from gateway.store.messagemap import LinksOfPerson, MessageLink
from gateway.store.status import SenderStatus, StatusesOfSender
from gateway.store.values import ValueOf

log = structlog.get_logger(__name__)

MAX_ROWS: Final = 10_000
"""Rows of each kind in one document, the newest; it has to pass through a network for short messages."""
MAX_TEXTS: Final = 100
"""The same of what has whole messages in it."""


async def document_of(store: Store, person: Identity, rules: RecipientRules, now: int) -> FileContent:
    """All that is kept about a person, as JSON in UTF-8; times are milliseconds since the epoch.

    Neither salt nor keys: whoever had them could write in the person's name for ever.
    """
    network, name = person.network, person.name
    statuses = await store.read(StatusesOfSender(network, name, MAX_ROWS))
    failed = await store.read(FailuresOf(network, name, MAX_ROWS))
    links = await store.read(LinksOfPerson(network, name, MAX_ROWS))
    texts = await _texts_of_failed(store, person)
    waiting = await store.read(WaitingOf(name, MAX_TEXTS))
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
            "waitingToLeave": [_waiting_json(job) for job in waiting if job.kind == JobKind.OUTBOUND],
            "waitingForYou": list(map(_sender_json, senders)),
            "rememberedByYourNetwork": [{"kind": kind, "key": key, "value": value} for kind, key, value in values],
            "complete": max(len(statuses), len(failed), len(links), len(senders)) < MAX_ROWS
            and max(len(waiting), len(values)) < MAX_TEXTS,
        }
        return json.dumps(document, ensure_ascii=False, indent=1)

    return FileContent("dm3-gateway.json", "application/json", (await asyncio.to_thread(text)).encode())


async def _texts_of_failed(store: Store, person: Identity) -> dict[NativeId, str]:
    """What was written in messages that are kept for another try."""
    last = await store.read(LastFailure(person.network, person.name))
    kept = await store.read(KeptMessages(person.network, person.name, None, 0, last, MAX_TEXTS))
    works = [decode_outbound(each.payload) for each in kept]
    return {work.native_id: work.text for work in works if work.native_id is not None}


def _sender_json(waiting: WaitingFrom) -> dict[str, Any]:
    return {"from": waiting.sender, "messages": waiting.messages, "since": waiting.since}


def _waiting_json(job: Job) -> dict[str, Any]:
    work = decode_outbound(job.payload)
    return {
        "nativeId": work.native_id,
        "recipient": work.recipient,
        "type": work.type,
        "text": work.text,
        "files": [each.name for each in work.attachments],
        "at": work.sent_at,
        "reason": job.reason,
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
