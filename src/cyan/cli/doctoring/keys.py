"""The server's own keys: without them no board finds its cloud again."""

from collections.abc import Iterator
from contextlib import closing
from pathlib import Path
from typing import Final

import msgspec
from cryptography.exceptions import UnsupportedAlgorithm
from cryptography.hazmat.primitives.asymmetric import ec, rsa
from cryptography.hazmat.primitives.serialization import (
    Encoding,
    PublicFormat,
    load_pem_private_key,
)

from cyan.cli.doctoring import store
from cyan.cli.doctoring.database import is_current
from cyan.cli.doctoring.finding import Finding, ok, problem, warning
from cyan.cli.doctoring.folder import PUBLIC_SUFFIX
from cyan.cli.doctoring.hosts import addresses_of, is_loopback
from cyan.cli.doctoring.installation import Installation
from cyan.cli.doctoring.processes import TCP, UDP
from cyan.core.db.engine import Database
from cyan.core.secrets import KEY_FILE, SECRET_BYTES, SealBrokenError, open_vault
from cyan.devices.keys import fingerprint
from cyan.gateway.adoption import purpose
from cyan.gateway.keys import TCP_KEY_FILE, UDP_KEY_FILE
from cyan.wire.errors import MalformedError
from cyan.wire.server_key import RSA_KEY_BYTES, ServerKey, decode_server_key

KEY_FILES: Final = {UDP: UDP_KEY_FILE, TCP: TCP_KEY_FILE}

UDP_PORT: Final = 5684
"""Where boards look for their server over UDP, whatever the key file says (device-protocol.md
§1.1)."""
TCP_PORT: Final = 5683
"""Where they look over TCP when the key file names no port (device-protocol.md §1.1)."""

_RSA_BITS: Final = 2048
_RSA_EXPONENT: Final = 65537
"""Boards take the modulus at a fixed place and assume the exponent (device-protocol.md §1.3.1)."""

_TCP_PLATFORMS: Final = frozenset({0, 6, 8})
"""Core, Photon and P1 (device-protocol.md §0.1)."""

_SHOWN_DIGITS: Final = 16
MAX_KEY_BYTES: Final = 64 * 1024

_FROM_BACKUP: Final = (
    "Stop the server and bring {name} back from a backup before anything else: boards trust only "
    "that key, and with another one each has to come back to the USB cable."
)


class _Pair(msgspec.Struct, frozen=True):
    """A key of the server as it was found: what its boards hold of it, and what is wrong."""

    public_key: bytes | None
    """SubjectPublicKeyInfo, DER."""
    fault: str | None = None


def read_public_key(installation: Installation, transport: str) -> bytes | None:
    """The public half of the server's key as SubjectPublicKeyInfo in DER, None without one."""
    return _read_key(installation, transport).public_key


def check_udp_key(installation: Installation) -> Iterator[Finding]:
    """A P-256 key."""
    yield from _check_key(installation, UDP, "P-256")


def check_tcp_key(installation: Installation) -> Iterator[Finding]:
    """An RSA key of 2048 bits with the exponent 65537."""
    yield from _check_key(installation, TCP, "RSA-2048")


def check_vault(installation: Installation) -> Iterator[Finding]:
    """The key that seals what must be read back is the one that sealed it."""
    path = installation.folder / KEY_FILE
    if not installation.is_open_to_us:
        return
    sealed = _sealed_session(installation)
    if not path.exists():
        if sealed is not None:
            yield problem(
                "keys.vault",
                f"{path} is missing, but the database has what was sealed with it.",
                f"Stop the server and bring {KEY_FILE} back from a backup. Without it all devices "
                "make new handshakes, which they do by themselves within minutes.",
            )
        return
    try:
        size = path.stat().st_size
        if size != SECRET_BYTES:
            yield problem(
                "keys.vault",
                f"{path} has {size} bytes, and a key has {SECRET_BYTES}: the server does not start "
                "with it.",
                f"Bring {KEY_FILE} back from a backup. Or remove it: what it sealed is lost then, "
                "and devices make new handshakes within minutes.",
            )
            return
        vault = open_vault(installation.folder)
        if sealed is not None:
            connection_id, cold = sealed
            vault.open(cold, purpose(connection_id))
    except OSError as error:
        yield problem(
            "keys.vault",
            f"{path} cannot be read: {error.strerror}.",
            "Give it to the user that serves.",
        )
    except SealBrokenError:
        yield problem(
            "keys.vault",
            f"{path} is not the key that sealed the sessions in the database.",
            f"If database and {KEY_FILE} come from different backups, bring back the matching "
            "pair. Else leave it: all devices make new handshakes by themselves within minutes.",
        )
    else:
        yield ok("keys.vault", f"{KEY_FILE} opens what it sealed")


