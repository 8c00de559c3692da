# pragma version 0.4.3
# pragma evm-version cancun
"""
@title Universal resolver for local chains
@license Apache-2.0
@notice What viem, ethers 6 and web3.py ask instead of walking the registry: forward and reverse resolution in one
        call, with ERC-3668 lookups passed on under this contract's own address.
@dev ENSIP-10 wildcards; ENSIP-19 reverse names; ENSIP-21 batch gateway for resolvers without ENSIP-22 features,
     direct gateways for those with them. Other than the deployed one it never splits a multicall, and a reverse
     resolver has to answer on chain.
"""

interface Registry:
    def resolver(node: bytes32) -> address: view


MAX_URLS: constant(uint256) = 8
MAX_URL: constant(uint256) = 512
MAX_NAME: constant(uint256) = 512
MAX_LABELS: constant(uint256) = 128
MAX_CALL: constant(uint256) = 32768
MAX_REQUEST: constant(uint256) = 4 + 128 + MAX_NAME + MAX_CALL
MAX_EXTRA: constant(uint256) = MAX_REQUEST + 512
MAX_RESULT: constant(uint256) = 61440
MAX_RESPONSE: constant(uint256) = MAX_RESULT + 512
MAX_CONTEXT: constant(uint256) = 1024
MAX_LOOKUP: constant(uint256) = 5 * 32 + 32 + MAX_URLS * (64 + MAX_URL) + 64 + MAX_REQUEST + 64 + MAX_EXTRA
MAX_OUT: constant(uint256) = 131072
MAX_SESSION: constant(uint256) = 98304

COIN_ETH: constant(uint256) = 60
COIN_DEFAULT_EVM: constant(uint256) = 2**31

EXTENDED_RESOLVER_ID: constant(bytes4) = 0x9061b923
FEATURES_ID: constant(bytes4) = 0x582de3e7
MULTICALL_FEATURE: constant(bytes4) = 0x96b62db8
MULTICALL: constant(bytes4) = 0xac9650d8
OFFCHAIN_LOOKUP: constant(bytes4) = 0x556f1830


struct ResolverInfo:
    name: Bytes[MAX_NAME]
    offset: uint256
    node: bytes32
    resolver: address
    extended: bool


# One resolution that may leave the chain and come back several times
struct Session:
    resolver: address
    extended: bool
    direct: bool
    profile: bytes4
    callback: bytes4
    gateways: DynArray[String[MAX_URL], MAX_URLS]
    context: Bytes[MAX_CONTEXT]


# Parameters of the ERC-3668 error
struct Lookup:
    sender: address
    urls: DynArray[String[MAX_URL], MAX_URLS]
    callData: Bytes[MAX_REQUEST]
    callbackFunction: bytes4
    extraData: Bytes[MAX_EXTRA]


struct BatchRequest:
    sender: address
    urls: DynArray[String[MAX_URL], MAX_URLS]
    data: Bytes[MAX_REQUEST]


REGISTRY: immutable(Registry)
batch_gateways: DynArray[String[MAX_URL], MAX_URLS]


@deploy
def __init__(registry: address, batch_gateways: DynArray[String[MAX_URL], MAX_URLS]):
    """
    @param registry Address of the ENS registry
    @param batch_gateways ENSIP-21 gateways of the calls that name none
    """
    REGISTRY = Registry(registry)
    self.batch_gateways = batch_gateways


@external
@pure
def supportsInterface(interfaceId: bytes4) -> bool:
    """
    @notice ERC-165
    """
    return interfaceId == 0x01ffc9a7


# --- finding the resolver -------------------------------------------------------------------------------------


@external
@view
def findResolver(name: Bytes[MAX_NAME]) -> (address, bytes32, uint256):
    """
    @return Resolver of the name or of its nearest ancestor (or zero), the name's node, offset of that ancestor
    """
    info: ResolverInfo = self._find(name)
    return info.resolver, info.node, info.offset


@external
@view
def requireResolver(name: Bytes[MAX_NAME]) -> ResolverInfo:
    """
    @notice As findResolver, but reverts with ResolverNotFound or ResolverNotContract
    """
    return self._require(name)


