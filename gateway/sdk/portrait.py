"""What a name says about its owner: the records that chat networks show."""

from __future__ import annotations

from dataclasses import dataclass, field

from gateway.sdk.attachments import FileContent


@dataclass(frozen=True, slots=True)
class Portrait:
    """The public face of an ENS name (ENSIP-5, ENSIP-12, ENSIP-18); empty where it says nothing."""

    display_name: str = ""
    picture: FileContent | None = field(default=None, repr=False)
