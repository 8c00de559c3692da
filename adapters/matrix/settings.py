"""The table ``[adapters.matrix]`` of the configuration."""

from __future__ import annotations

import re
from enum import IntEnum
from typing import Annotated, Final

from pydantic import AfterValidator, BeforeValidator, Field

from gateway.sdk import FilePath, Section, WebAddress

_SERVER_NAME: Final = re.compile(r"[A-Za-z0-9.-]{1,230}(?::[0-9]{1,5})?|\[[0-9A-Fa-f:.]{2,45}\](?::[0-9]{1,5})?")
_LOCALPART: Final = re.compile(r"[a-z0-9._=/+-]{1,64}")
_WHO: Final = re.compile(r"\*|@[!-9;-~]{1,200}:.+|[^@*].*")


class Permission(IntEnum):
    """What somebody of the network may do; each includes those before."""

    NONE = 0
    """Nothing: messages are answered by one notice, invitations not at all."""
    USER = 1
    """Write, and have a name."""
    ADMIN = 2
    """Do so without the limits on messages and conversations."""


def _server_name(text: str) -> str:
    if not _SERVER_NAME.fullmatch(text):
        raise ValueError("must be the name of a homeserver such as example.org or localhost:8448")
    return text


def _localpart(text: str) -> str:
    if not _LOCALPART.fullmatch(text):
        raise ValueError("must be the local part of a Matrix id such as dm3")
    if text.startswith(("dm3_", "dm3room_")):
        raise ValueError("must not begin with dm3_ or dm3room_, which are the ghosts' names")
    return text


def _who(text: str) -> str:
    if not _WHO.fullmatch(text):
        raise ValueError('must be "*", a server such as example.org, or a person such as @bob:example.org')
    return text


def _pattern(text: str) -> str:
    try:
        re.compile(text)
    except re.error as error:
        raise ValueError(f"must be a regular expression: {error}") from None
    return text


def _permission(word: object) -> Permission:
    if isinstance(word, Permission):
        return word
    try:
        return Permission[word.upper()] if isinstance(word, str) else Permission(-1)
    except (KeyError, ValueError):
        raise ValueError('must be "none", "user" or "admin"') from None


Who = Annotated[str, AfterValidator(_who)]
Allowed = Annotated[Permission, BeforeValidator(_permission)]


class MatrixSettings(Section):
    """Every key of ``[adapters.matrix]``; README.md documents each of them."""

    homeserver_url: WebAddress = Field(
        description="where the homeserver's client-server API is", examples=["http://127.0.0.1:8008"]
    )
    server_name: Annotated[str, AfterValidator(_server_name)] = Field(
        description="the homeserver's name, as in its users' ids", examples=["example.org"]
    )
    as_token_file: FilePath = Field(description="token by which we are known to the homeserver")
    hs_token_file: FilePath = Field(description="token by which the homeserver is known to us")
    bot: Annotated[str, AfterValidator(_localpart)] = Field("dm3", description="local part of the bot's Matrix id")
    url: WebAddress | None = Field(
        None,
        description="where the homeserver finds us; the public URL when absent",
        examples=["http://127.0.0.1:8080"],
    )
    permissions: dict[Who, Allowed] = Field(
        default_factory=dict,
        description='who may do what: "*", servers and persons to "none", "user" or "admin"; absent: the own server',
        examples=[{"example.org": "user", "@op:example.org": "admin"}],
    )
    ignored_users: tuple[Annotated[str, AfterValidator(_pattern)], ...] = Field(
        (), description="regular expressions of Matrix ids that are other bridges' ghosts, whom nobody bridges again"
    )
    messages_per_minute: int = Field(
        120, ge=1, description="messages of one person that go on at once; more wait, none is lost"
    )
    new_chats_per_hour: int = Field(
        60, ge=1, description="conversations that one person may begin in an hour, and at once"
    )
    max_media_bytes: int = Field(50_000_000, ge=0, description="bytes of a file that is carried over")
    embed_bytes: int = Field(
        5_000_000, ge=0, le=12_000_000, description="bytes of files inside a DM3 message; larger ones become links"
    )
    link_days: int = Field(30, ge=1, le=365, description="days for which a link to a large file works")
    status_events: bool = Field(True, description="say with each message how far it came (message_send_status)")
    read_receipts: bool = Field(True, description="tell the other side what was read")
    encryption: bool = Field(False, description="end-to-bridge encryption; needs the extra matrix-e2ee")
    crypto_store: FilePath | None = Field(
        None, description="folder for the keys of encrypted rooms, on a disk of the only node; needed with encryption"
    )
    request_timeout: float = Field(60, gt=0, description="seconds for one request to the homeserver")

    def permission_of(self, mxid: str) -> Permission:
        """What a person may do: their own entry, else that of their server, else that of everybody."""
        server = mxid.partition(":")[2]
        table = self.permissions or {self.server_name: Permission.USER}
        for who in (mxid, server, "*"):
            if who in table:
                return table[who]
        return Permission.NONE
