"""RSA-1024 keys of simulated TCP devices (device-protocol.md §1.2), all from a seed, cheaply.

To find a prime takes most of the time that a key takes. So the devices of a seed share its primes,
and each device has a pair of its own: n devices need about the square root of 2n primes, the first
devices the first primes. Such keys are all different, and secret to nobody who has two of them:
they are for simulated devices alone.
"""

import hashlib
import math
from functools import cache
from typing import Final

from cryptography.hazmat.primitives.asymmetric import rsa

EXPONENT: Final = 65537
"""Part of the fixed bytes of a device's key (device-protocol.md §1.3.1)."""

_PRIME_BITS: Final = 512
_TOP_BITS: Final = 3 << _PRIME_BITS - 2
"""Both set, so that the product of two primes has 1024 bits."""

_SIEVE_BOUND: Final = 1000
_SMALL_PRIMES: Final = [
    n for n in range(3, _SIEVE_BOUND, 2) if all(n % d for d in range(3, math.isqrt(n) + 1, 2))
]
_WITNESSES: Final = (2, 3, 5, 7, 11, 13, 17, 19)
"""Of Miller and Rabin's test. A composite of this size passes the first with a probability below
2**-50 (Damgård, Landrock, Pomerance 1993), and nobody chooses the numbers here."""


def derive_key(seed: str, index: int) -> rsa.RSAPrivateKey:
    """The key of the seed's device `index`, always the same."""
    larger = (1 + math.isqrt(1 + 8 * index)) // 2
    p, q = _prime(seed, larger), _prime(seed, index - larger * (larger - 1) // 2)
    d = pow(EXPONENT, -1, math.lcm(p - 1, q - 1))
    numbers = rsa.RSAPrivateNumbers(
        p=p,
        q=q,
        d=d,
        dmp1=d % (p - 1),
        dmq1=d % (q - 1),
        iqmp=pow(q, -1, p),
        public_numbers=rsa.RSAPublicNumbers(EXPONENT, p * q),
    )
    # The check would test the primes again, which takes longer than all the rest.
    return numbers.private_key(unsafe_skip_rsa_key_validation=True)


@cache
def _prime(seed: str, index: int) -> int:
    """The first prime from a place on that the seed decides."""
    digest = hashlib.sha512(f"cyan.sim/prime/{index}/{seed}".encode()).digest()
    candidate = int.from_bytes(digest, "big") | _TOP_BITS | 1
    while not _is_usable(candidate):
        candidate += 2
    return candidate


def _is_usable(candidate: int) -> bool:
    return (
        all(candidate % prime for prime in _SMALL_PRIMES)
        and (candidate - 1) % EXPONENT != 0
        and all(_is_probable_prime(candidate, witness) for witness in _WITNESSES)
    )


def _is_probable_prime(candidate: int, witness: int) -> bool:
    twos = (candidate - 1 & 1 - candidate).bit_length() - 1
    power = pow(witness, candidate - 1 >> twos, candidate)
    if power in (1, candidate - 1):
        return True
    for _ in range(twos - 1):
        power = power * power % candidate
        if power == candidate - 1:
            return True
    return False
