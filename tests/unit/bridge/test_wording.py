"""What the gateway says by itself is honest and names everybody."""

from __future__ import annotations

from gateway.bridge import wording
from gateway.ids import CanonicalId, EnsName, Network

BOB = CanonicalId("bob@example.org")


def test_the_first_message_tells_who_reads_along() -> None:
    notice = wording.first_message_notice(Network("email"), BOB, EnsName("gw.eth"))
    assert "bob@example.org" in notice
    assert "e-mail" in notice
    assert "gw.eth" in notice
    assert "not end-to-end" in notice


def test_a_network_without_a_name_of_its_own_is_called_by_its_label() -> None:
    assert "fido" in wording.first_message_notice(Network("fido"), BOB, EnsName("gw.eth"))


def test_a_failure_names_person_and_reason() -> None:
    assert wording.failure_notice(BOB, "mailbox full") == (
        "[gateway] Your message did not reach bob@example.org: mailbox full"
    )
