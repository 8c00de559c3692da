"""PostgreSQL's own programs: run so that nobody sees a password, and by the rule for TLS that a node keeps."""

from __future__ import annotations

import asyncio
import os
import re
import ssl
import subprocess
import tempfile
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Final
from urllib.parse import parse_qsl, unquote, urlencode, urlsplit

from gateway.errors import ConfigError, Unavailable

MAX_COMPLAINT: Final = 300

_HASHED: Final = re.compile(r"[0-9a-f]{8}\.\d+")
"""Names under which OpenSSL looks for authorities in a folder."""


async def run_program(program: str, url: str, *arguments: str) -> None:
    """Run a program on the database of ``url``; who is cancelled ends it.

    Raises ConfigError when it is not installed, Unavailable with its own words when it fails.
    """
    with _environment(url) as (bare, environment):
        try:
            process = await asyncio.create_subprocess_exec(
                program, f"--dbname={bare}", *arguments, env=environment,
                stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE,
            )  # fmt: skip
        except FileNotFoundError:
            raise _missing(program) from None
        try:
            _, complaint = await process.communicate()
        except BaseException:
            with suppress(ProcessLookupError):
                process.terminate()  # it cancels what the server does for it
            await process.wait()
            raise
    if process.returncode:
        raise Unavailable(_failed(program, complaint))


def list_archive(archive: Path) -> str:
    """What is in an archive of pg_dump's, a line for each. Raises as ``run_program``."""
    command: Sequence[str] = ("pg_restore", "--list", str(archive))
    try:
        done = subprocess.run(  # noqa: S603 - the operator's own program, with arguments of ours
            command, capture_output=True, stdin=subprocess.DEVNULL, check=False
        )
    except FileNotFoundError:
        raise _missing(command[0]) from None
    if done.returncode:
        raise Unavailable(_failed(command[0], done.stderr))
    return done.stdout.decode(errors="surrogateescape")


def without_password(url: str) -> tuple[str, str | None]:
    """A PostgreSQL URL as others may see it, and the password that stood in it."""
    parts = urlsplit(url)
    account, at, place = parts.netloc.rpartition("@")
    user, colon, password = account.partition(":")
    query = parse_qsl(parts.query, keep_blank_values=True)
    given = [value for key, value in query if key == "password"]
    kept = urlencode([(key, value) for key, value in query if key != "password"], safe="/")
    bare = f"{parts.scheme}://{user}{at}{place}{parts.path}" + (f"?{kept}" if kept else "")
    return bare, given[0] if given else unquote(password) if colon else None


def authorities() -> bytes:
    """Certificates (PEM) of everybody whom OpenSSL trusts on this machine, as a node does.

    libpq wants them in one file, and where that is differs from system to system; many have a folder only.
    """
    paths = ssl.get_default_verify_paths()
    files = [Path(os.environ.get(paths.openssl_cafile_env, paths.openssl_cafile))]
    for folder in os.environ.get(paths.openssl_capath_env, paths.openssl_capath).split(os.pathsep):
        if os.path.isdir(folder):
            files += sorted(each for each in Path(folder).iterdir() if _HASHED.fullmatch(each.name))
    return b"\n".join(each.read_bytes() for each in files if each.is_file())


@contextmanager
def _environment(url: str) -> Iterator[tuple[str, Mapping[str, str]]]:
    """The URL without its password, and the environment that has it and what TLS needs."""
    from gateway.store.postgres import tls_of

    bare, password = without_password(url)
    environment = dict(os.environ)
    if password is not None:
        environment["PGPASSWORD"] = password
    if tls_of(url) is None:
        yield bare, environment
        return
    # libpq by itself would go on without TLS, or with anybody's certificate.
    environment["PGSSLMODE"] = "verify-full"
    with tempfile.NamedTemporaryFile(suffix=".pem") as trusted:
        trusted.write(authorities())
        trusted.flush()
        environment.setdefault("PGSSLROOTCERT", trusted.name)
        yield bare, environment


def _missing(program: str) -> ConfigError:
    return ConfigError(
        f"{program} is not installed here: it comes with PostgreSQL's client programs (apt install"
        " postgresql-client), of the server's version or a newer one"
    )


def _failed(program: str, complaint: bytes) -> str:
    return f"{program} failed: {complaint.decode(errors='replace').strip()[-MAX_COMPLAINT:]}"
