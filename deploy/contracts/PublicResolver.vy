# pragma version 0.4.3
# pragma evm-version cancun
"""
@title Resolver for names whose records lie on the local chain
@license Apache-2.0
@notice addr (EIP-137, ENSIP-9), text (ENSIP-5), contenthash (ENSIP-7), name (EIP-181) and multicall.
@dev Only the owner of a node in the registry, or an operator of this owner, writes its records.
"""

interface Registry:
    def owner(node: bytes32) -> address: view
    def isApprovedForAll(owner: address, operator: address) -> bool: view


MAX_KEY: constant(uint256) = 256
MAX_TEXT: constant(uint256) = 16384
MAX_BYTES: constant(uint256) = 256
MAX_NAME: constant(uint256) = 256
MAX_CALL: constant(uint256) = 16384 + 512
MAX_CALLS: constant(uint256) = 16
COIN_ETH: constant(uint256) = 60


event AddressChanged:
    node: indexed(bytes32)
    coinType: uint256
    newAddress: Bytes[MAX_BYTES]


event TextChanged:
    node: indexed(bytes32)
    indexedKey: indexed(String[MAX_KEY])
    key: String[MAX_KEY]
    content: String[MAX_TEXT]


event ContenthashChanged:
    node: indexed(bytes32)
    hash: Bytes[MAX_BYTES]


event NameChanged:
    node: indexed(bytes32)
    name: String[MAX_NAME]


REGISTRY: immutable(Registry)
addresses: HashMap[bytes32, HashMap[uint256, Bytes[MAX_BYTES]]]
texts: HashMap[bytes32, HashMap[bytes32, String[MAX_TEXT]]]
contenthashes: HashMap[bytes32, Bytes[MAX_BYTES]]
names: HashMap[bytes32, String[MAX_NAME]]


@deploy
def __init__(registry: address):
    """
    @param registry Address of the ENS registry
    """
    REGISTRY = Registry(registry)


# --- reading --------------------------------------------------------------------------------------------------


@external
@view
@raw_return
def addr(node: bytes32, coinType: uint256 = COIN_ETH) -> Bytes[MAX_BYTES + 64]:
    """
    @notice addr(bytes32) gives an address (EIP-137), addr(bytes32,uint256) the coin's bytes (ENSIP-9)
    @dev Two return types under one name: the calldata's length tells which of the two was called
    """
    value: Bytes[MAX_BYTES] = self.addresses[node][coinType]
    if len(msg.data) >= 68:
        return abi_encode(value)
    if len(value) != 20:
        return abi_encode(empty(address))
    return abi_encode(convert(slice(value, 0, 20), address))


@external
@view
def text(node: bytes32, key: String[MAX_KEY]) -> String[MAX_TEXT]:
    return self.texts[node][keccak256(key)]


@external
@view
def contenthash(node: bytes32) -> Bytes[MAX_BYTES]:
    return self.contenthashes[node]


@external
@view
def name(node: bytes32) -> String[MAX_NAME]:
    return self.names[node]


@external
@pure
def supportsInterface(interfaceId: bytes4) -> bool:
    """
    @notice ERC-165; addr, addr(coin), text, contenthash, name, multicall
    """
    return interfaceId in [0x01ffc9a7, 0x3b3b57de, 0xf1cb7e06, 0x59d1d43c, 0xbc1c58d1, 0x691f3431, 0xac9650d8]


@external
def multicall(data: DynArray[Bytes[MAX_CALL], MAX_CALLS]) -> DynArray[Bytes[MAX_CALL], MAX_CALLS]:
    """
    @notice Several calls of this contract in one, reading or writing, all or nothing
    """
    results: DynArray[Bytes[MAX_CALL], MAX_CALLS] = []
    for call: Bytes[MAX_CALL] in data:
        results.append(raw_call(self, call, max_outsize=MAX_CALL, is_delegate_call=True))
    return results


# --- writing --------------------------------------------------------------------------------------------------


@external
def setAddr(node: bytes32, coinType: uint256, addressBytes: Bytes[MAX_BYTES]):
    """
    @param addressBytes Raw bytes of the coin (ENSIP-9); 20 bytes for EVM coins
    """
    self._authorise(node)
    self.addresses[node][coinType] = addressBytes
    log AddressChanged(node=node, coinType=coinType, newAddress=addressBytes)


@external
def setText(node: bytes32, key: String[MAX_KEY], content: String[MAX_TEXT]):
    self._authorise(node)
    self.texts[node][keccak256(key)] = content
    log TextChanged(node=node, indexedKey=key, key=key, content=content)


@external
def setContenthash(node: bytes32, hash: Bytes[MAX_BYTES]):
    self._authorise(node)
    self.contenthashes[node] = hash
    log ContenthashChanged(node=node, hash=hash)


@external
def setName(node: bytes32, name: String[MAX_NAME]):
    self._authorise(node)
    self.names[node] = name
    log NameChanged(node=node, name=name)


@internal
@view
def _authorise(node: bytes32):
    holder: address = staticcall REGISTRY.owner(node)
    if msg.sender != holder:
        assert staticcall REGISTRY.isApprovedForAll(holder, msg.sender), "not authorised"
