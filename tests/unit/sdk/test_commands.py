"""Commands: found by name, read with clear errors, listed from one table, and never raising at an adapter."""

from __future__ import annotations

import subprocess
import sys
from dataclasses import replace

import pytest

from gateway.dm3.sender_rules import RecipientRules, SenderRules, TokenBalance, TokenOwnership, TokenStandard
from gateway.errors import GatewayError, LimitExceeded, Unavailable, UnknownName
from gateway.ids import CanonicalId, EnsName, EthAddress, NativeId, Network
from gateway.sdk import FailedMessage, Leaving, PersonService, SentMessage
from gateway.sdk.commands import ALL, Answer, Commands
from gateway.sdk.commands.reading import read_duration, read_ether
from gateway.sdk.commands.writing import ether, literal, time_of
from gateway.sdk.delivery import Person
from gateway.sdk.testing import MemoryPeople

BOB = CanonicalId("bob@example.org")
NOW = 1_800_000_000_000
ALICE = EnsName("alice.eth")
TOKEN = EthAddress("0x" + "ab" * 20)


class Room:
    """Bob in front of the gateway."""

    def __init__(self, prefix: str = "", consent: str = "") -> None:
        self.people = MemoryPeople(network=Network("example"))
        self.chats: list[EnsName] = []
        self.fault: Exception | None = None
        service: PersonService = self.people
        self.commands = Commands(
            service,
            self.chat,
            parent=EnsName("gw.eth"),
            public_url="https://gw.example",
            now_ms=lambda: NOW,
            prefix=prefix,
            consent=consent,
        )

    async def chat(self, person: Person, name: EnsName) -> str:
        """As told."""
        if self.fault is not None:
            raise self.fault
        self.chats.append(name)
        return f"Write to {name} there."

    async def type(self, line: str) -> Answer:
        """The answer to a line."""
        return await self.commands.run(Person(BOB), line)

    async def text(self, line: str) -> str:
        """Its text."""
        return (await self.type(line)).text

    @property
    def rules(self) -> RecipientRules:
        """Of bob."""
        return self.people.asked[BOB]


@pytest.fixture
def room() -> Room:
    return Room()


async def test_help_lists_every_command_of_the_table(room: Room) -> None:
    lines = (await room.text("help")).splitlines()
    assert len(lines) == len(ALL)
    for line, command in zip(lines, ALL, strict=True):
        assert line == f"- `{command.typed}`: {command.help}"
    assert await room.text("") == await room.text("  ") == await room.text("HELP") == await room.text("?")


async def test_help_for_one_command(room: Room) -> None:
    assert (await room.text("help chat")).startswith("`chat <name>`: begin a conversation")
    assert "Also: `dm`" in await room.text("help DM")
    assert "no command `nothing-like-it`" in await room.text("help nothing-like-it")


def test_names_are_given_once() -> None:
    names = [name for command in ALL for name in command.names]
    assert len(names) == len(set(names))
    assert all(name == name.lower() and " " not in name for name in names)
    assert all(0 <= command.least <= command.most for command in ALL)


@pytest.mark.parametrize("command", ALL, ids=lambda command: command.name)
async def test_too_much_and_too_little_gives_the_usage(room: Room, command: object) -> None:
    found = next(each for each in ALL if each is command)
    assert f"Usage: `{found.typed}`" in await room.text(f"{found.name} {'x ' * (found.most + 1)}")
    if found.least:
        assert f"Something is missing. Usage: `{found.typed}`" == await room.text(found.name)


@pytest.mark.parametrize(
    ("typed", "meant"), [("hlep", "help"), ("stauts", "status"), ("delete", "delete-me"), ("retyr", "retry")]
)
async def test_the_nearest_command_is_named_in_one_line(room: Room, typed: str, meant: str) -> None:
    text = await room.text(typed)
    assert f"Did you mean `{meant}`?" in text
    assert "`help`" in text
    assert "\n" not in text


async def test_what_is_no_command_is_shown_and_no_more(room: Room) -> None:
    text = await room.text("`<b>\u202e\nx`" + "y" * 5_000)
    assert "\u202e" not in text
    assert text.count("`") == 4
    assert len(text) < 500


