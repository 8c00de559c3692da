"""What a person takes along, and what goes when they leave."""

from __future__ import annotations

import asyncio
import json
from typing import Any, Final

from gateway.dm3.sender_rules import RecipientRules
from gateway.sdk.attachments import FileContent
from gateway.sdk.people import Removed
from gateway.store import Store
from gateway.store.failed import DropFailures, Failure, FailuresOf
from gateway.store.identities import Identity
from gateway.store.messagemap import ForgetPerson, LinksOfPerson, MessageLink
from gateway.store.op import Op
from gateway.store.status import ForgetSender, SenderStatus, StatusesOfSender

MAX_ROWS: Final = 10_000
"""Rows of each kind in one document, the newest; it has to pass through a network for short messages."""


async def document_of(store: Store, person: Identity, rules: RecipientRules, now: int) -> FileContent:
    """All that is kept about a person, as JSON in UTF-8; times are milliseconds since the epoch.

    Neither salt nor keys: whoever had them could write in the person's name for ever.
    """
    statuses = await store.read(StatusesOfSender(person.network, person.name, MAX_ROWS))
    failed = await store.read(FailuresOf(person.network, person.name, MAX_ROWS))
    links = await store.read(LinksOfPerson(person.network, person.name, MAX_ROWS))

    def text() -> str:
        document = {
            "exportedAt": now,
            "identity": _identity_json(person),
            "rules": rules.to_json(),
            "statuses": list(map(_status_json, statuses)),
            "failedMessages": list(map(_failure_json, failed)),
            "messages": list(map(_link_json, links)),
            "complete": max(len(statuses), len(failed), len(links)) < MAX_ROWS,
        }
        return json.dumps(document, ensure_ascii=False, indent=1)

    return FileContent("dm3-gateway.json", "application/json", (await asyncio.to_thread(text)).encode())


async def forget_messages(store: Store, person: Identity) -> Removed:
    """Remove what is kept about a person's messages, in small steps; how many rows went."""
    network, name = person.network, person.name
    return Removed(
        failed=await _all_of(store, DropFailures(network, name)),
        statuses=await _all_of(store, ForgetSender(network, name)),
        links=await _all_of(store, ForgetPerson(network, name)),
        waiting=0,
    )


async def _all_of(store: Store, op: Op[int]) -> int:
    removed = 0
    while rows := await store.commit(op):
        removed += rows
    return removed


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
