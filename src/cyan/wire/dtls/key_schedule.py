"""Key derivation of TLS 1.2 with SHA-256 (RFC 5246 §5, §6.3, §8.1; RFC 7627 §4)."""

from hmac import digest

from cyan.wire.dtls.record import Keys

MASTER_SECRET_BYTES = 48
VERIFY_DATA_BYTES = 12
KEY_BLOCK_BYTES = 40
"""Two keys of 16 and two IVs of 4; the suite has no MAC keys (RFC 6655 §3)."""
CLIENT_FINISHED = b"client finished"
SERVER_FINISHED = b"server finished"


def prf(secret: bytes, label: bytes, seed: bytes, length: int) -> bytes:
    """The pseudo-random function of RFC 5246 §5 (P_SHA256), cut to `length` bytes."""
    seed = label + seed
    a = digest(secret, seed, "sha256")
    output = digest(secret, a + seed, "sha256")
    while len(output) < length:
        a = digest(secret, a, "sha256")
        output += digest(secret, a + seed, "sha256")
    return output[:length]


def master_secret(premaster: bytes, client_random: bytes, server_random: bytes) -> bytes:
    """The classic master secret (RFC 5246 §8.1), which Device OS uses."""
    return prf(premaster, b"master secret", client_random + server_random, MASTER_SECRET_BYTES)


def extended_master_secret(premaster: bytes, session_hash: bytes) -> bytes:
    """RFC 7627 §4: over the SHA-256 of the transcript up to and including ClientKeyExchange."""
    return prf(premaster, b"extended master secret", session_hash, MASTER_SECRET_BYTES)


def derive_keys(master: bytes, client_random: bytes, server_random: bytes) -> Keys:
    """The key block of AES-128-CCM-8 (RFC 5246 §6.3, RFC 6655 §3)."""
    block = prf(master, b"key expansion", server_random + client_random, KEY_BLOCK_BYTES)
    return Keys(block[:16], block[16:32], block[32:36], block[36:])


def verify_data(master: bytes, label: bytes, transcript_hash: bytes) -> bytes:
    """The 12 bytes of a Finished (RFC 5246 §7.4.9)."""
    return prf(master, label, transcript_hash, VERIFY_DATA_BYTES)