async def test_a_prefix_may_be_typed_and_is_shown() -> None:
    room = Room(prefix="!dm3 ")
    assert await room.text("!dm3 whoami") == await room.text("whoami") == await room.text("!DM3   whoami")
    assert await room.text("!dm3") == await room.text("help")
    assert "- `!dm3 whoami`:" in await room.text("help")
    assert "`!dm3 spam requests on`" in await room.text("spam")
    assert "Usage: `!dm3 chat <name>`" in await room.text("chat")


# --- names ----------------------------------------------------------------------------------------------------------


async def test_names_are_normalised(room: Room) -> None:
    assert await room.text("chat ALICE.Eth") == "Write to alice.eth there."
    assert room.chats == [ALICE]


@pytest.mark.parametrize("name", ["a..b", "x_y!.eth", "\u202e.eth", "a" * 300 + ".eth", "--.", "\ud800.eth"])
async def test_what_is_no_name_is_said(room: Room, name: str) -> None:
    text = await room.text(f"chat {name}")
    assert "is not an ENS name" in text
    assert "Usage: `chat <name>`" in text
    assert room.chats == []


async def test_a_label_alone_is_no_whole_name(room: Room) -> None:
    assert "not a whole ENS name" in await room.text("block alice")


async def test_claiming_leads_to_the_page_and_through_both_steps(room: Room) -> None:
    text = await room.text("claim Bob")
    assert "https://gw.example/claim?name=bob" in text
    assert "`bob.gw.eth`" in text
    assert "https://gw.example/me" in text
    assert "`example`" in text
    assert "`bob@example.org`" in text
    assert text.count("\n- ") == 2
    assert "https://gw.example/claim\n" in await room.text("claim")
    assert "before the first dot" in await room.text("claim bob.eth")


@pytest.mark.parametrize(("level", "word"), [("bridged", "claim"), ("owned", "you have moved"), ("moved", "back here")])
async def test_each_level_says_how_to_get_further(room: Room, level: str, word: str) -> None:
    room.people.views[BOB] = replace(await room.people.about(BOB), level=level)
    text = await room.text("level")
    assert text.startswith(f"You are {level}")
    assert word in text


async def test_a_name_of_somebody_stays_in_its_place(room: Room) -> None:
    assert "You have none" in await room.text("name")
    await room.text("name  Bob `the` *Builder*\u202e")
    assert "`Bob 'the' *Builder*`" in await room.text("name")
    await room.text("name -")
    assert room.people.views[BOB].display_name == ""


# --- messages -------------------------------------------------------------------------------------------------------


async def test_status_tells_what_was_what_waits_and_what_failed(room: Room) -> None:
    room.people.sent[BOB] = [SentMessage(NativeId("1"), ALICE, "failed", "no `way`\n- really", NOW)]
    room.people.failures[BOB] = [FailedMessage(NativeId("1"), ALICE, "no", NOW)]
    room.people.waiting[BOB] = Leaving(2, NOW, "away")
    text = await room.text("status")
    assert "- 2027-01-15 08:00 UTC to `alice.eth`: failed: `no 'way' - really`" in text
    assert "2 messages wait to be sent since 2027-01-15 08:00 UTC. The last try failed: `away`" in text
    assert "1 message failed and can be sent again: `retry`" in text
    assert "nothing is known" in await room.text("status carol.eth")
    assert "`retry alice.eth`" in await room.text("status alice.eth")


async def test_retry_says_what_it_did(room: Room) -> None:
    assert (await room.text("retry")).startswith("There is nothing")
    room.people.failures[BOB] = [FailedMessage(NativeId(str(number)), ALICE, "no", NOW) for number in range(2)]
    room.people.waiting[BOB] = Leaving(1, NOW, "away")
    assert await room.text("retry ALICE.eth") == ("2 messages on the way again. 1 conversation that waited: tried now.")


@pytest.mark.parametrize(
    ("text", "hours"), [("1h", 1), ("30m", 0.5), ("90min", 1.5), ("2D", 48), ("1w", 168), ("9999h", 9999)]
)
def test_times(text: str, hours: float) -> None:
    assert read_duration(text) == hours * 3_600_000


