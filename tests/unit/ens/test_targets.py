"""URLs from strangers: one spelling is taken, every odd one refused before anything is looked up."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gateway.ens.targets import MAX_URL, Target, follow, parse_target
from gateway.errors import FetchRefused


@pytest.mark.parametrize(
    ("url", "target"),
    [
        ("https://example.org", Target(True, "example.org", 443, "/")),
        ("https://EXAMPLE.org:443/a/b?c=d&e=%20#f", Target(True, "example.org", 443, "/a/b?c=d&e=%20")),
        ("HTTPS://example.org/x", Target(True, "example.org", 443, "/x")),
        ("https://1.1.1.1/x", Target(True, "1.1.1.1", 443, "/x")),
        ("https://[2606:4700::1]/x", Target(True, "2606:4700::1", 443, "/x")),
        ("https://xn--mnchen-3ya.de/", Target(True, "xn--mnchen-3ya.de", 443, "/")),
        ("https://a_b.example.org/", Target(True, "a_b.example.org", 443, "/")),
        ("https://example.org?q", Target(True, "example.org", 443, "/?q")),
    ],
)
def test_what_is_fetched(url: str, target: Target) -> None:
    assert parse_target(url, allow_private=False) == target
    assert parse_target(target.url, allow_private=False) == target


REFUSED = [
    "",
    "example.org",
    "//example.org",
    "ftp://example.org",
    "file:///etc/passwd",
    "gopher://example.org",
    "data:application/json,{}",
    "https:/example.org",
    "https:example.org",
    "https://",
    "https:///x",
    "https://user@example.org",
    "https://user:secret@example.org",
    "https://@example.org",
    "https://example.org@127.0.0.1",
    "https://127.0.0.1:80@example.org",
    "https://example.org.",
    "https://.example.org",
    "https://example..org",
    "https://-example.org",
    "https://example-.org",
    "https://exa mple.org",
    "https://example.org\\@127.0.0.1",
    "https://example.org/\r\nHost: x",
    "https://example.org/\t",
    "https://example.org/\0",
    "https://münchen.de",
    "https://example。org",
    "https://①②⑦.⓪.⓪.①",
    "https://%31%32%37.0.0.1",
    "https://example.org%2f.evil.org",
    "https://2130706433",
    "https://017700000001",
    "https://0x7f000001",
    "https://0x7f.0.0.1",
    "https://127.1",
    "https://127.0.1",
    "https://127.0.0.01",
    "https://0127.0.0.1",
    "https://1.1.1.256",
    "https://1.1.1.1.",
    "https://foo.0x7f",
    "https://foo.123",
    "https://1.1.1.1.1",
    "https://[::1",
    "https://::1",
    "https://[::1%25lo]",
    "https://[fe80::1%eth0]",
    "https://[example.org]",
    "https://[]",
    "https://[v1.fe]",
    "https://[1.1.1.1]",
    "https://example.org:",
    "https://example.org:0",
    "https://example.org:99999",
    "https://example.org:-1",
    "https://example.org:4 43",
    "https://example.org:https",
    "https://" + "a" * 64 + ".org",
    "https://" + "a." * 130 + "org",
    "https://example.org/<script>",
    "https://example.org/" + "a" * MAX_URL,
]


@pytest.mark.parametrize("url", REFUSED)
@pytest.mark.parametrize("allow_private", [False, True])
def test_what_is_refused(url: str, allow_private: bool) -> None:
    with pytest.raises(FetchRefused):
        parse_target(url, allow_private=allow_private)


@pytest.mark.parametrize("url", ["http://example.org", "https://example.org:8443", "https://example.org:80"])
def test_what_only_trials_permit(url: str) -> None:
    with pytest.raises(FetchRefused):
        parse_target(url, allow_private=False)
    assert parse_target(url, allow_private=True).host == "example.org"


def test_authority() -> None:
    def authority(url: str) -> str:
        return parse_target(url, allow_private=True).authority

    assert authority("https://example.org") == "example.org"
    assert authority("http://example.org:80") == "example.org"
    assert authority("http://example.org:443") == "example.org:443"
    assert authority("https://[::1]:8443/x") == "[::1]:8443"


def test_redirects() -> None:
    start = parse_target("https://example.org/a/b?c", allow_private=False)
    assert follow(start, "d", allow_private=False).url == "https://example.org/a/d"
    assert follow(start, "/d?e", allow_private=False).url == "https://example.org/d?e"
    assert follow(start, "//other.org/x", allow_private=False).url == "https://other.org/x"
    assert follow(start, "https://other.org", allow_private=False).url == "https://other.org/"
    for location in ("http://example.org/", "https://user@other.org/", "ftp://x", "https://127.1/", "x" * 70_000, "\n"):
        with pytest.raises(FetchRefused):
            follow(start, location, allow_private=False)
    with pytest.raises(FetchRefused, match="https to http"):
        follow(start, "http://example.org/", allow_private=True)


@given(st.text(max_size=80) | st.from_regex(r"https?://[a-z0-9.:@\[\]%/\\-]{0,40}"))
def test_any_text_has_one_spelling_or_is_refused(url: str) -> None:
    try:
        target = parse_target(url, allow_private=True)
    except FetchRefused:
        return
    assert parse_target(target.url, allow_private=True) == target
    assert target.host == target.host.lower()
    assert target.path.startswith("/")
