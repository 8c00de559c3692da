# pragma version 0.4.3
# pragma evm-version cancun
"""
@title ENS registry for local chains
@license Apache-2.0
@notice The registry of EIP-137 with the later additions that clients use: records in one call, operators.
"""

struct Record:
    owner: address
    resolver: address
    ttl: uint64


event Transfer:
    node: indexed(bytes32)
    owner: address


event NewOwner:
    node: indexed(bytes32)
    label: indexed(bytes32)
    owner: address


event NewResolver:
    node: indexed(bytes32)
    resolver: address


event NewTTL:
    node: indexed(bytes32)
    ttl: uint64


event ApprovalForAll:
    owner: indexed(address)
    operator: indexed(address)
    approved: bool


records: HashMap[bytes32, Record]
operators: HashMap[address, HashMap[address, bool]]


@deploy
def __init__(root_owner: address):
    """
    @param root_owner Owner of the root node, from whom all names come
    """
    self.records[empty(bytes32)].owner = root_owner


@external
@view
def owner(node: bytes32) -> address:
    return self.records[node].owner


@external
@view
def resolver(node: bytes32) -> address:
    return self.records[node].resolver


@external
@view
def ttl(node: bytes32) -> uint64:
    return self.records[node].ttl


@external
@view
def recordExists(node: bytes32) -> bool:
    return self.records[node].owner != empty(address)


@external
@view
def isApprovedForAll(owner: address, operator: address) -> bool:
    return self.operators[owner][operator]


@external
def setApprovalForAll(operator: address, approved: bool):
    """
    @notice Let an operator act for all names of the caller, or no longer
    """
    self.operators[msg.sender][operator] = approved
    log ApprovalForAll(owner=msg.sender, operator=operator, approved=approved)


@external
def setOwner(node: bytes32, owner: address):
    self._authorise(node)
    self._set_owner(node, owner)


@external
def setResolver(node: bytes32, resolver: address):
    self._authorise(node)
    self._set_resolver(node, resolver)


@external
def setTTL(node: bytes32, ttl: uint64):
    self._authorise(node)
    self._set_ttl(node, ttl)


@external
def setRecord(node: bytes32, owner: address, resolver: address, ttl: uint64):
    self._authorise(node)
    self._set_owner(node, owner)
    self._set_resolver(node, resolver)
    self._set_ttl(node, ttl)


@external
def setSubnodeOwner(node: bytes32, label: bytes32, owner: address) -> bytes32:
    """
    @param label keccak256 of the label
    @return The node below
    """
    return self._set_subnode_owner(node, label, owner)


@external
def setSubnodeRecord(node: bytes32, label: bytes32, owner: address, resolver: address, ttl: uint64):
    subnode: bytes32 = self._set_subnode_owner(node, label, owner)
    self._set_resolver(subnode, resolver)
    self._set_ttl(subnode, ttl)


@internal
@view
def _authorise(node: bytes32):
    holder: address = self.records[node].owner
    assert msg.sender == holder or self.operators[holder][msg.sender], "not authorised"


@internal
def _set_subnode_owner(node: bytes32, label: bytes32, owner: address) -> bytes32:
    self._authorise(node)
    subnode: bytes32 = keccak256(concat(node, label))
    self.records[subnode].owner = owner
    log NewOwner(node=node, label=label, owner=owner)
    return subnode


@internal
def _set_owner(node: bytes32, owner: address):
    self.records[node].owner = owner
    log Transfer(node=node, owner=owner)


@internal
def _set_resolver(node: bytes32, resolver: address):
    if self.records[node].resolver != resolver:
        self.records[node].resolver = resolver
        log NewResolver(node=node, resolver=resolver)


@internal
def _set_ttl(node: bytes32, ttl: uint64):
    if self.records[node].ttl != ttl:
        self.records[node].ttl = ttl
        log NewTTL(node=node, ttl=ttl)