@pytest.mark.parametrize("text", ["0h", "1", "h", "1y", "-1h", "1.5h", "99999h", "1h1h", "\u0661h"])
async def test_what_is_no_time(room: Room, text: str) -> None:
    assert "is not a time like" in await room.text(f"pause {text}")
    assert BOB not in room.people.views


async def test_pausing_and_resuming(room: Room) -> None:
    assert "2027-01-15 09:00 UTC" in await room.text("pause 1h")
    assert "paused until 2027-01-15 09:00 UTC" in await _whoami(room)
    assert "2027-01-16 08:00 UTC" in await room.text("pause")
    await room.text("resume")
    assert "paused" not in await _whoami(room)


async def _whoami(room: Room) -> str:
    room.people.views[BOB] = replace(room.people.views[BOB], since=NOW)
    return await room.text("whoami")


# --- who may write --------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("line", "public"),
    [
        ("spam requests on", SenderRules(message_requests=True)),
        ("SPAM Requests ON", SenderRules(message_requests=True)),
        ("rules nonce 3", SenderRules(min_nonce=3)),
        ("spam balance 0.05", SenderRules(min_balance=5 * 10**16)),
        (f"spam token {TOKEN} 1000", SenderRules(min_token_balance=TokenBalance(TOKEN, 1000))),
        (f"spam token {TOKEN} 0", SenderRules()),
        (f"spam nft {TOKEN}", SenderRules(owns_token=(TokenOwnership(TokenStandard.ERC721, TOKEN),))),
        (f"spam nft {TOKEN} 7", SenderRules(owns_token=(TokenOwnership(TokenStandard.ERC721, TOKEN, 7),))),
    ],
)
async def test_rules_that_everybody_can_read(room: Room, line: str, public: SenderRules) -> None:
    await room.text(line)
    assert room.rules == RecipientRules(public=public)
    assert RecipientRules.from_json(room.rules.to_json()) == room.rules
    await room.text("spam off")
    assert room.rules == RecipientRules()


@pytest.mark.parametrize("rule", ["requests", "nonce", "balance", "token", "nft", "waiting", "stake"])
async def test_one_rule_is_taken_back(room: Room, rule: str) -> None:
    before = RecipientRules(
        public=SenderRules(
            message_requests=True,
            min_nonce=1,
            min_balance=1,
            min_token_balance=TokenBalance(TOKEN, 1),
            owns_token=(TokenOwnership(TokenStandard.ERC721, TOKEN),),
        ),
        max_waiting_per_sender=1,
    )
    room.people.asked[BOB] = before
    await room.text(f"spam {rule} off")
    asked, left = before.to_json(), room.rules.to_json()
    assert set(left) <= set(asked)
    assert len(asked) - len(left) == (0 if rule == "stake" else 1)


async def test_lists_of_names(room: Room) -> None:
    await room.text("spam allow ALICE.eth")
    assert room.rules.allow == {ALICE}
    assert "Always let in: `alice.eth`" in await room.text("spam")
    await room.text("block alice.eth")
    assert room.rules == RecipientRules(block=frozenset({ALICE}))
    assert "You block `alice.eth`" in await room.text("block")
    assert "can write to you again" in await room.text("unblock alice.eth")
    assert "did not block" in await room.text("unblock alice.eth")
    await room.text("spam allow alice.eth")
    await room.text("spam disallow alice.eth")
    assert room.rules == RecipientRules()
    room.people.asked[BOB] = RecipientRules(block=frozenset(EnsName(f"{n}.eth") for n in range(1000)))
    assert await room.text("block alice.eth") == "This list is full; take a name off it first."


@pytest.mark.parametrize(
    "line",
    [
        "spam wrong 1",
        "spam requests",
        "spam requests maybe",
        "spam nonce -1",
        "spam nonce 1.5",
        "spam balance much",
        "spam balance NaN",
        "spam balance 1e99",
        "spam balance 0.0000000000000000001",
        "spam token 0x12 1",
        f"spam token {TOKEN}",
        f"spam token {TOKEN} x",
        f"spam nft {TOKEN} x",
        "spam nft",
        "spam stake 1",
        "spam off now",
        "spam allow",
    ],
)
async def test_what_is_no_rule_changes_nothing(room: Room, line: str) -> None:
    assert "Usage: `spam [rule value]`" in await room.text(line)
    assert BOB not in room.people.asked


