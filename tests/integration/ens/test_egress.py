"""The guarded client on real sockets: what it fetches, and that what it refuses sees no connection at all."""

from __future__ import annotations

import asyncio
import ssl
from collections.abc import AsyncIterator, Iterable, Sequence

import httpcore2
import pytest
import trustme

from gateway.ens.egress import GuardedClient
from gateway.ens.pinning import Resolve
from gateway.errors import FetchFailed, FetchRefused
from tests.integration.ens.servers import Asked, Server, answering, response, scripted, silence

PUBLIC = "93.184.216.34"


@pytest.fixture
async def canary() -> AsyncIterator[Server]:
    """A server that must not be reached."""
    async with scripted(answering(response(200, b'{"secret":1}'))) as server:
        yield server


@pytest.fixture
async def open_client() -> AsyncIterator[GuardedClient]:
    """A client that may talk to this machine."""
    async with GuardedClient(allow_private=True, timeout=30) as client:
        yield client


class Recorder(httpcore2.AsyncNetworkBackend):
    """Stands where sockets are opened and notes where they would go."""

    def __init__(self) -> None:
        self.opened: list[tuple[str, int]] = []

    async def connect_tcp(
        self,
        host: str,
        port: int,
        timeout: float | None = None,
        local_address: str | None = None,
        socket_options: Iterable[httpcore2.SOCKET_OPTION] | None = None,
    ) -> httpcore2.AsyncNetworkStream:
        """Notes, and fails."""
        self.opened.append((host, port))
        raise httpcore2.ConnectError("recorded")


def resolving(*answers: Sequence[str]) -> tuple[Resolve, list[str]]:
    """A resolver that gives one answer after the other and repeats the last, and the names it was asked."""
    left = list(answers)
    asked: list[str] = []

    async def resolve(host: str, port: int) -> Sequence[str]:
        asked.append(host)
        return left.pop(0) if len(left) > 1 else left[0]

    return resolve, asked


async def test_a_fetch(open_client: GuardedClient) -> None:
    async with scripted(answering(response(200, b"{}", "application/json; charset=utf-8"))) as server:
        fetched = await open_client.get(server.url("/p?q=1"), accept=["application/json"])
    assert (fetched.status, fetched.content_type, fetched.body) == (200, "application/json", b"{}")
    assert fetched.url == server.url("/p?q=1")
    assert server.asked[0].method == "GET"
    assert server.asked[0].path == "/p?q=1"
    assert server.asked[0].headers["host"] == f"127.0.0.1:{server.port}"
    assert server.asked[0].headers["accept-encoding"] == "identity"


async def test_other_statuses_are_for_the_caller(open_client: GuardedClient) -> None:
    for status in (204, 400, 404, 500, 503):
        body = b"" if status == 204 else b"x"
        async with scripted(answering(response(status, body, "text/html"))) as server:
            fetched = await open_client.get(server.url(), accept=["application/json"])
        assert (fetched.status, fetched.body) == (status, body)


async def test_a_post(open_client: GuardedClient) -> None:
    async with scripted(answering(response(200, b"{}"))) as server:
        fetched = await open_client.post_json(server.url("/ccip"), {"b": "é", "a": 1})
    assert fetched.status == 200
    assert server.asked[0].body == '{"a":1,"b":"é"}'.encode()
    assert server.asked[0].headers["content-type"] == "application/json"


async def test_tls_is_for_the_name_and_the_socket_for_the_address() -> None:
    authority = trustme.CA()
    ours, theirs = ssl.create_default_context(), ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    authority.configure_trust(ours)
    authority.issue_cert("good.example").configure_cert(theirs)
    resolve, asked = resolving(["127.0.0.1"])
    async with (
        scripted(answering(response(200, b"{}")), theirs) as server,
        GuardedClient(allow_private=True, resolve=resolve, tls=ours, timeout=30) as client,
    ):
        fetched = await client.get(server.url("/", "good.example", "https"))
        assert fetched.status == 200
        assert asked == ["good.example"]
        assert server.asked[0].headers["host"] == f"good.example:{server.port}"
        with pytest.raises(FetchFailed):
            await client.get(server.url("/", "other.example", "https"))


async def test_a_certificate_of_nobody() -> None:
    theirs = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    trustme.CA().issue_cert("127.0.0.1").configure_cert(theirs)
    async with (
        scripted(answering(response()), theirs) as server,
        GuardedClient(allow_private=True, timeout=30) as client,
    ):
        with pytest.raises(FetchFailed):
            await client.get(server.url(scheme="https"))
    assert server.asked == []


