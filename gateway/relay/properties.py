"""What this relay says of itself (DM3-MTP, dm3_getDeliveryServiceProperties)."""

from __future__ import annotations

from dataclasses import dataclass, field

from gateway.dm3.canonical import JsonObject
from gateway.dm3.layers import MAX_HOPS, VERSION
from gateway.relay.notify.offered import Offered
from gateway.relay.traffic import INTERVAL_SECONDS, RETENTION_SECONDS


@dataclass(frozen=True, slots=True)
class ServiceProperties:
    """Limits that senders and recipients may rely on."""

    message_ttl_days: int
    size_limit: int
    """Bytes of the largest envelope, and of the largest layer."""
    forward_max_delay_ms: int | None = None
    """The longest wait that a layer may ask for; None when this relay forwards nothing."""
    offered: Offered = field(default_factory=Offered)
    """How recipients can have themselves notified."""

    def to_json(self) -> JsonObject:
        """The fields of DM3-MTP; messageTTL in days as it says, while the reference counts milliseconds.

        `forward` is an extension (privacy routing) and there only when layers are taken.
        """
        value: JsonObject = {
            "messageTTL": self.message_ttl_days,
            "sizeLimit": self.size_limit,
            "notificationChannel": self.offered.to_json(),
            "metricsCollectionIntervalInSeconds": INTERVAL_SECONDS,
            "metricsRetentionDurationInSeconds": RETENTION_SECONDS,
        }
        if self.forward_max_delay_ms is not None:
            value["forward"] = {"version": VERSION, "maxHops": MAX_HOPS, "maxDelay": self.forward_max_delay_ms}
        return value
