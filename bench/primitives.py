"""The floor of handshakes: their cryptographic primitives alone.

`python -m bench.primitives CORE COUNT udp|tcp` computes COUNT sets of them and prints how long that
took, as one JSON line. A set is what a server has to compute for one device until its Hello is
answered. Over TCP it is RSA: a decryption and a signature with 2048 bits, an encryption with the
device's 1024. Over UDP:

- two HMACs for cookies, an ephemeral P-256 key and its encoding, an ECDSA signature;
- the device's two points read (its key, its ephemeral key), ECDH, ECDSA verification;
- the PRF four times (master secret, key block, both Finished), SHA-256 of the transcript;
- two AES-CCM contexts, two records opened (Finished, Hello), two sealed (Finished, answer).
"""

import json
import os
import sys
import time
from hashlib import sha256
from hmac import digest

from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec, rsa
from cryptography.hazmat.primitives.asymmetric.padding import PKCS1v15
from cryptography.hazmat.primitives.asymmetric.utils import NoDigestInfo, Prehashed
from cryptography.hazmat.primitives.ciphers.aead import AESCCM
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat

from bench.machine import pin
from cyan.wire.dtls.key_schedule import prf

CURVE = ec.SECP256R1()
SIGNING = ec.ECDSA(hashes.SHA256(), deterministic_signing=True)
VERIFYING = ec.ECDSA(Prehashed(hashes.SHA256()))
TRANSCRIPT_BYTES = 700
"""Of the hellos, the key exchanges, the certificate and its proof."""
TAG_BYTES = 8
NONCE_BYTES = 12
FINISHED_BYTES = 32
HELLO_BYTES = 48
ACK_BYTES = 4
PADDING = PKCS1v15()
CLAIM_BYTES = 214
"""Nonce, device id and key (device-protocol.md §1.3.1)."""
SESSION_BYTES = 40


class Primitives:
    """A server's key, a device's key, and what the device would have sent."""

    def __init__(self) -> None:
        self.server_key = ec.generate_private_key(CURVE)
        device_key = ec.generate_private_key(CURVE)
        ephemeral = ec.generate_private_key(CURVE)
        self.device_point = _point(device_key)
        self.ephemeral_point = _point(ephemeral)
        self.transcript = os.urandom(TRANSCRIPT_BYTES)
        self.proof = device_key.sign(sha256(self.transcript).digest(), VERIFYING)
        self.scalar = int.from_bytes(os.urandom(31), "big") + 1
        self.secret = os.urandom(32)
        self.randoms = os.urandom(64)

    def once(self) -> None:
        """All that one handshake needs."""
        digest(self.secret, self.randoms, "sha256")
        digest(self.secret, self.randoms, "sha256")
        ephemeral = ec.derive_private_key(self.scalar, CURVE)
        self.server_key.sign(self.randoms + _point(ephemeral), SIGNING)
        device = ec.EllipticCurvePublicKey.from_encoded_point(CURVE, self.device_point)
        peer = ec.EllipticCurvePublicKey.from_encoded_point(CURVE, self.ephemeral_point)
        premaster = ephemeral.exchange(ec.ECDH(), peer)
        transcript = sha256(self.transcript).digest()
        device.verify(self.proof, transcript, VERIFYING)
        master = prf(premaster, b"master secret", self.randoms, 48)
        block = prf(master, b"key expansion", self.randoms, 40)
        prf(master, b"client finished", transcript, 12)
        prf(master, b"server finished", transcript, 12)
        nonce = block[:NONCE_BYTES]
        theirs, ours = AESCCM(block[:16], TAG_BYTES), AESCCM(block[16:32], TAG_BYTES)
        # Opening costs what sealing does; a record that opens would have to be made first.
        theirs.encrypt(nonce, bytes(FINISHED_BYTES), nonce)
        theirs.encrypt(nonce, bytes(HELLO_BYTES), nonce)
        ours.encrypt(nonce, bytes(FINISHED_BYTES), nonce)
        ours.encrypt(nonce, bytes(ACK_BYTES), nonce)


def _point(key: ec.EllipticCurvePrivateKey) -> bytes:
    return key.public_key().public_bytes(Encoding.X962, PublicFormat.UncompressedPoint)


class StreamPrimitives:
    """Over TCP."""

    def __init__(self) -> None:
        self.server_key = rsa.generate_private_key(65537, 2048)
        self.device_key = rsa.generate_private_key(65537, 1024).public_key()
        self.request = self.server_key.public_key().encrypt(bytes(CLAIM_BYTES), PADDING)

    def once(self) -> None:
        """All that one handshake needs."""
        self.server_key.decrypt(self.request, PADDING)
        ciphertext = self.device_key.encrypt(bytes(SESSION_BYTES), PADDING)
        mac = digest(bytes(SESSION_BYTES), ciphertext, "sha1")
        self.server_key.sign(mac, PADDING, NoDigestInfo())


def main(core: int, count: int, transport: str) -> None:
    pin(core)
    primitives = StreamPrimitives() if transport == "tcp" else Primitives()
    began, began_cpu = time.perf_counter(), time.process_time()
    for _ in range(count):
        primitives.once()
    wall, cpu = time.perf_counter() - began, time.process_time() - began_cpu
    print(json.dumps({"wall_s": wall, "cpu_s": cpu}), flush=True)


if __name__ == "__main__":
    main(int(sys.argv[1]), int(sys.argv[2]), sys.argv[3])