FORMS = [
    "https://127.0.0.1:{port}/",
    "http://127.0.0.1:{port}/",
    "https://localhost:{port}/",
    "https://127.0.0.1/",
    "https://localhost/",
    "https://127.1:{port}/",
    "https://2130706433:{port}/",
    "https://0x7f000001:{port}/",
    "https://017700000001:{port}/",
    "https://0:{port}/",
    "https://0.0.0.0/",
    "https://[::1]/",
    "https://[::]/",
    "https://[::ffff:127.0.0.1]/",
    "https://[::127.0.0.1]/",
    "https://[64:ff9b::7f00:1]/",
    "https://[2002:7f00:1::]/",
    "https://[::1%25lo]/",
    "https://169.254.169.254/latest/meta-data/",
    "https://224.0.0.1/",
    "https://example.org@127.0.0.1:{port}/",
    "https://127.0.0.1.:{port}/",
    "https://127.0.0.1\\@example.org/",
    "https://①②⑦.0.0.1/",
]


@pytest.mark.parametrize("form", FORMS)
async def test_forms_of_this_machine_are_refused_without_a_connection(canary: Server, form: str) -> None:
    recorder = Recorder()
    async with GuardedClient(connect=recorder) as client:
        with pytest.raises(FetchRefused):
            await client.get(form.format(port=canary.port))
        with pytest.raises(FetchRefused):
            await client.post_json(form.format(port=canary.port), {})
    assert recorder.opened == []
    assert canary.connections == 0


@pytest.mark.parametrize(
    "addresses",
    [["127.0.0.1"], ["::1"], [PUBLIC, "127.0.0.1"], ["10.0.0.1", PUBLIC], ["fe80::1%eth0"], ["64:ff9b::7f00:1"]],
)
async def test_a_name_with_one_bad_address_is_refused(addresses: list[str]) -> None:
    recorder = Recorder()
    resolve, _ = resolving(addresses)
    async with GuardedClient(resolve=resolve, connect=recorder) as client:
        with pytest.raises(FetchRefused):
            await client.get("https://evil.example/")
    assert recorder.opened == []


async def test_a_name_that_changes_its_mind(canary: Server) -> None:
    """DNS rebinding: the address that was checked is the one that is connected to; the next is checked anew."""
    recorder = Recorder()
    resolve, asked = resolving([PUBLIC], ["127.0.0.1"])
    async with GuardedClient(resolve=resolve, connect=recorder) as client:
        with pytest.raises(FetchFailed):
            await client.get("https://rebind.example/")
        assert (recorder.opened, asked) == ([(PUBLIC, 443)], ["rebind.example"])
        for _ in range(5):
            with pytest.raises(FetchRefused):
                await client.get("https://rebind.example/")
    assert recorder.opened == [(PUBLIC, 443)]
    assert canary.connections == 0


async def test_all_addresses_are_tried_up_to_four() -> None:
    recorder = Recorder()
    resolve, _ = resolving([f"93.184.216.{last}" for last in range(1, 9)])
    async with GuardedClient(resolve=resolve, connect=recorder) as client:
        with pytest.raises(FetchFailed):
            await client.get("https://example.org/")
    assert recorder.opened == [(f"93.184.216.{last}", 443) for last in range(1, 5)]


async def test_metadata_services_stay_refused_in_trials() -> None:
    recorder = Recorder()
    async with GuardedClient(allow_private=True, connect=recorder) as client:
        with pytest.raises(FetchRefused):
            await client.get("http://169.254.169.254/latest/")
    assert recorder.opened == []


async def test_a_host_that_nobody_knows() -> None:
    async def resolve(host: str, port: int) -> Sequence[str]:
        raise OSError("no such host")

    async with GuardedClient(resolve=resolve) as client:
        with pytest.raises(FetchFailed):
            await client.get("https://nowhere.example/")