@internal
@view
def _find(name: Bytes[MAX_NAME]) -> ResolverInfo:
    starts: DynArray[uint256, MAX_LABELS] = []
    offset: uint256 = 0
    for i: uint256 in range(MAX_LABELS):
        size: uint256 = convert(slice(name, offset, 1), uint256)
        if size == 0:
            break
        starts.append(offset)
        offset += size + 1
    assert offset + 1 == len(name), "name is not DNS-encoded"

    info: ResolverInfo = ResolverInfo(
        name=name, offset=offset, node=empty(bytes32), resolver=empty(address), extended=False
    )
    for i: uint256 in range(len(starts), bound=MAX_LABELS):
        start: uint256 = starts[len(starts) - 1 - i]
        label: bytes32 = keccak256(slice(name, start + 1, convert(slice(name, start, 1), uint256)))
        info.node = keccak256(concat(info.node, label))
        resolver: address = staticcall REGISTRY.resolver(info.node)
        if resolver != empty(address):
            info.resolver = resolver
            info.offset = start
    return info


@internal
@view
def _require(name: Bytes[MAX_NAME]) -> ResolverInfo:
    info: ResolverInfo = self._find(name)
    if info.resolver != empty(address):
        if info.resolver.codesize == 0:
            raw_revert(abi_encode(name, info.resolver, method_id=method_id("ResolverNotContract(bytes,address)")))
        info.extended = self._supports(info.resolver, EXTENDED_RESOLVER_ID)
    if info.resolver == empty(address) or (info.offset != 0 and not info.extended):
        raw_revert(abi_encode(name, method_id=method_id("ResolverNotFound(bytes)")))
    return info


@internal
@view
def _supports(target: address, interface_id: bytes4) -> bool:
    return self._answers_true(target, abi_encode(interface_id, method_id=method_id("supportsInterface(bytes4)")))


@internal
@view
def _takes_direct_call(target: address, profile: bytes4) -> bool:
    if not self._supports(target, FEATURES_ID):
        return False
    if profile != MULTICALL:
        return True
    return self._answers_true(
        target, abi_encode(MULTICALL_FEATURE, method_id=method_id("supportsFeature(bytes4)"))
    )


@internal
@view
def _answers_true(target: address, call: Bytes[36]) -> bool:
    success: bool = False
    out: Bytes[32] = b""
    success, out = raw_call(
        target, call, max_outsize=32, gas=30000, is_static_call=True, revert_on_failure=False
    )
    return success and len(out) == 32 and convert(out, uint256) == 1


# --- forward --------------------------------------------------------------------------------------------------


@external
@view
def resolve(name: Bytes[MAX_NAME], data: Bytes[MAX_CALL]) -> (Bytes[MAX_RESULT], address):
    """
    @param name DNS-encoded name
    @param data Call of a resolver profile
    @return What the profile returns (ABI-encoded), and the resolver that was asked
    """
    return self._resolve(name, data, self.batch_gateways)


@external
@view
def resolveWithGateways(
    name: Bytes[MAX_NAME], data: Bytes[MAX_CALL], gateways: DynArray[String[MAX_URL], MAX_URLS]
) -> (Bytes[MAX_RESULT], address):
    """
    @notice As resolve, with the caller's own batch gateways
    """
    return self._resolve(name, data, gateways)


@external
@view
def resolveCallback(response: Bytes[MAX_RESPONSE], extraData: Bytes[MAX_SESSION]) -> (Bytes[MAX_RESULT], address):
    """
    @notice ERC-3668 callback of resolve
    """
    result: Bytes[MAX_RESULT] = b""
    session: Session = empty(Session)
    result, session = self._resume(response, extraData)
    return result, session.resolver


@internal
@view
def _resolve(
    name: Bytes[MAX_NAME], data: Bytes[MAX_CALL], gateways: DynArray[String[MAX_URL], MAX_URLS]
) -> (Bytes[MAX_RESULT], address):
    info: ResolverInfo = self._require(name)
    callback: bytes4 = method_id("resolveCallback(bytes,bytes)", output_type=bytes4)
    return self._begin(info, data, gateways, callback, b""), info.resolver


# --- reverse --------------------------------------------------------------------------------------------------


@external
@view
def reverse(lookupAddress: Bytes[64], coinType: uint256) -> (String[MAX_NAME], address, address):
    """
    @notice ENSIP-19: primary name of an address, if the name's address record agrees
    @return Primary name, its resolver, the reverse resolver
    """
    return self._reverse(lookupAddress, coinType, self.batch_gateways)


@external
@view
def reverseWithGateways(
    lookupAddress: Bytes[64], coinType: uint256, gateways: DynArray[String[MAX_URL], MAX_URLS]
) -> (String[MAX_NAME], address, address):
    """
    @notice As reverse, with the caller's own batch gateways
    """
    return self._reverse(lookupAddress, coinType, gateways)


