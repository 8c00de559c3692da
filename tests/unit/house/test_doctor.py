"""`doctor`: groups of checks that end in time whatever they do, and adapters that examine themselves."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import pytest

from gateway.errors import ConfigError
from gateway.operations.adapter_types import adapter_type
from gateway.operations.doctor import GROUPS, as_json, choose, counted, examine, groups, worst
from gateway.operations.installation import Answers, create_installation
from gateway.sdk import Examines, Finding, State
from gateway.settings import Settings, load_settings
from tests.support.examining import READERS, content, examined, finding, mode

WELL = Finding(check="mx", state=State.OK, found="served by mx.example")
POOR = Finding(check="ptr", state=State.WARN, found="another name", fix="change it", lines=("a. IN PTR b.",))
BAD = Finding(check="spf", state=State.FAIL, found="none", fix="add it")


async def found() -> Sequence[Finding]:
    return (WELL, POOR)


async def hangs() -> Sequence[Finding]:
    await asyncio.Event().wait()
    return ()


async def breaks() -> Sequence[Finding]:
    raise RuntimeError("secret")


async def is_set_up_wrong() -> Sequence[Finding]:
    raise ConfigError("adapters.x: no such key")


async def test_no_group_keeps_another_from_its_findings() -> None:
    results = await examine({"a": found, "b": hangs, "c": breaks, "d": is_set_up_wrong}, seconds=0.05)
    assert results["a"] == (WELL, POOR)
    for name, told in {"b": "did not end", "c": "RuntimeError", "d": "no such key"}.items():
        (finding,) = results[name]
        assert (finding.state, told in finding.found) == (State.FAIL, True)
    assert "secret" not in results["c"][0].found


@pytest.mark.parametrize(
    ("findings", "state"),
    [((), State.OK), ((WELL,), State.OK), ((WELL, POOR), State.WARN), ((POOR, BAD, WELL), State.FAIL)],
)
def test_the_worst_counts(findings: tuple[Finding, ...], state: State) -> None:
    assert worst({"a": (), "b": findings}) is state


def test_json_holds_all_of_it() -> None:
    told = json.loads(json.dumps(as_json({"email": (WELL, POOR)})))
    assert told["state"] == "warn"
    assert told["counts"] == {"ok": 1, "warn": 1, "fail": 0}
    assert told["groups"]["email"][1] == {
        "check": "ptr",
        "state": "warn",
        "found": "another name",
        "fix": "change it",
        "lines": ["a. IN PTR b."],
    }


def test_groups_are_chosen_by_name() -> None:
    known = {"a": found, "b": hangs}
    assert list(choose(known, ())) == ["a", "b"]
    assert list(choose(known, ("b",))) == ["b"]
    with pytest.raises(ConfigError, match="there is: a, b"):
        choose(known, ("c",))


def test_findings_are_counted() -> None:
    assert counted({"a": (WELL, POOR), "b": (WELL,)}) == {State.OK: 2, State.WARN: 1, State.FAIL: 0}


async def test_each_adapter_is_a_group(tmp_path: Path) -> None:
    """One that examines nothing has a right table at least, and a wrong one is a finding and no traceback."""
    answers = Answers(parent="gw.eth", public_url="https://gw.example", rpc_url="https://eth.example")
    config = create_installation(tmp_path / "new", answers)
    settings = load_settings(config, {}).model_copy(update={"adapters": {"telex": {}}})
    known = groups(settings, config, READERS)
    assert list(known) == [*GROUPS, "telex"]
    results = await examine(choose(known, ("telex", "configuration")))
    assert "no such adapter" in results["telex"][0].found
    assert finding(results["configuration"], "adapters").state is State.FAIL


async def test_secrets_of_adapters_are_their_owner_s(tmp_path: Path) -> None:
    answers = Answers(
        parent="gw.eth",
        public_url="https://gw.example",
        rpc_url="https://eth.example",
        adapters={"xmpp": {"component": "dm3.example.org"}},
    )
    config = create_installation(tmp_path / "new", answers)
    settings, secret = load_settings(config, {}), tmp_path / "new" / "xmpp.secret"
    assert finding((await examined(settings, config, "keys"))["keys"], "adapters").state is State.OK
    with mode(secret, 0o644):
        assert "may be read by others" in finding((await examined(settings, config, "keys"))["keys"], "adapters").found
    with content(secret, None):
        assert "cannot be read" in finding((await examined(settings, config, "keys"))["keys"], "adapters").found


def test_what_an_adapter_can_do_is_seen_at_its_class() -> None:
    assert all(isinstance(adapter_type(name), Examines) for name in ("email", "matrix", "xmpp"))


@pytest.mark.parametrize(
    ("sections", "expected"),
    [
        ({}, False),
        ({"chain": {"rpc_urls": ["https://rpc.example/"]}}, False),
        ({"chain": {"rpc_urls": ["https://rpc.example/v2/key"]}}, True),
        ({"chain": {"rpc_urls": ["https://user@rpc.example"]}}, True),
        ({"store": {"url": "postgresql://dm3@db/dm3"}}, False),
        ({"store": {"url": "postgresql://dm3:x@db/dm3"}}, True),
        ({"store": {"url": "postgresql://db/dm3?password=x"}}, True),
        ({"adapters": {"matrix": {"as_token_file": "as.token"}}}, False),
        ({"adapters": {"telex": {"password": "x"}}}, True),
    ],
)
async def test_a_configuration_that_others_read_must_hold_nothing_secret(
    tmp_path: Path, sections: dict[str, Any], expected: bool
) -> None:
    answers = Answers(parent="gw.eth", public_url="https://gw.example", rpc_url="http://127.0.0.1:9")
    config = create_installation(tmp_path / "new", answers)
    values = load_settings(config, {}).model_dump(mode="json")
    for name, section in sections.items():
        values[name] |= section
    settings = Settings.model_validate(values, context={"base": tmp_path / "new"})
    with mode(config, 0o644):
        found = finding((await examined(settings, config, "configuration"))["configuration"], "file")
    assert (found.state is State.WARN) is expected, found
    whole = finding((await examined(settings, config, "configuration"))["configuration"], "file")
    assert whole.state is State.OK
