"""What a transaction says of devices: messages to them, whose keys changed, who runs out of keys (MSC2409, MSC3202).

It is kept as one event ahead of the transaction's others, which may be encrypted with what is in it.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterable, Mapping
from typing import Any, Final

from adapters.matrix.depth import loads
from adapters.matrix.reading import part
from adapters.matrix.transactions import DEVICES, UNSTABLE
from gateway.sdk import NativeEvent

ENOUGH_KEYS: Final = 25
"""One-time keys of a device at the homeserver, of the 50 that it may have. Each new session takes one of them."""
TO_DEVICE: Final = ("to_device", UNSTABLE + "to_device")
LISTS: Final = ("device_lists", "org.matrix.msc3202.device_lists")
COUNTS: Final = ("device_one_time_keys_count", "org.matrix.msc3202.device_one_time_keys_count")
"""Each by its stable name, and by the one until then."""
ONE_TIME: Final = "signed_curve25519"


def devices_event(body: bytes) -> NativeEvent | None:
    """What is to be kept of a transaction for devices, None when it says nothing of them."""
    try:
        raw = loads(body)
    except ValueError:
        return None
    if not isinstance(raw, Mapping):
        return None
    messages = next((found for name in TO_DEVICE if isinstance(found := raw.get(name), list)), [])
    lists, counts = (next((found for name in names if (found := part(raw, name))), {}) for names in (LISTS, COUNTS))
    # Counts are in nearly every transaction; most of them say that there are enough.
    about: dict[str, Any] = {"to_device": messages, "lists": lists, "counts": _low(counts)}
    kept = {name: value for name, value in about.items() if value}
    if not any(kept.get("lists", {}).values()):
        kept.pop("lists", None)
    if not kept:
        return None
    payload = json.dumps(kept).encode()
    # No two messages to devices are the same; of the rest each may come again and mean something new.
    return NativeEvent(DEVICES, hashlib.sha256(payload).hexdigest() if messages else "", payload)


def objects(value: object) -> Iterable[Mapping[str, Any]]:
    """The objects in a list; nothing for what is none."""
    return (each for each in value if isinstance(each, Mapping)) if isinstance(value, list) else ()


def texts(value: object) -> list[str]:
    """The texts in a list; nothing for what is none."""
    return [each for each in value if isinstance(each, str)] if isinstance(value, list) else []


def counts_of(devices: object) -> dict[str, int]:
    """One-time keys that are left, by device."""
    found = {}
    for device, by_kind in devices.items() if isinstance(devices, Mapping) else ():
        count = by_kind.get(ONE_TIME) if isinstance(by_kind, Mapping) else None
        if isinstance(count, int):
            found[str(device)] = count
    return found


def _low(counts: Mapping[str, Any]) -> dict[str, Any]:
    low = {
        user: {device: {ONE_TIME: count} for device, count in counts_of(devices).items() if count < ENOUGH_KEYS}
        for user, devices in counts.items()
    }
    return {user: devices for user, devices in low.items() if devices}
