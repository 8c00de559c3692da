# pragma version 0.4.3
# pragma evm-version cancun
"""
@title Offchain resolver
@license Apache-2.0
@notice Resolves every name that is set to it, and every name below, through gateways outside the chain.
@dev ENSIP-10 (extended resolver), ERC-3668 (CCIP read), ERC-7996 and ENSIP-22 (features), ERC-165.
     A gateway answers abi.encode(bytes result, uint64 expires, bytes signature), the signature being over
     keccak256(0x1900 || this contract || expires || keccak256(request) || keccak256(result)), where the request
     is the calldata of resolve(bytes,bytes).

     Since the contract declares ENSIP-22 features, a universal resolver calls it directly and puts its own
     address where an ERC-3668 URL says {sender}. A URL should therefore hold this contract's address literally
     and use {sender} elsewhere, for example https://gateway.example/ccip/0x<this>/{data}.json?via={sender}
"""

MAX_URLS: constant(uint256) = 8
MAX_URL: constant(uint256) = 512
MAX_SIGNERS: constant(uint256) = 8
MAX_NAME: constant(uint256) = 1024
MAX_CALL: constant(uint256) = 32768
MAX_RESULT: constant(uint256) = 65536
# abi.encode(name, data) behind a selector: two offsets, two lengths, both contents padded to words
MAX_REQUEST: constant(uint256) = 4 + 128 + MAX_NAME + MAX_CALL
# abi.encode(result, expires, signature): three head words, two lengths, 96 bytes of padded signature
MAX_RESPONSE: constant(uint256) = 96 + 64 + 96 + MAX_RESULT

# secp256k1 group order / 2: EIP-2 forbids the upper half for transactions, we do for answers
MAX_S: constant(uint256) = 57896044618658097711785492504343953926418782139537452191302581570759080747168

ERC165_ID: constant(bytes4) = 0x01ffc9a7
EXTENDED_RESOLVER_ID: constant(bytes4) = 0x9061b923
FEATURES_ID: constant(bytes4) = 0x582de3e7
MULTICALL_FEATURE: constant(bytes4) = 0x96b62db8


event SignerAdded:
    signer: indexed(address)


event SignerRemoved:
    signer: indexed(address)


event URLsChanged:
    urls: DynArray[String[MAX_URL], MAX_URLS]


event OwnershipTransferStarted:
    previousOwner: indexed(address)
    newOwner: indexed(address)


event OwnershipTransferred:
    previousOwner: indexed(address)
    newOwner: indexed(address)


owner: public(address)
pendingOwner: public(address)
signers: public(HashMap[address, bool])
gateways: DynArray[String[MAX_URL], MAX_URLS]


@deploy
def __init__(
    owner: address,
    urls: DynArray[String[MAX_URL], MAX_URLS],
    signers: DynArray[address, MAX_SIGNERS],
):
    """
    @param owner Who may change URLs, signers and the owner
    @param urls ERC-3668 URL templates in the order in which clients try them
    @param signers Addresses whose signatures are believed
    """
    assert owner != empty(address), "owner is zero"
    self.owner = owner
    log OwnershipTransferred(previousOwner=empty(address), newOwner=owner)
    self._set_urls(urls)
    for signer: address in signers:
        self._add_signer(signer)


# --- resolution -----------------------------------------------------------------------------------------------


@external
@view
def resolve(name: Bytes[MAX_NAME], data: Bytes[MAX_CALL]) -> Bytes[MAX_RESULT]:
    """
    @notice ENSIP-10: answers nothing itself but sends the client to the gateways (ERC-3668 OffchainLookup)
    @param name DNS-encoded name
    @param data Call of a resolver profile for this name, or multicall(bytes[]) of such calls
    """
    request: Bytes[MAX_REQUEST] = abi_encode(name, data, method_id=method_id("resolve(bytes,bytes)"))
    raw_revert(
        abi_encode(
            self,
            self.gateways,
            request,
            method_id("resolveWithProof(bytes,bytes)", output_type=bytes4),
            request,
            method_id=method_id("OffchainLookup(address,string[],bytes,bytes4,bytes)"),
        )
    )