def check_exported(installation: Installation) -> Iterator[Finding]:
    """The key files for boards hold this server's key, and an address that boards can use."""
    if not installation.is_open_to_us:
        return
    own = {transport: read_public_key(installation, transport) for transport in KEY_FILES}
    in_folder = sorted(installation.folder.glob(f"*{PUBLIC_SUFFIX}"))
    for path in dict.fromkeys((*installation.key_files, *in_folder)):
        is_named = path in installation.key_files
        try:
            exported = decode_server_key(path.read_bytes()[:MAX_KEY_BYTES])
        except OSError as error:
            yield problem(
                "keys.exported",
                f"{path} cannot be read: {error.strerror}.",
                "Name the file that `cyan keys server` wrote.",
            )
            continue
        except MalformedError as error:
            yield problem(
                "keys.exported",
                f"{path} is no server key file: {error}.",
                "Write it again: `cyan keys server --host <host> --out <file>`.",
            )
            continue
        transport = next((name for name, key in own.items() if key == exported.public_key), None)
        if transport is None:
            yield problem(
                "keys.exported",
                f"{path} holds another key than this server's: boards with it never get in here.",
                f"Write it again with `cyan keys server{_protocol(exported)} --host <host> --out "
                "<file>` and put it on the boards, or name the data folder whose key it is.",
            )
        elif is_named:
            # The file of `cyan dev` in the folder is for the simulator beside it.
            yield from _check_address(path, exported, transport)


def _check_key(installation: Installation, transport: str, kind: str) -> Iterator[Finding]:
    check, name = f"keys.{transport}", KEY_FILES[transport]
    path = installation.folder / name
    if not installation.is_open_to_us:
        return
    if not path.exists():
        if _has_boards(installation, transport):
            yield problem(
                check,
                f"{path} is missing, and boards have been here that trust it.",
                _FROM_BACKUP.format(name=name),
            )
        else:
            yield ok(check, f"{name} will be made at the next start")
        return
    found = _read_key(installation, transport)
    if found.fault is not None or found.public_key is None:
        yield problem(check, f"{path} {found.fault}.", _FROM_BACKUP.format(name=name))
    else:
        shown = fingerprint(found.public_key)[:_SHOWN_DIGITS]
        yield ok(check, f"{transport.upper()}: {kind}, SHA-256 {shown}…")


def _read_key(installation: Installation, transport: str) -> _Pair:
    path = installation.folder / KEY_FILES[transport]
    try:
        private = load_pem_private_key(path.read_bytes()[:MAX_KEY_BYTES], password=None)
    except OSError as error:
        return _Pair(None, f"cannot be read: {error.strerror}")
    except (ValueError, TypeError, UnsupportedAlgorithm):
        return _Pair(None, "is no private key in PEM")
    if transport == UDP:
        fits = isinstance(private, ec.EllipticCurvePrivateKey) and isinstance(
            private.curve, ec.SECP256R1
        )
        wanted = "a P-256 key"
    else:
        fits = (
            isinstance(private, rsa.RSAPrivateKey)
            and private.key_size == _RSA_BITS
            and private.public_key().public_numbers().e == _RSA_EXPONENT
        )
        wanted = f"an RSA key of {_RSA_BITS} bits with the exponent {_RSA_EXPONENT}"
    if not fits:
        return _Pair(None, f"is not {wanted}")
    spki = private.public_key().public_bytes(Encoding.DER, PublicFormat.SubjectPublicKeyInfo)
    return _Pair(spki)


def _protocol(exported: ServerKey) -> str:
    """What the command for a file of this kind has to be told."""
    return " --protocol tcp" if len(exported.public_key) == RSA_KEY_BYTES else ""


def _check_address(path: Path, exported: ServerKey, transport: str) -> Iterator[Finding]:
    """What a board will make of the address beside the key."""
    check = "keys.address"
    host, port = exported.host, exported.port
    again = "Write it again with the right --host: `cyan keys server --host <host> --out <file>`."
    if host is None:
        yield problem(check, f"{path} names no host: boards look for Particle's cloud.", again)
    elif not addresses_of(host):
        yield problem(
            check,
            f"{path} names {host}, which this machine cannot look up.",
            "Make that name known in the DNS (with `$id` in it, a wildcard of two labels), or: "
            + again,
        )
    elif is_loopback(host):
        yield problem(check, f"{path} names {host}: boards would look on themselves.", again)
    else:
        yield ok(check, f"{path.name} is of this server, at {host}")
    if transport == UDP and port not in (None, UDP_PORT):
        yield warning(
            "keys.port",
            f"{path} names port {port}, but boards use UDP {UDP_PORT} whatever it says.",
            f"See that UDP {UDP_PORT} of {host} leads to the server.",
        )


def _has_boards(installation: Installation, transport: str) -> bool:
    """Whether devices of this transport have been online."""
    if not is_current(installation):
        return False
    with closing(Database(installation.config.database_path)) as db:
        seen = store.platforms_seen(db)
    return bool(seen & _TCP_PLATFORMS if transport == TCP else seen - _TCP_PLATFORMS)


def _sealed_session(installation: Installation) -> tuple[bytes, bytes] | None:
    if not is_current(installation):
        return None
    with closing(Database(installation.config.database_path)) as db:
        return store.find_sealed_session(db)
