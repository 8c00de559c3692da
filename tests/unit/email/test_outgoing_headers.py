"""Headers of our own mail: written by the one policy that refuses line ends, whatever DM3 people write."""

from __future__ import annotations

import ast
from dataclasses import replace
from email import message_from_bytes, policy
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from adapters.email.dkim.keys import new_keys
from adapters.email.dkim.signing import Signer
from adapters.email.render import render
from adapters.email.unsubscribe import WayOut
from gateway.sdk import Attachment, EnsName, InvalidInput, MessageType, NativeId, Reference, file_attachment
from tests.unit.email.test_dkim_signing import verify
from tests.unit.email.test_render import CONTENT_HEADERS, DELIVERY, DOMAIN, EXPECTED_HEADERS, HASH

ADAPTER = Path(__file__).parents[3] / "adapters/email"
WAY_OUT = WayOut("https://gw.example/email/unsubscribe/abc")
OPTIONAL = {"in-reply-to", "references", "auto-submitted", "list-unsubscribe", "list-unsubscribe-post"}
KEYS = new_keys("dm3")
EVIL = ["\r\nBcc: eve@example.net", "\n\nbody", "\rX: y", "\0", "\x85X: y", "\u2028X: y", "=?utf-8?q?=0D=0ABcc:_eve?="]


def modules() -> list[Path]:
    return sorted(ADAPTER.rglob("*.py"))


def test_mail_is_written_with_the_policy_that_refuses_line_ends() -> None:
    """compat32 writes line ends that it is given; nothing that goes out is made with it (RFC 5322, section 2.2)."""
    writers = set()
    for path in modules():
        tree = ast.parse(path.read_text("utf-8"))
        made = [node for node in ast.walk(tree) if isinstance(node, ast.Call) and called(node) == "EmailMessage"]
        if made:
            writers.add(path.name)
            assert all("policy" in {each.arg for each in node.keywords} for node in made), path
            names = {node.id for node in ast.walk(tree) if isinstance(node, ast.Name)}
            assert not names & {"compat32", "MIMEText", "MIMEMultipart", "MIMEBase"}, path
    assert writers >= {"render.py", "notice.py", "gateway_mail.py"}


def called(node: ast.Call) -> str:
    return node.func.id if isinstance(node.func, ast.Name) else ""


def test_every_mail_leaves_through_the_check_of_its_headers() -> None:
    for path in modules():
        calls = [
            node.func.attr
            for node in ast.walk(ast.parse(path.read_text("utf-8")))
            if isinstance(node, ast.Call) and isinstance(node.func, ast.Attribute)
        ]
        if path.name != "render.py":
            assert not {"as_bytes", "as_string"} & set(calls), path


@pytest.mark.attack(25)
@pytest.mark.parametrize("evil", EVIL, ids=repr)
@pytest.mark.parametrize("place", ["sender", "text", "file name", "file type", "reference", "recipient"])
def test_no_string_of_a_dm3_sender_makes_a_header(evil: str, place: str) -> None:
    places: dict[str, dict[str, object]] = {
        "sender": {"sender": EnsName(f"a{evil}.eth")},
        "text": {"text": f"a{evil}", "first": True},
        "file name": {"attachments": (file_attachment(f"a{evil}.txt", "text/plain", b"x"),)},
        "file type": {"attachments": (Attachment(f"data:text/plain{evil};base64,eA==", "a.txt"),)},
        "reference": {"type": MessageType.REPLY, "reference": Reference(HASH, NativeId(f"<a{evil}@b>"))},
        "recipient": {"recipient": f"a{evil}@example.net"},
    }
    try:
        mail = render(replace(DELIVERY, **places[place]), DOMAIN, WAY_OUT)  # type: ignore[arg-type]
    except InvalidInput:
        return
    message = message_from_bytes(mail.content, policy=policy.default)
    assert {name.lower() for name in message.keys()} <= EXPECTED_HEADERS | CONTENT_HEADERS | OPTIONAL  # noqa: SIM118
    assert message["To"].addresses[0].domain == "example.net"
    assert len(message["To"].addresses) == 1


@given(text=st.text(max_size=200), name=st.text(max_size=50))
def test_any_text_makes_a_mail_whose_signatures_hold(text: str, name: str) -> None:
    attachments = (file_attachment(name.encode("utf-8", "replace").decode() or "a", "text/plain", b"x"),)
    delivery = replace(DELIVERY, text=text.encode("utf-8", "replace").decode(), attachments=attachments, first=True)
    signed = Signer(DOMAIN, KEYS).sign(render(delivery, DOMAIN, WAY_OUT).content)
    assert len(verify(signed, KEYS)) == 2


def test_the_way_out_is_signed() -> None:
    """RFC 8058, section 3.1: both fields must be covered by a valid signature."""
    signed = Signer(DOMAIN, KEYS).sign(render(DELIVERY, DOMAIN, WAY_OUT).content)
    assert b"\r\nList-Unsubscribe: <https://gw.example/email/unsubscribe/abc>\r\n" in signed
    assert b"\r\nList-Unsubscribe-Post: List-Unsubscribe=One-Click\r\n" in signed
    assert verify(signed.replace(b"unsubscribe/abc", b"unsubscribe/abd"), KEYS) == []
    assert verify(signed.replace(b"One-Click", b"One-Clack"), KEYS) == []


@pytest.mark.parametrize(
    ("text", "reference", "value"),
    [
        ("[automatic] away", None, "auto-generated"),
        ("[automatic] away", Reference(HASH, NativeId("<1@x>")), "auto-replied"),
        ("[gateway] Your message did not reach bob", None, "auto-generated"),
        ("by hand [automatic]", None, None),
    ],
)
def test_what_a_program_wrote_goes_out_as_automatic(text: str, reference: Reference | None, value: str | None) -> None:
    mail = render(replace(DELIVERY, text=text, reference=reference), DOMAIN)
    assert message_from_bytes(mail.content, policy=policy.default)["Auto-Submitted"] == value
