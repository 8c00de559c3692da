"""`migrate --to`: up or down, as the target lies, with more revisions than there are today."""

from __future__ import annotations

import shutil
from pathlib import Path

import pytest

from gateway.errors import SchemaMismatch
from gateway.store import migrate
from gateway.store.schema import REVISION

NEXT = """from __future__ import annotations

from alembic import op

revision = "{0}"
down_revision = "{1}"


def upgrade() -> None:
    op.execute("CREATE TABLE t{0} (x INTEGER)")


def downgrade() -> None:
    op.execute("DROP TABLE t{0}")
"""


@pytest.fixture
def url(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> str:
    """An empty database of a program with two more revisions."""
    folder = tmp_path / "alembic"
    shutil.copytree(migrate.script_folder(), folder)
    for number, before in (("9001", REVISION), ("9002", "9001")):
        (folder / "versions" / f"{number}_next.py").write_text(NEXT.format(number, before))
    monkeypatch.setattr(migrate, "script_folder", lambda: folder)
    return f"sqlite:///{tmp_path / 'gateway.db'}"


def test_up_and_down_as_the_target_lies(url: str) -> None:
    for target, reached in (
        (REVISION, REVISION),
        ("9001", "9001"),
        ("9001", "9001"),
        ("head", "9002"),
        ("9001", "9001"),
        ("9002", "9002"),
        (REVISION, REVISION),
        ("+1", "9001"),
        ("-1", REVISION),
        ("base", None),
        ("base", None),
        ("9002", "9002"),
    ):
        migrate.bring_to(url, target)
        assert migrate.current(url) == reached, target


@pytest.mark.parametrize("target", ["7777", "nothing"])
def test_a_revision_that_does_not_exist_changes_nothing(url: str, target: str) -> None:
    migrate.bring_to(url, "9001")
    with pytest.raises(SchemaMismatch):
        migrate.bring_to(url, target)
    assert migrate.current(url) == "9001"


def test_a_database_of_a_newer_program_is_not_touched(url: str) -> None:
    migrate.bring_to(url, "head")
    migrate.run(url, lambda conn: conn.exec_driver_sql("UPDATE alembic_version SET version_num = '9999'"))
    with pytest.raises(SchemaMismatch):
        migrate.bring_to(url, REVISION)
    assert migrate.current(url) == "9999"