@external
@view
def reverseCallback(
    response: Bytes[MAX_RESPONSE], extraData: Bytes[MAX_SESSION]
) -> (String[MAX_NAME], address, address):
    """
    @notice ERC-3668 callback of reverse
    """
    result: Bytes[MAX_RESULT] = b""
    session: Session = empty(Session)
    result, session = self._resume(response, extraData)
    return self._confirm(result, session.context, session.resolver)


@internal
@view
def _reverse(
    lookupAddress: Bytes[64], coinType: uint256, gateways: DynArray[String[MAX_URL], MAX_URLS]
) -> (String[MAX_NAME], address, address):
    pointer: ResolverInfo = self._require(self._reverse_name(lookupAddress, coinType))
    out: Bytes[MAX_NAME + 64] = raw_call(
        pointer.resolver,
        abi_encode(pointer.node, method_id=method_id("name(bytes32)")),
        max_outsize=MAX_NAME + 64,
        is_static_call=True,
    )
    primary: String[MAX_NAME] = abi_decode(out, String[MAX_NAME])
    if len(primary) == 0:
        return "", empty(address), pointer.resolver

    info: ResolverInfo = self._require(self._dns_encode(convert(primary, Bytes[MAX_NAME])))
    call: Bytes[68] = abi_encode(info.node, method_id=method_id("addr(bytes32)"))
    if coinType != COIN_ETH:
        call = abi_encode(info.node, coinType, method_id=method_id("addr(bytes32,uint256)"))
    context: Bytes[MAX_CONTEXT] = abi_encode(lookupAddress, coinType, primary, pointer.resolver)
    callback: bytes4 = method_id("reverseCallback(bytes,bytes)", output_type=bytes4)
    answer: Bytes[MAX_RESULT] = self._begin(info, call, gateways, callback, context)
    return self._confirm(answer, context, info.resolver)


@internal
@pure
def _confirm(
    answer: Bytes[MAX_RESULT], context: Bytes[MAX_CONTEXT], resolver: address
) -> (String[MAX_NAME], address, address):
    lookup_address: Bytes[64] = b""
    coin: uint256 = 0
    primary: String[MAX_NAME] = ""
    reverse_resolver: address = empty(address)
    lookup_address, coin, primary, reverse_resolver = abi_decode(
        context, (Bytes[64], uint256, String[MAX_NAME], address)
    )
    found: Bytes[64] = b""
    if coin == COIN_ETH:
        found = slice(answer, 12, 20)
    else:
        found = abi_decode(answer, Bytes[64])
    if keccak256(found) != keccak256(lookup_address):
        raw_revert(abi_encode(primary, found, method_id=method_id("ReverseAddressMismatch(string,bytes)")))
    return primary, resolver, reverse_resolver


# --- one resolution -------------------------------------------------------------------------------------------


@internal
@view
def _begin(
    info: ResolverInfo,
    data: Bytes[MAX_CALL],
    gateways: DynArray[String[MAX_URL], MAX_URLS],
    callback: bytes4,
    context: Bytes[MAX_CONTEXT],
) -> Bytes[MAX_RESULT]:
    profile: bytes4 = convert(slice(data, 0, 4), bytes4)
    session: Session = Session(
        resolver=info.resolver,
        extended=info.extended,
        direct=self._takes_direct_call(info.resolver, profile),
        profile=profile,
        callback=callback,
        gateways=gateways,
        context=context,
    )
    call: Bytes[MAX_REQUEST] = data
    if info.extended:
        call = abi_encode(info.name, data, method_id=method_id("resolve(bytes,bytes)"))
    return self._ask(session, call)


@internal
@view
def _resume(response: Bytes[MAX_RESPONSE], extraData: Bytes[MAX_SESSION]) -> (Bytes[MAX_RESULT], Session):
    session: Session = empty(Session)
    callback: bytes4 = empty(bytes4)
    extra: Bytes[MAX_EXTRA] = b""
    session, callback, extra = abi_decode(extraData, (Session, bytes4, Bytes[MAX_EXTRA]))
    answer: Bytes[MAX_RESPONSE] = response
    if not session.direct:
        failures: DynArray[bool, 1] = []
        responses: DynArray[Bytes[MAX_RESULT], 1] = []
        failures, responses = abi_decode(response, (DynArray[bool, 1], DynArray[Bytes[MAX_RESULT], 1]))
        if failures[0]:
            raw_revert(responses[0])
        answer = responses[0]
    return self._ask(session, concat(callback, abi_encode(answer, extra))), session


