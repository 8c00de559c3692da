"""The schema's revision: what fits, what does not, and that the list is alembic's own."""

from __future__ import annotations

import pytest
from alembic.config import Config
from alembic.script import ScriptDirectory

from gateway.errors import SchemaMismatch
from gateway.store.migrate import script_folder
from gateway.store.schema import HISTORY, REVISION
from gateway.store.store import check_revision

KNOWN = ("0001", "0002", "0003")


def test_the_newest_fits() -> None:
    check_revision("0003", KNOWN)


@pytest.mark.parametrize(
    ("found", "advice"),
    [
        (None, "run `dm3-gateway migrate`"),
        ("0001", "run `dm3-gateway migrate`"),
        ("0002", "run `dm3-gateway migrate`"),
        ("0004", "install the newer version"),
        ("", "install the newer version"),
        ("f00ba4", "install the newer version"),
    ],
)
def test_older_newer_and_none_are_refused_with_advice(found: str | None, advice: str) -> None:
    with pytest.raises(SchemaMismatch, match=advice):
        check_revision(found, KNOWN)


def test_the_history_is_that_of_the_migrations() -> None:
    config = Config()
    config.set_main_option("script_location", str(script_folder()))
    scripts = ScriptDirectory.from_config(config)
    assert scripts.get_heads() == [REVISION]
    assert tuple(script.revision for script in scripts.walk_revisions())[::-1] == HISTORY
