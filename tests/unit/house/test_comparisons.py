"""No secret is compared by a comparison that takes longer the more of it is right.

Read from the source: whatever bears a telling name and stands beside ``==``, ``!=`` or ``in`` must be on a short list
with the reason why a stranger learns nothing from the time that it takes.
"""

from __future__ import annotations

import ast
import re
from collections.abc import Iterator
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[3]
TELLING = re.compile(
    r"(?:^|_)(?:token|secret|password|passphrase|digest|signature|mac|hmac|nonce|challenge|otp|cookie)s?(?:_|$)",
    re.IGNORECASE,
)
MEASURES = re.compile(r"_(?:BYTES|LENGTH|MS|SECONDS)$")
UNSAFE = (ast.Eq, ast.NotEq, ast.In, ast.NotIn)

PUBLIC = "both sides are public"
LOOKED_UP = "SHA-256 of a secret, looked up by an index: whoever can choose its bits has broken SHA-256"
FENCE = "a number that tells two holders of one lease apart; it never leaves the cluster"
ALLOWED = {
    ("gateway/store/sessions.py", "challenges.c.digest == self.digest"): LOOKED_UP,
    ("gateway/store/sessions.py", "tokens.c.digest == self.digest"): LOOKED_UP,
    ("gateway/store/links.py", "link_codes.c.digest == self.digest"): LOOKED_UP,
    ("gateway/store/links.py", "link_codes.c.digest != b''"): PUBLIC,
    ("gateway/store/wallet_sessions.py", "wallet_sessions.c.digest == self.digest"): LOOKED_UP,
    ("gateway/store/audit.py", "digest_of(before, logged.entry) != logged.digest"): PUBLIC,
    ("gateway/store/tombstones.py", "tombstones.c.digest == digest"): LOOKED_UP,
    ("gateway/store/leases.py", "leases.c.token == self.fence.token"): FENCE,
    ("gateway/store/leases.py", "leases.c.token == fence.token"): FENCE,
    ("gateway/store/lanes.py", "lanes.c.token == bindparam('number')"): FENCE,
    ("adapters/email/authentication/dkim.py", "digest == signature.body_hash"): PUBLIC,
    ("gateway/ens/cid.py", "hashlib.sha256(block).digest() == cid.digest"): PUBLIC,
    ("gateway/bridge/route.py", "made.route == digest"): PUBLIC,
    ("gateway/demo/chain/evm.py", "transaction.nonce != nonce"): PUBLIC,
}


def named(operand: ast.expr) -> str:
    """The name that an operand is known by; what is counted (`len`) or spelt out has none."""
    match operand:
        case ast.Name(id=name) | ast.Attribute(attr=name):
            return name
        case ast.Subscript(slice=ast.Constant(value=str(name))):
            return name
        case ast.Subscript(value=value) | ast.Await(value=value) | ast.NamedExpr(target=value):
            return named(value)
        case ast.Call(func=ast.Attribute(attr="encode" | "decode" | "lower" | "strip", value=value)):
            return named(value)
        case ast.Call(func=ast.Name(id=name) | ast.Attribute(attr=name)) if name != "len":
            return name
    return ""


def comparisons(source: str) -> Iterator[str]:
    """Unsafe comparisons of something with a telling name."""
    for node in ast.walk(ast.parse(source)):
        if isinstance(node, ast.Compare) and any(isinstance(op, UNSAFE) for op in node.ops):
            names = map(named, (node.left, *node.comparators))
            if any(TELLING.search(name) and not MEASURES.search(name) for name in names):
                yield ast.unparse(node)


def found() -> set[tuple[str, str]]:
    """File and comparison, of the whole program."""
    return {
        (path.relative_to(ROOT).as_posix(), text)
        for folder in ("gateway", "adapters")
        for path in (ROOT / folder).rglob("*.py")
        for text in comparisons(path.read_text(encoding="utf-8"))
    }


@pytest.mark.attack(11)
def test_what_is_secret_is_not_compared_piece_by_piece() -> None:
    assert found() - set(ALLOWED) == set()


@pytest.mark.attack(11)
def test_no_reason_stands_on_the_list_for_nothing() -> None:
    assert {(file, text) for file, text in set(ALLOWED) - found() if (ROOT / file).exists()} == set()


@pytest.mark.attack(11)
@pytest.mark.parametrize(
    "planted",
    [
        "if token == expected: pass",
        "if self.as_token != given: pass",
        "found = headers['x-secret'] == SECRET",
        "ok = given in tokens",
        "ok = hmac.new(key, text).digest() == mac",
        "ok = sent.encode() == self._password.encode()",
        "ok = otp == row.value",
    ],
)
def test_a_planted_comparison_is_found(planted: str) -> None:
    assert list(comparisons(planted))


@pytest.mark.attack(11)
@pytest.mark.parametrize(
    "harmless",
    [
        "ok = hmac.compare_digest(token, expected)",
        "if len(token) != 32: pass",
        "ok = token is None",
        "ok = key != 'signature'",
        "ok = len(nonce) != NONCE_BYTES",
        "ok = answer.status_code == 200",
    ],
)
def test_what_is_harmless_is_let_through(harmless: str) -> None:
    assert list(comparisons(harmless)) == []


@pytest.mark.attack(11)
def test_what_must_be_compared_is_compared_in_constant_time() -> None:
    """Passwords and authenticators, which nothing can look up by a digest."""
    comparing = {
        path.relative_to(ROOT).as_posix()
        for folder in ("gateway", "adapters")
        for path in (ROOT / folder).rglob("*.py")
        if "hmac.compare_digest(" in path.read_text(encoding="utf-8")
    }
    assert {"adapters/email/users.py", "adapters/email/returnpath.py"} <= comparing
