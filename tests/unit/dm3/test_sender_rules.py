"""Rules for senders: what is published and read, what the owner writes, and input that is neither."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gateway.dm3.canonical import Json, parse_object, stringify
from gateway.dm3.eth import checksum
from gateway.dm3.sender_rules import (
    MAX_COUNT,
    MAX_LISTED,
    MAX_OWNERSHIPS,
    RecipientRules,
    SenderRules,
    Stake,
    TokenBalance,
    TokenOwnership,
    TokenStandard,
)
from gateway.errors import InvalidInput
from gateway.ids import EnsName, EthAddress

COIN = EthAddress("0x" + "c0" * 20)
ART = EthAddress("0x" + "a7" * 20)
MOST = 2**256 - 1

addresses = st.binary(min_size=20, max_size=20).map(lambda raw: EthAddress("0x" + raw.hex()))
amounts = st.integers(1, MOST)
names = st.from_regex(r"[a-z0-9-]{1,20}\.eth", fullmatch=True).map(EnsName)


@st.composite
def ownerships(draw: st.DrawFn) -> TokenOwnership:
    standard = draw(st.sampled_from(TokenStandard))
    token_id = draw(st.integers(0, MOST) if standard is TokenStandard.ERC1155 else st.none() | st.integers(0, MOST))
    single = standard is TokenStandard.ERC721 and token_id is not None
    return TokenOwnership(standard, draw(addresses), token_id, 1 if single else draw(amounts))


sender_rules = st.builds(
    SenderRules,
    min_nonce=st.integers(0, MAX_COUNT),
    min_balance=st.integers(0, MOST),
    min_token_balance=st.none() | st.builds(TokenBalance, addresses, amounts),
    owns_token=st.lists(ownerships(), max_size=MAX_OWNERSHIPS).map(tuple),
    min_stake=st.none() | st.builds(Stake, addresses, amounts),
    message_requests=st.booleans(),
)


@st.composite
def recipient_rules(draw: st.DrawFn) -> RecipientRules:
    listed = draw(st.lists(names, max_size=8, unique=True))
    cut = draw(st.integers(0, len(listed)))
    return RecipientRules(
        public=draw(sender_rules),
        allow=frozenset(listed[:cut]),
        block=frozenset(listed[cut:]),
        max_waiting_per_sender=draw(st.integers(0, MAX_COUNT)),
    )


json_values: st.SearchStrategy[Json] = st.recursive(
    st.none() | st.booleans() | st.integers(-(2**300), 2**300) | st.floats() | st.text(max_size=12),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=8), inner, max_size=3),
    max_leaves=8,
)
likely_fields = st.sampled_from(
    [
        "minNonce",
        "minBalance",
        "minTokenBalance",
        "ownsToken",
        "minStake",
        "messageRequests",
        "allow",
        "block",
        "maxWaitingPerSender",
    ]
)
likely_values = (
    json_values
    | st.fixed_dictionaries({}, optional={"address": json_values, "contract": json_values, "amount": json_values})
    | st.lists(
        st.fixed_dictionaries(
            {"standard": st.sampled_from(["ERC721", "ERC1155", "ERC20"])},
            optional={"address": st.just(COIN) | json_values, "tokenId": json_values, "amount": json_values},
        ),
        max_size=2,
    )
)
hostile = json_values | st.dictionaries(likely_fields, likely_values, max_size=5)


@given(sender_rules)
def test_public_rules_come_back_as_they_were(rules: SenderRules) -> None:
    text = stringify(rules.to_json())
    assert SenderRules.from_json(parse_object(text, max_bytes=100_000)) == rules


@given(recipient_rules())
def test_the_owners_rules_come_back_as_they_were(rules: RecipientRules) -> None:
    text = stringify(rules.to_json())
    assert RecipientRules.from_json(parse_object(text, max_bytes=100_000)) == rules


@given(recipient_rules())
def test_what_is_published_tells_nothing_of_the_lists(rules: RecipientRules) -> None:
    published = rules.public.to_json()
    assert not {"allow", "block", "maxWaitingPerSender"} & set(published)


@given(sender_rules)
def test_amounts_travel_as_texts_because_json_numbers_end(rules: SenderRules) -> None:
    def numbers(value: Json) -> list[int | float]:
        if isinstance(value, dict):
            return [each for part in value.values() for each in numbers(part)]
        if isinstance(value, list):
            return [each for part in value for each in numbers(part)]
        return [value] if isinstance(value, int | float) and not isinstance(value, bool) else []

    assert all(each <= MAX_COUNT for each in numbers(rules.to_json()))


@given(hostile)
def test_whatever_comes_is_read_or_refused_by_name(value: Json) -> None:
    for read in (SenderRules.from_json, RecipientRules.from_json):
        try:
            rules = read(value)
        except InvalidInput:
            continue
        assert read(rules.to_json()) == rules


def test_no_rules_are_an_empty_object() -> None:
    assert SenderRules().to_json() == {}
    assert RecipientRules().to_json() == {}
    assert SenderRules.from_json({}) == SenderRules()
    assert RecipientRules.from_json({}) == RecipientRules()


def test_every_rule_in_its_published_form() -> None:
    rules = SenderRules(
        min_nonce=3,
        min_balance=10**17,
        min_token_balance=TokenBalance(COIN, 5),
        owns_token=(
            TokenOwnership(TokenStandard.ERC721, ART),
            TokenOwnership(TokenStandard.ERC721, ART, 7),
            TokenOwnership(TokenStandard.ERC1155, ART, 0, 2),
        ),
        min_stake=Stake(COIN, 10**18),
        message_requests=True,
    )
    assert rules.to_json() == {
        "minNonce": 3,
        "minBalance": "100000000000000000",
        "minTokenBalance": {"address": COIN, "amount": "5"},
        "ownsToken": [
            {"standard": "ERC721", "address": ART, "amount": "1"},
            {"standard": "ERC721", "address": ART, "amount": "1", "tokenId": "7"},
            {"standard": "ERC1155", "address": ART, "amount": "2", "tokenId": "0"},
        ],
        "minStake": {"contract": COIN, "amount": "1000000000000000000"},
        "messageRequests": True,
    }


def test_the_references_own_form_is_read() -> None:
    """Its amounts are texts, its nonce is a number, its addresses carry a checksum."""
    given_by_others: Json = {
        "minNonce": 10,
        "minBalance": "1",
        "minTokenBalance": {"address": checksum(COIN), "amount": "1000000"},
        "somethingOfTheirs": {"x": []},
    }
    assert SenderRules.from_json(given_by_others) == SenderRules(
        min_nonce=10, min_balance=1, min_token_balance=TokenBalance(COIN, 1_000_000)
    )


@pytest.mark.parametrize(
    ("given_value", "amount"),
    [("0", 0), ("1", 1), (0, 0), (MAX_COUNT, MAX_COUNT), (str(MOST), MOST), ("9" * 77, int("9" * 77)), (None, 0)],
)
def test_amounts(given_value: Json, amount: int) -> None:
    assert SenderRules.from_json({"minBalance": given_value}).min_balance == amount


@pytest.mark.parametrize(
    "given_value",
    [
        -1,
        MAX_COUNT + 1,
        0.5,
        1.0,
        True,
        "",
        "-1",
        "+1",
        "01",
        "1 ",
        " 1",
        "1\n",
        "0x10",
        "1e18",
        "1_000",
        "1.0",
        "١",
        "ten",
        str(MOST + 1),
        "9" * 78,
        "9" * 100_000,
        [],
        {},
        float("nan"),
        float("inf"),
    ],
)
def test_what_is_no_amount(given_value: Json) -> None:
    with pytest.raises(InvalidInput, match="minBalance"):
        SenderRules.from_json({"minBalance": given_value})


@pytest.mark.parametrize(("given_value", "count"), [(0, 0), (5, 5), (5.0, 5), (MAX_COUNT, MAX_COUNT), (None, 0)])
@pytest.mark.parametrize("field", ["minNonce", "maxWaitingPerSender"])
def test_counts(field: str, given_value: Json, count: int) -> None:
    rules = RecipientRules.from_json({field: given_value})
    assert (rules.public.min_nonce if field == "minNonce" else rules.max_waiting_per_sender) == count


@pytest.mark.parametrize("given_value", [-1, MAX_COUNT + 1, 2**300, 0.5, True, "5", [], {}, float("inf"), float("nan")])
@pytest.mark.parametrize("field", ["minNonce", "maxWaitingPerSender"])
def test_what_is_no_count(field: str, given_value: Json) -> None:
    with pytest.raises(InvalidInput, match=field):
        RecipientRules.from_json({field: given_value})


@pytest.mark.parametrize(
    ("field", "key"), [("minTokenBalance", "address"), ("minStake", "contract"), ("ownsToken", "address")]
)
@pytest.mark.parametrize("address", [None, 5, "", "0x", "c0" * 20, "0x" + "c0" * 21, "0x" + "g0" * 20, "alice.eth"])
def test_a_contract_is_named_by_its_address(field: str, key: str, address: Json) -> None:
    rule: dict[str, Json] = {"standard": "ERC721", key: address, "amount": "1"}
    value: Json = [rule] if field == "ownsToken" else rule
    with pytest.raises(InvalidInput):
        SenderRules.from_json({field: value})


def test_a_wrong_checksum_is_a_mistyped_address() -> None:
    right = checksum(EthAddress("0x" + "ab" * 20))
    wrong = right[:2] + right[2:].swapcase()
    assert SenderRules.from_json({"minStake": {"contract": right, "amount": 1}}).min_stake is not None
    with pytest.raises(InvalidInput):
        SenderRules.from_json({"minStake": {"contract": wrong, "amount": 1}})


@pytest.mark.parametrize("field", ["minTokenBalance", "minStake"])
def test_nothing_of_a_token_is_no_rule_and_no_amount_is_a_mistake(field: str) -> None:
    named: dict[str, Json] = {"address": COIN, "contract": COIN}
    rules = SenderRules.from_json({field: {**named, "amount": "0"}})
    assert rules == SenderRules()
    assert not rules.asks_the_chain
    for mistake in (named, {**named, "amount": None}):
        with pytest.raises(InvalidInput, match="amount"):
            SenderRules.from_json({field: mistake})


def owns(**rule: Json) -> Json:
    return {"ownsToken": [{"standard": "ERC721", "address": ART, **rule}]}


def test_ownership_asks_for_one_token_unless_it_says_more() -> None:
    for silent in (owns(), owns(amount=None), owns(amount="1"), owns(amount=1)):
        assert SenderRules.from_json(silent).owns_token == (TokenOwnership(TokenStandard.ERC721, ART),)
    assert SenderRules.from_json(owns(amount="3")).owns_token[0].amount == 3
    assert SenderRules.from_json(owns(tokenId="7")).owns_token[0].token_id == 7
    assert SenderRules.from_json(owns(tokenId=0)).owns_token[0].token_id == 0


@pytest.mark.parametrize(
    ("rule", "reason"),
    [
        ({"amount": "0"}, "at least 1"),
        ({"amount": 0}, "at least 1"),
        ({"tokenId": "7", "amount": "2"}, "more than once"),
        ({"standard": "ERC1155"}, "needs a tokenId"),
        ({"standard": "ERC1155", "tokenId": None}, "needs a tokenId"),
        ({"standard": "ERC20"}, "neither"),
        ({"standard": "erc721"}, "neither"),
        ({"standard": "E" * 17}, "longer"),
        ({"standard": 721}, "standard"),
        ({"tokenId": "-1"}, "tokenId"),
        ({"tokenId": "0x7"}, "tokenId"),
        ({"tokenId": str(MOST + 1)}, "tokenId"),
    ],
)
def test_ownerships_that_cannot_be(rule: dict[str, Json], reason: str) -> None:
    with pytest.raises(InvalidInput, match=reason):
        SenderRules.from_json(owns(**rule))


@pytest.mark.parametrize("value", [{}, "x", 5, [5], [None], [[]], ["ERC721"]])
def test_ownerships_that_are_no_list_of_rules(value: Json) -> None:
    with pytest.raises(InvalidInput, match="ownsToken"):
        SenderRules.from_json({"ownsToken": value})


def test_ownerships_are_bounded() -> None:
    rule: Json = {"standard": "ERC721", "address": ART}
    assert len(SenderRules.from_json({"ownsToken": [rule] * MAX_OWNERSHIPS}).owns_token) == MAX_OWNERSHIPS
    with pytest.raises(InvalidInput, match="at most 8"):
        SenderRules.from_json({"ownsToken": [rule] * (MAX_OWNERSHIPS + 1)})


@pytest.mark.parametrize("value", [0, 1, "true", [], {}, float("nan")])
def test_message_requests_are_wanted_or_not(value: Json) -> None:
    with pytest.raises(InvalidInput, match="messageRequests"):
        SenderRules.from_json({"messageRequests": value})


@pytest.mark.parametrize(
    ("rules", "asks"),
    [
        (SenderRules(), False),
        (SenderRules(message_requests=True), False),
        (SenderRules(min_nonce=1), True),
        (SenderRules(min_balance=1), True),
        (SenderRules(min_token_balance=TokenBalance(COIN, 1)), True),
        (SenderRules(owns_token=(TokenOwnership(TokenStandard.ERC721, ART),)), True),
        (SenderRules(min_stake=Stake(COIN, 1)), True),
    ],
)
def test_whether_the_chain_is_needed(rules: SenderRules, asks: bool) -> None:
    assert rules.asks_the_chain is asks


@pytest.mark.parametrize("value", [None, True, 5, "{}", [], ["minNonce"]])
def test_rules_are_an_object(value: Json) -> None:
    for read in (SenderRules.from_json, RecipientRules.from_json):
        with pytest.raises(InvalidInput, match="not an object"):
            read(value)


@pytest.mark.parametrize("field", ["minnonce", "MinNonce", "", "spamFilterRules", "x" * 100_000, "\ud800"])
def test_the_owner_is_told_of_a_rule_that_does_not_exist(field: str) -> None:
    """A mistyped rule would protect nobody; rules of other relays may hold fields that we do not know."""
    with pytest.raises(InvalidInput, match="there is no rule") as caught:
        RecipientRules.from_json({field: 1})
    assert len(caught.value.detail) < 120
    assert SenderRules.from_json({field: 1}) == SenderRules()


def listed(which: str, value: Any) -> frozenset[EnsName]:
    rules = RecipientRules.from_json({which: value})
    return rules.allow if which == "allow" else rules.block


@pytest.mark.parametrize("which", ["allow", "block"])
def test_lists_of_names(which: str) -> None:
    assert listed(which, None) == frozenset()
    assert listed(which, []) == frozenset()
    assert listed(which, ["b.eth", "a.eth", "b.eth"]) == {"a.eth", "b.eth"}
    assert len(listed(which, [f"{number}.eth" for number in range(MAX_LISTED)])) == MAX_LISTED


@pytest.mark.parametrize("which", ["allow", "block"])
@pytest.mark.parametrize(
    "value",
    [
        "alice.eth",
        {"alice.eth": True},
        5,
        [5],
        [None],
        [["alice.eth"]],
        [""],
        ["a b.eth"],
        ["a\n.eth"],
        ["x" * 256],
        ["é" * 128],
        [f"{number}.eth" for number in range(MAX_LISTED + 1)],
    ],
)
def test_lists_that_are_none(which: str, value: Json) -> None:
    with pytest.raises(InvalidInput, match=which):
        RecipientRules.from_json({which: value})


def test_nobody_is_on_both_lists() -> None:
    with pytest.raises(InvalidInput, match=r"b\.eth is on both"):
        RecipientRules.from_json({"allow": ["a.eth", "b.eth"], "block": ["b.eth", "c.eth"]})


def test_lists_are_written_in_order() -> None:
    rules = RecipientRules(allow=frozenset(map(EnsName, ("c.eth", "a.eth", "b.eth"))))
    assert rules.to_json() == {"allow": ["a.eth", "b.eth", "c.eth"]}