@pytest.mark.attack(13)
async def test_proxies_of_the_environment_have_no_say(
    canary: Server, open_client: GuardedClient, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name in ("HTTP_PROXY", "HTTPS_PROXY", "ALL_PROXY", "http_proxy", "https_proxy", "all_proxy"):
        monkeypatch.setenv(name, canary.url())
    async with scripted(answering(response(200, b"{}"))) as server:
        assert (await open_client.get(server.url())).body == b"{}"
    assert canary.connections == 0


async def test_redirects(open_client: GuardedClient) -> None:
    async def script(asked: Asked, writer: asyncio.StreamWriter) -> None:
        left = int(asked.path.strip("/"))
        last = response(200, b"{}")
        writer.write(last if left == 0 else response(302, b"", "text/plain", ("Location", f"/{left - 1}")))

    async with scripted(script) as server:
        fetched = await open_client.get(server.url("/3"))
        assert (fetched.status, fetched.url) == (200, server.url("/0"))
        with pytest.raises(FetchRefused, match="redirects"):
            await open_client.get(server.url("/4"))
        with pytest.raises(FetchRefused, match="redirects"):
            await open_client.get(server.url("/1"), max_redirects=0)
        with pytest.raises(FetchRefused, match="redirect"):
            await open_client.post_json(server.url("/1"), {})


@pytest.mark.parametrize("location", ["https://169.254.169.254/", "ftp://example.org/", "http://[::", "https://127.1/"])
async def test_redirects_to_what_is_refused(open_client: GuardedClient, location: str) -> None:
    async with scripted(answering(response(302, b"", "text/plain", ("Location", location)))) as server:
        with pytest.raises(FetchRefused):
            await open_client.get(server.url())


async def test_a_redirect_to_this_machine(canary: Server) -> None:
    """The first host is public by its look-up; a canary stands where the redirect points to."""
    authority = trustme.CA()
    ours, theirs = ssl.create_default_context(), ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    authority.configure_trust(ours)
    authority.issue_cert("public.example").configure_cert(theirs)

    class Here(Recorder):
        """Takes the connection to the public address to our server."""

        async def connect_tcp(
            self,
            host: str,
            port: int,
            timeout: float | None = None,
            local_address: str | None = None,
            socket_options: Iterable[httpcore2.SOCKET_OPTION] | None = None,
        ) -> httpcore2.AsyncNetworkStream:
            """Notes, and connects."""
            self.opened.append((host, port))
            return await httpcore2.AnyIOBackend().connect_tcp("127.0.0.1", server.port, timeout)

    async def resolve(host: str, port: int) -> Sequence[str]:
        return [PUBLIC] if host == "public.example" else ["127.0.0.1"]

    recorder = Here()
    for location in (f"https://127.0.0.1:{canary.port}/", "https://127.0.0.1/", "https://inside.example/"):
        redirect = response(307, b"", "text/plain", ("Location", location))
        async with (
            scripted(answering(redirect), theirs) as server,
            GuardedClient(resolve=resolve, tls=ours, connect=recorder, timeout=30) as client,
        ):
            with pytest.raises(FetchRefused):
                await client.get("https://public.example/")
            assert len(server.asked) == 1
    assert set(recorder.opened) == {(PUBLIC, 443)}
    assert canary.connections == 0


@pytest.mark.weakness(12)
@pytest.mark.parametrize("with_length", [True, False])
async def test_a_body_without_end(open_client: GuardedClient, with_length: bool) -> None:
    sent = 0

    async def script(asked: Asked, writer: asyncio.StreamWriter) -> None:
        nonlocal sent
        length = b"Content-Length: 100000000\r\n" if with_length else b""
        writer.write(b"HTTP/1.1 200 OK\r\nContent-Type: application/json\r\n" + length + b"\r\n")
        for _ in range(20_000):
            writer.write(b"x" * 5_000)
            sent += 5_000
            await writer.drain()

    async with scripted(script) as server:
        with pytest.raises(FetchRefused, match="65536"):
            await open_client.get(server.url())
    assert sent < 50_000_000


async def test_bounds_of_the_caller(open_client: GuardedClient) -> None:
    async with scripted(answering(response(200, b"x" * 100))) as server:
        assert len((await open_client.get(server.url(), max_bytes=100)).body) == 100
        with pytest.raises(FetchRefused):
            await open_client.get(server.url(), max_bytes=99)


async def test_compressed_bodies_are_refused(open_client: GuardedClient) -> None:
    compressed = response(200, b"\x1f\x8b", "application/json", ("Content-Encoding", "gzip"))
    async with scripted(answering(compressed)) as server:
        with pytest.raises(FetchRefused, match="compressed"):
            await open_client.get(server.url())


async def test_content_types(open_client: GuardedClient) -> None:
    async with scripted(answering(response(200, b"<html>", "text/html"))) as server:
        with pytest.raises(FetchRefused, match="content type"):
            await open_client.get(server.url(), accept=["application/json"])
        assert (await open_client.get(server.url())).content_type == "text/html"


async def _drip(asked: Asked, writer: asyncio.StreamWriter) -> None:
    writer.write(b"HTTP/1.1 200 OK\r\nContent-Length: 1000\r\n\r\n")
    while True:
        writer.write(b"x")
        await writer.drain()
        await asyncio.sleep(0.02)


async def _hang_up(asked: Asked, writer: asyncio.StreamWriter) -> None:
    writer.write(b"HTTP/1.1 200 OK\r\nContent-Length: 1000\r\n\r\nx")
    await writer.drain()
    raise ConnectionResetError


@pytest.mark.weakness(12)
@pytest.mark.parametrize(
    "script",
    [
        silence,
        _drip,
        _hang_up,
        answering(b"not http at all\r\n\r\n"),
        answering(b"HTTP/1.1 200 OK\r\n" + b"X-Long: y\r\n" * 50_000 + b"\r\n"),
        answering(b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\nzz\r\n"),
    ],
)
async def test_servers_that_misbehave(script: object) -> None:
    async with scripted(script) as server, GuardedClient(allow_private=True, timeout=0.4) as client:  # type: ignore[arg-type]
        with pytest.raises(FetchFailed):
            await client.get(server.url())


async def test_nobody_listens(open_client: GuardedClient) -> None:
    async with scripted(silence) as server:
        url = server.url()
    with pytest.raises(FetchFailed):
        await open_client.get(url)


async def test_a_closed_client_opens_again(open_client: GuardedClient) -> None:
    async with scripted(answering(response(200, b"{}"))) as server:
        await open_client.get(server.url())
        await open_client.close()
        assert (await open_client.get(server.url())).status == 200


# --- POST of any content --------------------------------------------------------------------------------------------


async def test_a_post_of_bytes_with_headers(open_client: GuardedClient) -> None:
    content = bytes(range(256))
    async with scripted(answering(response(201, b"", "text/plain", ("Location", "/1"), ("X-A", "b")))) as server:
        fetched = await open_client.post(server.url("/p?q"), content, {"TTL": "60", "Content-Encoding": "aes128gcm"})
    assert (fetched.status, fetched.headers["x-a"], fetched.headers["location"]) == (201, "b", "/1")
    [asked] = server.asked
    assert (asked.method, asked.path, asked.body) == ("POST", "/p?q", content)
    assert asked.headers["ttl"] == "60"
    assert asked.headers["content-encoding"] == "aes128gcm"
    assert asked.headers["user-agent"] == "dm3-gateway"


@pytest.mark.attack(13)
async def test_a_post_is_guarded_like_a_get(canary: Server) -> None:
    async with GuardedClient(timeout=5) as client:
        for url in (canary.url(), canary.url(scheme="https"), "https://127.0.0.1/", "https://localhost/"):
            with pytest.raises(FetchRefused):
                await client.post(url, b"x", {})
    assert canary.connections == 0


@pytest.mark.attack(13)
async def test_a_post_is_not_redirected(open_client: GuardedClient, canary: Server) -> None:
    for status in (301, 302, 303, 307, 308):
        async with scripted(answering(response(status, b"", "text/plain", ("Location", canary.url())))) as server:
            with pytest.raises(FetchRefused, match="redirect"):
                await open_client.post(server.url(), b"x", {})
    assert canary.connections == 0


@pytest.mark.parametrize("header", [{"A": "b\r\nC: d"}, {"A\r\nC": "d"}, {"A": "b\0"}, {"A": "b\nc"}], ids=repr)
async def test_headers_cannot_be_split(open_client: GuardedClient, header: dict[str, str]) -> None:
    async with scripted(answering(response())) as server:
        with pytest.raises(FetchFailed):
            await open_client.post(server.url(), b"x", header)
    assert server.asked == []


@pytest.mark.attack(13)
@pytest.mark.parametrize(
    "url", ["https://127.0.0.1/", "https://[::1]/", "https://169.254.169.254/", "http://a.example/"]
)
async def test_a_url_can_be_checked_before_it_is_used(url: str) -> None:
    async with GuardedClient() as client:
        with pytest.raises(FetchRefused):
            client.check(url)
        assert client.check("https://a.example/x").origin == "https://a.example"
        assert client.check("https://1.1.1.1:443/x").url == "https://1.1.1.1/x"


async def test_a_link_local_address_is_not_private_but_forbidden(open_client: GuardedClient) -> None:
    assert open_client.check("http://127.0.0.1:8080/x").origin == "http://127.0.0.1:8080"
    with pytest.raises(FetchRefused):
        open_client.check("http://169.254.169.254/")
