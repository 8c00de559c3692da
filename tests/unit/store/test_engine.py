"""Store URLs."""

from __future__ import annotations

import pytest

from gateway.errors import ConfigError
from gateway.store.engine import dialect_of, sqlite_path


@pytest.mark.parametrize(
    ("url", "path"),
    [
        ("sqlite:///gateway.db", "gateway.db"),
        ("sqlite:////var/lib/dm3/gateway.db", "/var/lib/dm3/gateway.db"),
        ("sqlite:///with space?.db", "with space?.db"),
    ],
)
def test_sqlite(url: str, path: str) -> None:
    assert dialect_of(url) == "sqlite"
    assert sqlite_path(url) == path


@pytest.mark.parametrize(
    "url", ["postgresql://u@h/db", "postgres://u:p@h:5432/db?sslmode=require", "postgresql://u@/db?host=/run"]
)
def test_postgresql(url: str) -> None:
    assert dialect_of(url) == "postgresql"


@pytest.mark.parametrize(
    "url",
    [
        "",
        "gateway.db",
        "/var/lib/gateway.db",
        "mysql://u:hunter2@h/db",
        "sqlite://",
        "sqlite:///",
        "sqlite:///:memory:",
        "sqlite://gateway.db",
        "postgresql+asyncpg://u:hunter2@h/db",
        "Postgresql://u@h/db",
    ],
)
def test_anything_else_is_refused_with_an_example_and_without_the_password(url: str) -> None:
    with pytest.raises(ConfigError) as caught:
        dialect_of(url)
    assert "sqlite:///" in str(caught.value)
    assert "hunter2" not in str(caught.value)
