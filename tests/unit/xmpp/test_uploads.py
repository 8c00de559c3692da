"""Where a server has the files of its people: nothing beside them is fetched."""

from __future__ import annotations

import pytest

from adapters.xmpp.uploads import Place

PROSODY = "https://upload.example/file_share/0192-uuid/probe"
EJABBERD = "http://xmpp.example:5443/upload/a1b2/c3d4/probe"
OWN_HOST = "https://files.example/token/probe"


@pytest.mark.parametrize(
    ("place", "url"),
    [
        (PROSODY, "https://upload.example/file_share/another/cat.png"),
        (PROSODY, "https://UPLOAD.example:443/file_share/another/cat%20one.png"),
        (EJABBERD, "http://xmpp.example:5443/upload/x/y/cat.png"),
        (OWN_HOST, "https://files.example/other/cat.png"),
    ],
)
def test_files_of_the_server_are_known_by_their_address(place: str, url: str) -> None:
    assert Place.of(place).holds(url)


@pytest.mark.parametrize(
    ("place", "url"),
    [
        (PROSODY, "http://upload.example/file_share/another/cat.png"),
        (PROSODY, "https://upload.example:8443/file_share/another/cat.png"),
        (PROSODY, "https://upload.example.evil/file_share/another/cat.png"),
        (PROSODY, "https://upload.example/admin"),
        (PROSODY, "https://upload.example/file_share/../admin"),
        (PROSODY, "https://upload.example/file_share/%2e%2e/admin"),
        (PROSODY, "https://upload.example/file_share/..\\admin/x"),
        (PROSODY, "https://upload.example/file_share/.%2e/x"),
        (PROSODY, "https://upload.example/file_share//admin"),
        (PROSODY, "https://somebody@upload.example/file_share/another/cat.png"),
        (EJABBERD, "http://xmpp.example/upload/x/y/cat.png"),
        (EJABBERD, "http://xmpp.example:99999/upload/x/y/cat.png"),
        (EJABBERD, "http://[::1/upload/x/y/cat.png"),
        (OWN_HOST, "https://other.example/other/cat.png"),
    ],
)
def test_other_addresses_are_only_links(place: str, url: str) -> None:
    assert not Place.of(place).holds(url)
