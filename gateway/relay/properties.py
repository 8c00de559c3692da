"""What this relay says of itself (DM3-MTP, dm3_getDeliveryServiceProperties)."""

from __future__ import annotations

from dataclasses import dataclass, field

from gateway.dm3.canonical import JsonObject
from gateway.relay.notify.offered import Offered


@dataclass(frozen=True, slots=True)
class ServiceProperties:
    """Limits that senders and recipients may rely on."""

    message_ttl_days: int
    size_limit: int
    """Bytes of the largest envelope."""
    offered: Offered = field(default_factory=Offered)
    """How recipients can have themselves notified."""

    def to_json(self) -> JsonObject:
        """The fields of DM3-MTP; messageTTL in days as it says, while the reference counts milliseconds."""
        return {
            "messageTTL": self.message_ttl_days,
            "sizeLimit": self.size_limit,
            "notificationChannel": self.offered.to_json(),
        }
