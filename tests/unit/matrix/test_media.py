"""Files that are larger than their senders say."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from types import SimpleNamespace
from typing import Any, cast

import pytest

from adapters.matrix.content import Media
from adapters.matrix.errors import Unfit
from adapters.matrix.intent import Intent
from adapters.matrix.links import Links
from adapters.matrix.media import Files
from adapters.matrix.settings import MatrixSettings
from gateway.sdk import FileContent, Link, attachment_content

MB = 1_000_000


class Store:
    """Has one file, and says how large it is or not."""

    def __init__(self, size: int, *, says: bool) -> None:
        self.given = 0
        self._size = size
        self._says = says

    @asynccontextmanager
    async def download(self, _server: str, _id: str) -> AsyncIterator[Any]:
        yield SimpleNamespace(content_length=self._size if self._says else None, content=self)

    async def iter_chunked(self, size: int) -> AsyncIterator[bytes]:
        while self.given < self._size:
            part = b"x" * min(size, self._size - self.given)
            self.given += len(part)
            yield part


async def carried(folder: Path, store: Store, *, most: int = 10 * MB, size: int = 0, encrypted: bool = False) -> object:
    for token in ("as", "hs"):
        (folder / token).write_text("x" * 32)
    settings = MatrixSettings(
        homeserver_url="http://127.0.0.1:1",
        server_name="hs",
        as_token_file=folder / "as",
        hs_token_file=folder / "hs",
        embed_bytes=5 * MB,
        max_media_bytes=most,
        encryption=encrypted,
        crypto_store=folder / "keys" if encrypted else None,
    )
    media = Media("hs", "id", "name", "image/png", size, {} if encrypted else None)
    files = Files(settings, Links("http://gw", b"k" * 32))
    attachment = await files.attachment(media, cast(Intent, store), 1)
    return attachment_content(attachment, max_bytes=5 * MB)


@pytest.mark.parametrize("says", [True, False])
async def test_a_file_goes_by_its_size_and_not_by_what_is_said_of_it(tmp_path: Path, says: bool) -> None:
    embedded = await carried(tmp_path, Store(5 * MB, says=says))
    assert isinstance(embedded, FileContent)
    assert len(embedded.data) == 5 * MB
    assert isinstance(await carried(tmp_path, Store(5 * MB + 1, says=says), size=1), Link)


async def test_a_file_that_is_too_large_is_refused_before_it_is_read(tmp_path: Path) -> None:
    store = Store(10 * MB + 1, says=True)
    with pytest.raises(Unfit, match="at most 10 MB are carried over"):
        await carried(tmp_path, store, size=1)
    assert store.given == 0


@pytest.mark.parametrize("says", [True, False])
async def test_a_limit_below_what_goes_into_a_message_holds_too(tmp_path: Path, says: bool) -> None:
    with pytest.raises(Unfit, match="at most 2 MB"):
        await carried(tmp_path, Store(3 * MB, says=says), most=2 * MB, size=1)


@pytest.mark.parametrize("says", [True, False])
async def test_out_of_an_encrypted_room_nothing_goes_as_a_link(tmp_path: Path, says: bool) -> None:
    with pytest.raises(Unfit, match="at most 5 MB are carried over out of encrypted rooms"):
        await carried(tmp_path, Store(11 * MB, says=says), size=1, encrypted=True)
