"""Whom to tell of a weakness: `/.well-known/security.txt` (RFC 9116)."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from gateway.errors import ConfigError
from gateway.lifecycle import now_ms
from gateway.operations.installation import Answers, create_installation
from gateway.settings import load_settings
from gateway.web.security_txt import PATH
from tests.support.house import running_house

VARIABLE = "DM3_GATEWAY__SERVER__SECURITY_CONTACT"


async def test_it_is_served_when_there_is_somebody_to_tell(tmp_path: Path) -> None:
    contact = {VARIABLE: "mailto:security@gw.example"}
    async with running_house(tmp_path / "house", overrides=contact, working=False) as house:
        answer = await house.http.get(f"{house.url}{PATH}")
        assert answer.status_code == 200
        assert answer.headers["content-type"] == "text/plain; charset=utf-8"
        fields = dict(line.split(": ", 1) for line in answer.text.splitlines())
        assert fields.keys() == {"Contact", "Expires", "Canonical"}
        assert (fields["Contact"], fields["Canonical"]) == ("mailto:security@gw.example", f"{house.url}{PATH}")
        until = datetime.fromisoformat(fields["Expires"])
        now = datetime.fromtimestamp(now_ms() / 1000, UTC)
        assert now + timedelta(days=30) < until < now + timedelta(days=365)


async def test_it_is_not_there_without(tmp_path: Path) -> None:
    async with running_house(tmp_path / "house", working=False) as house:
        assert (await house.http.get(f"{house.url}{PATH}")).status_code == 404


@pytest.mark.parametrize("contact", ["security@gw.example", "mailto:a@b\nExpires: never", "http://gw.example", ""])
def test_what_is_no_contact_stops_the_start(tmp_path: Path, contact: str) -> None:
    """Another line cannot get into the file."""
    answers = Answers(parent="gw.eth", public_url="https://gw.example", rpc_url="https://eth.example")
    config = create_installation(tmp_path / "new", answers)
    with pytest.raises(ConfigError, match="security_contact"):
        load_settings(config, {VARIABLE: contact})
