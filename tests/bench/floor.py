"""The floor under one accepted envelope: what no delivery service can leave out, in PyNaCl and json alone.

Parse the call and the envelope, open the delivery information, verify the sender's signature, make the postmark.
Written beside the gateway and not with it: nothing of it is imported here, nothing is checked that these steps do not
need, and nothing is stored or answered. Keccak is pycryptodome's, because libsodium has none.

A process of its own: reads a JSON object with the keys, then for each line ``start count`` works on that many of the
prepared requests and answers with the CPU seconds they took.
"""

from __future__ import annotations

import hashlib
import json
import sys
import time
from base64 import b64decode, b64encode
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from Crypto.Hash import keccak
from nacl.bindings import (
    crypto_aead_chacha20poly1305_ietf_decrypt,
    crypto_aead_chacha20poly1305_ietf_encrypt,
    crypto_kx_client_session_keys,
    crypto_kx_keypair,
    crypto_kx_seed_keypair,
    crypto_kx_server_session_keys,
    crypto_sign,
    crypto_sign_open,
    crypto_sign_seed_keypair,
    sodium_pad,
    sodium_unpad,
)
from nacl.utils import random

from tests.bench.load import read_requests

BLOCK = 2048


class Floor:
    """The keys that the work needs: the service's seeds, the senders' and recipients' public keys by name."""

    def __init__(
        self, encryption: bytes, signing: bytes, senders: Mapping[str, bytes], recipients: Mapping[str, bytes]
    ) -> None:
        self._public, self._private = crypto_kx_seed_keypair(encryption)
        self._signing = crypto_sign_seed_keypair(signing)[1]
        self._senders = senders
        self._recipients = recipients

    def accept(self, body: bytes) -> str:
        """The sealed postmark of one submitted envelope; raises when anything about it is wrong."""
        envelope = json.loads(json.loads(body)["params"][0])
        metadata = envelope["metadata"]
        information = json.loads(self._open(json.loads(metadata["deliveryInformation"])))
        signature = b64decode(metadata["signature"])
        signed = {key: value for key, value in metadata.items() if key != "signature"}
        crypto_sign_open(signature + canonical(signed), self._senders[information["from"]])
        return self._postmark(envelope["message"], information)

    def _open(self, sealed: dict[str, str]) -> bytes:
        shared, _ = crypto_kx_server_session_keys(self._public, self._private, b64decode(sealed["ephemPublicKey"]))
        nonce = bytes.fromhex(sealed["nonce"][2:])
        clear = crypto_aead_chacha20poly1305_ietf_decrypt(b64decode(sealed["ciphertext"]), None, nonce, shared)
        return sodium_unpad(clear, BLOCK)

    def _postmark(self, message: str, information: dict[str, Any]) -> str:
        text = canonical(message)
        digest = keccak.new(data=b"\x19Ethereum Signed Message:\n%d" % len(text) + text, digest_bits=256)
        now = time.time_ns() // 1_000_000
        postmark = {
            "messageHash": "0x" + digest.hexdigest(),
            "incommingTimestamp": now,
            "incomingTimestamp": now,
            "deliveryInformation": information,
        }
        to_sign = "0x" + hashlib.sha256(canonical(postmark)).hexdigest()
        postmark["signature"] = b64encode(crypto_sign(to_sign.encode(), self._signing)[:64]).decode()
        public, private = crypto_kx_keypair()
        _, shared = crypto_kx_client_session_keys(public, private, self._recipients[information["to"]])
        nonce = random(12)
        padded = sodium_pad(canonical(postmark), BLOCK)
        sealed = {
            "ciphertext": b64encode(crypto_aead_chacha20poly1305_ietf_encrypt(padded, None, nonce, shared)).decode(),
            "nonce": "0x" + nonce.hex(),
            "ephemPublicKey": b64encode(public).decode(),
        }
        return canonical(sealed).decode()


def canonical(value: object) -> bytes:
    """JSON with sorted keys and without blanks."""
    return json.dumps(value, sort_keys=True, separators=(",", ":"), ensure_ascii=False).encode()


def main() -> None:
    """Obey standard input."""
    given = json.loads(sys.stdin.readline())
    floor = Floor(
        bytes.fromhex(given["encryption"]),
        bytes.fromhex(given["signing"]),
        {name: bytes.fromhex(key) for name, key in given["senders"].items()},
        {name: bytes.fromhex(key) for name, key in given["recipients"].items()},
    )
    bodies = [request.partition(b"\r\n\r\n")[2] for request in read_requests(Path(given["requests"]))]
    for line in sys.stdin:
        start, count = map(int, line.split())
        wanted = bodies[start : start + count]
        began = time.process_time()
        for body in wanted:
            floor.accept(body)
        print(time.process_time() - began, flush=True)


if __name__ == "__main__":
    main()
