"""The floor under one signed look-up: the signature alone, by libsecp256k1 through coincurve.

A process of its own: reads a line with the key in hex, then for each line ``count`` signs that many different digests
and answers with the CPU seconds they took.
"""

from __future__ import annotations

import hashlib
import sys
import time

from coincurve import PrivateKey


def main() -> None:
    """Obey standard input."""
    key = PrivateKey(bytes.fromhex(sys.stdin.readline()))
    number = 0
    for line in sys.stdin:
        digests = [hashlib.sha256(b"%d" % index).digest() for index in range(number, number + int(line))]
        number += len(digests)
        began = time.process_time()
        for digest in digests:
            key.sign_recoverable(digest, hasher=None)
        print(time.process_time() - began, flush=True)


if __name__ == "__main__":
    main()
