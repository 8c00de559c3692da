"""What the interface for programs takes, as OpenAPI describes it."""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import Field

from gateway.subnames.events import EventType
from gateway.subnames.forms import Address, Form, NameText, Records

MAX_NAMES = 500


class SetForm(Form):
    """What a name is to say, and whose it is."""

    records: Records = Field(default_factory=dict)
    owner: Address | None = Field(None, description="absent: the owner stays")


class IssueForm(Form):
    """To whom a name is given."""

    owner: Address


class BulkName(Form):
    """A row, as files have it."""

    name: NameText
    owner: Address | None = None
    expires: str | None = Field(None, max_length=64, description="ISO 8601, or absent for no end")
    listed: bool | None = None
    records: Records | None = None


class BulkForm(Form):
    """Many names at once."""

    names: Annotated[list[BulkName], Field(min_length=1, max_length=MAX_NAMES)]
    mode: Literal["all", "each"] = "all"
    overwrite: bool = Field(False, description="replace names in use by what is said of them here")
    dry_run: bool = False


class KeyForm(Form):
    """A key for a program."""

    label: str = Field(min_length=1, max_length=100)
    scopes: Annotated[
        list[Literal["names:read", "names:write", "names:claim", "names:delete", "names:admin"]],
        Field(min_length=1, max_length=5),
    ]
    expires_at: int | None = Field(None, description="milliseconds since 1970; absent for no end")


class WebhookForm(Form):
    """A receiver of news."""

    url: str = Field(min_length=1, max_length=2_000, examples=["https://shop.example/hook"])
    events: list[EventType] = Field(default_factory=list, max_length=50, description="empty: all")


class ReservationForm(Form):
    """How a name is kept back."""

    kind: Literal["reserved", "blocked"] = "reserved"
    holder: Address | None = Field(None, description="the one wallet that may claim it all the same")
    note: str = Field("", max_length=500)