async def test_reports(room: Room) -> None:
    assert "no message of `alice.eth`" in await room.text("report alice.eth")
    room.people.received.add((BOB, ALICE))
    assert "is reported. `block alice.eth` stops them." in await room.text("report alice.eth")
    assert BOB not in room.people.asked
    await room.text("report alice.eth BLOCK")
    assert room.rules.block == {ALICE}
    assert "the word `block`" in await room.text("report alice.eth please")


@pytest.mark.parametrize("wei", [0, 1, 10**18, 5 * 10**16, 10**30 - 1])
def test_ether_is_read_as_it_is_written(wei: int) -> None:
    assert read_ether(ether(wei).removesuffix(" ETH")) == wei


# --- leaving --------------------------------------------------------------------------------------------------------


async def test_deleting_needs_one_s_own_name(room: Room) -> None:
    assert "no name here yet" in await room.text("delete-me")
    name = (await room.people.about(BOB)).name
    room.people.views[BOB] = replace(room.people.views[BOB], since=NOW)
    for line in ("delete-me", "delete-me alice.eth"):
        asked = await room.type(line)
        assert "it is final" in asked.text
        assert asked.confirm == f"delete-me {name}"
    assert room.people.deleted == set()
    assert "for good" in await room.text(f"delete-me {name.upper()}")
    assert room.people.deleted == {BOB}
    assert "that is final" in await room.text("whoami")


async def test_an_export_is_a_file(room: Room) -> None:
    answer = await room.type("export")
    assert answer.file is not None
    assert (answer.file.media_type, answer.confirm) == ("application/json", None)


# --- faults ---------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("fault", "told"),
    [
        (UnknownName("x"), UnknownName.sentence),
        (LimitExceeded("x"), LimitExceeded.sentence),
        (ValueError("x"), GatewayError.sentence),
        (ConnectionError("x"), GatewayError.sentence),
    ],
)
async def test_faults_become_sentences(room: Room, fault: Exception, told: str) -> None:
    room.fault = fault
    assert await room.text("chat alice.eth") == told


async def test_what_may_come_again_is_raised(room: Room) -> None:
    room.fault = Unavailable("down")
    with pytest.raises(Unavailable):
        await room.type("chat alice.eth")


async def test_nothing_that_is_typed_raises(room: Room) -> None:
    room.people.views[BOB] = replace(await room.people.about(BOB), since=NOW)
    odd = ("\x00", "\ud800", "\u202e", "`", "\\", "-", "9" * 400, "0x", "alice.eth", "on", "%s", "{}", "off", "🎈.eth")
    for command in (*ALL, None):
        for first in odd:
            for second in ("", *odd):
                line = f"{command.name if command else ''} {first} {second}"
                assert (await room.type(line)).text


@pytest.mark.parametrize("text", ["", " ", "`", "a\nb", "\u200b", "x" * 5_000, "\u202eabc", "a`b`c", "\ud800"])
def test_text_of_strangers_is_one_literal(text: str) -> None:
    shown = literal(text)
    assert shown.count("`") == 2
    assert shown[0] == shown[-1] == "`"
    assert len(shown) > 2
    assert "\n" not in shown
    shown.encode()


@pytest.mark.parametrize("at", [-1, 0, NOW, 2**63])
def test_any_time_can_be_written(at: int) -> None:
    assert time_of(at).endswith(" UTC")


def test_the_sdk_does_not_load_the_commands() -> None:
    code = "import sys, gateway.app, gateway.sdk; print([name for name in sys.modules if 'sdk.commands' in name])"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]"


async def test_what_is_final_says_so_and_asks_in_the_words_of_the_network() -> None:
    assert [command.name for command in ALL if command.final] == ["delete-me"]
    room = Room(consent="answer with `yes`")
    await room.text("name Bob")
    room.people.views[BOB] = replace(room.people.views[BOB], since=NOW)
    asked = await room.type("delete-me")
    assert asked.confirm == f"delete-me {room.people.views[BOB].name}"
    assert "If you mean it, answer with `yes`." in asked.text
    assert "type `delete-me" not in asked.text