@internal
@view
def _ask(session: Session, call: Bytes[4 + 128 + MAX_RESPONSE + MAX_EXTRA + 64]) -> Bytes[MAX_RESULT]:
    success: bool = False
    out: Bytes[MAX_OUT] = b""
    success, out = raw_call(
        session.resolver, call, max_outsize=MAX_OUT, is_static_call=True, revert_on_failure=False
    )
    if not success:
        self._raise(session, out)
    if len(out) == 0:
        raw_revert(abi_encode(session.profile, method_id=method_id("UnsupportedResolverProfile(bytes4)")))
    if session.extended:
        return abi_decode(out, Bytes[MAX_RESULT])
    return convert(out, Bytes[MAX_RESULT])


@internal
@view
def _raise(session: Session, out: Bytes[MAX_OUT]):
    if len(out) < 4 or convert(slice(out, 0, 4), bytes4) != OFFCHAIN_LOOKUP:
        raw_revert(abi_encode(out, method_id=method_id("ResolverError(bytes)")))
    lookup: Lookup = self._decode_lookup(out)
    if lookup.sender != session.resolver:
        raw_revert(abi_encode(out, method_id=method_id("ResolverError(bytes)")))
    urls: DynArray[String[MAX_URL], MAX_URLS] = lookup.urls
    request: Bytes[MAX_LOOKUP] = lookup.callData
    if not session.direct:
        urls = session.gateways
        batch: DynArray[BatchRequest, 1] = [
            BatchRequest(sender=lookup.sender, urls=lookup.urls, data=lookup.callData)
        ]
        request = abi_encode(batch, method_id=method_id("query((address,string[],bytes)[])"))
    raw_revert(
        abi_encode(
            self,
            urls,
            request,
            session.callback,
            abi_encode(session, lookup.callbackFunction, lookup.extraData),
            method_id=method_id("OffchainLookup(address,string[],bytes,bytes4,bytes)"),
        )
    )


@internal
@pure
def _decode_lookup(out: Bytes[MAX_OUT]) -> Lookup:
    lookup: Lookup = empty(Lookup)
    lookup.sender, lookup.urls, lookup.callData, lookup.callbackFunction, lookup.extraData = abi_decode(
        slice(out, 4, len(out) - 4),
        (address, DynArray[String[MAX_URL], MAX_URLS], Bytes[MAX_REQUEST], bytes4, Bytes[MAX_EXTRA]),
    )
    return lookup


# --- names ----------------------------------------------------------------------------------------------------


@internal
@pure
def _reverse_name(lookupAddress: Bytes[64], coinType: uint256) -> Bytes[MAX_NAME]:
    assert len(lookupAddress) != 0, "empty address"
    zone: Bytes[128] = b"addr"
    if coinType == COIN_DEFAULT_EVM:
        zone = b"default"
    elif coinType != COIN_ETH:
        zone = self._hex(abi_encode(coinType), True)
    return self._dns_encode(concat(self._hex(lookupAddress, False), b".", zone, b".reverse"))


@internal
@pure
def _hex(data: Bytes[64], strip: bool) -> Bytes[128]:
    digits: Bytes[16] = b"0123456789abcdef"
    out: Bytes[128] = b""
    for i: uint256 in range(len(data), bound=64):
        byte: uint256 = convert(slice(data, i, 1), uint256)
        for digit: uint256 in [byte // 16, byte % 16]:
            if not strip or digit != 0 or len(out) != 0:
                out = convert(concat(out, slice(digits, digit, 1)), Bytes[128])
    return out


@internal
@pure
def _dns_encode(text: Bytes[MAX_NAME]) -> Bytes[MAX_NAME]:
    out: Bytes[MAX_NAME] = b""
    start: uint256 = 0
    for i: uint256 in range(len(text) + 1, bound=MAX_NAME + 1):
        if i == len(text) or slice(text, i, 1) == b".":
            size: bytes1 = convert(convert(i - start, uint8), bytes1)
            assert size != 0x00, "empty label"
            out = convert(concat(out, size, slice(text, start, i - start)), Bytes[MAX_NAME])
            start = i + 1
    return convert(concat(out, 0x00), Bytes[MAX_NAME])