@external
@view
def resolveWithProof(response: Bytes[MAX_RESPONSE], extraData: Bytes[MAX_REQUEST]) -> Bytes[MAX_RESULT]:
    """
    @notice ERC-3668 callback: the gateway's result if one of our signers vouches for it and it has not expired
    @param response abi.encode(bytes result, uint64 expires, bytes signature)
    @param extraData The request, as resolve() gave it to the client
    """
    result: Bytes[MAX_RESULT] = b""
    expires: uint64 = 0
    signature: Bytes[65] = b""
    result, expires, signature = abi_decode(response, (Bytes[MAX_RESULT], uint64, Bytes[65]))
    assert block.timestamp <= convert(expires, uint256), "answer expired"
    digest: bytes32 = self._digest(self, expires, keccak256(extraData), keccak256(result))
    assert self.signers[self._recover(digest, signature)], "unknown signer"
    return result


@external
@pure
def makeSignatureHash(
    target: address, expires: uint64, request: Bytes[MAX_REQUEST], result: Bytes[MAX_RESULT]
) -> bytes32:
    """
    @notice The digest that a gateway has to sign
    @param target Address of the resolver
    @param expires Seconds since 1970
    """
    return self._digest(target, expires, keccak256(request), keccak256(result))


@internal
@pure
def _digest(target: address, expires: uint64, request_hash: bytes32, result_hash: bytes32) -> bytes32:
    return keccak256(
        concat(
            0x1900,
            convert(target, bytes20),
            convert(expires, bytes8),
            request_hash,
            result_hash,
        )
    )


@internal
@pure
def _recover(digest: bytes32, signature: Bytes[65]) -> address:
    assert len(signature) == 65, "signature length"
    r: uint256 = extract32(signature, 0, output_type=uint256)
    s: uint256 = extract32(signature, 32, output_type=uint256)
    v: uint256 = convert(slice(signature, 64, 1), uint256)
    assert s <= MAX_S, "signature not canonical"
    assert v == 27 or v == 28, "signature recovery id"
    signer: address = ecrecover(digest, v, r, s)
    assert signer != empty(address), "signature invalid"
    return signer


# --- what we can do -------------------------------------------------------------------------------------------


@external
@pure
def supportsInterface(interfaceId: bytes4) -> bool:
    """
    @notice ERC-165
    """
    return interfaceId in [ERC165_ID, EXTENDED_RESOLVER_ID, FEATURES_ID]


@external
@pure
def supportsFeature(feature: bytes4) -> bool:
    """
    @notice ERC-7996; the one feature is ENSIP-22 eth.ens.resolver.extended.multicall
    """
    return feature == MULTICALL_FEATURE


@external
@view
def urls() -> DynArray[String[MAX_URL], MAX_URLS]:
    """
    @notice The ERC-3668 URL templates
    """
    return self.gateways


# --- the owner's part -----------------------------------------------------------------------------------------


@external
def setURLs(urls: DynArray[String[MAX_URL], MAX_URLS]):
    """
    @notice Replace all URL templates
    """
    self._only_owner()
    self._set_urls(urls)


@external
def addSigner(signer: address):
    """
    @notice Believe this signer from now on
    """
    self._only_owner()
    self._add_signer(signer)


@external
def removeSigner(signer: address):
    """
    @notice Believe this signer no more, not even for answers that have not expired
    """
    self._only_owner()
    assert self.signers[signer], "no such signer"
    self.signers[signer] = False
    log SignerRemoved(signer=signer)


@external
def transferOwnership(newOwner: address):
    """
    @notice First step: name the next owner, who has to accept; the zero address withdraws an offer
    """
    self._only_owner()
    self.pendingOwner = newOwner
    log OwnershipTransferStarted(previousOwner=self.owner, newOwner=newOwner)


@external
def acceptOwnership():
    """
    @notice Second step, by the next owner
    """
    assert msg.sender == self.pendingOwner, "not the next owner"
    previous: address = self.owner
    self.owner = msg.sender
    self.pendingOwner = empty(address)
    log OwnershipTransferred(previousOwner=previous, newOwner=msg.sender)


@internal
@view
def _only_owner():
    assert msg.sender == self.owner, "not the owner"


@internal
def _set_urls(urls: DynArray[String[MAX_URL], MAX_URLS]):
    self.gateways = urls
    log URLsChanged(urls=urls)


@internal
def _add_signer(signer: address):
    assert signer != empty(address), "signer is zero"
    self.signers[signer] = True
    log SignerAdded(signer=signer)
