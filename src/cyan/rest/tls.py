"""HTTPS with the operator's own certificate, which is taken anew when its files change."""

import asyncio
import ssl
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Final

import structlog
from cryptography import x509
from prometheus_client import Gauge

from cyan.core.config import Config
from cyan.core.errors import ConfigError
from cyan.core.metrics import REGISTRY
from cyan.rest.connection import BoundedConnection

CHECK_S: Final = 10.0
"""Between looks at the files. Renewal comes days before the end, so minutes would do as well."""

WARN_BEFORE: Final = timedelta(days=14)
"""Time left at which the log says so. Whoever renews by a program does it 30 days before the end
(certbot's and Caddy's third of 90 days), so that at 14 something is wrong."""

FAREWELL_S: Final = 1.0
"""For the answer to our close_notify when the server stops. Idle clients do not read, so it may
never come; asyncio would wait for 30 s."""

MAX_FILE_BYTES: Final = 1024 * 1024
"""Of a certificate with its chain, or a key: both have a few kB."""

_expires = Gauge(
    "cyan_tls_certificate_expires_seconds",
    "When the certificate of the API ends, seconds since 1970; 0 without one.",
    registry=REGISTRY,
)
_log = structlog.get_logger(__name__)

Stamp = tuple[tuple[int, int, int], ...]
"""What changes when a file is written or replaced: inode, size and time of each."""


class SecureConnection(BoundedConnection):
    """One HTTPS connection. The server's stop does not wait for those who do not say goodbye."""

    def shutdown(self) -> None:
        super().shutdown()
        if self.transport.is_closing():
            self.loop.call_later(FAREWELL_S, self.transport.abort)


class CertificateError(ConfigError):
    """The certificate or its key cannot be used."""


class Certificate:
    """What the API proves itself with. `context` is for the listener, for good: it gives each new
    connection the certificate that was read last."""

    def __init__(self, certificate: Path, key: Path, *, check_s: float = CHECK_S) -> None:
        """`key` may be the same file. Raises CertificateError."""
        self._certificate = certificate
        self._key = key
        self._check_s = check_s
        self._stamp = self._look()
        self._current, self.expires_at = self._read()
        self.context = _server_context()
        self.context.sni_callback = self._choose
        self._tell()

    def reload(self) -> bool:
        """Read the files again. When they cannot be used, what was read before stays."""
        try:
            self._stamp = self._look()
            self._current, self.expires_at = self._read()
        except CertificateError as error:
            _log.error("tls.reload_failed", error=error.message)
            return False
        self._tell()
        return True

    async def run(self) -> None:
        """Read the files again whenever they have changed, and then stayed as they are for one
        look: whoever renews them writes one after the other."""
        before = self._stamp
        while True:
            await asyncio.sleep(self._check_s)
            try:
                now = self._look()
            except CertificateError:
                continue  # between two files of a renewal; a restart would tell
            if now == before and now != self._stamp:
                self.reload()
                self._stamp = now
            before = now

    def _look(self) -> Stamp:
        stamps = []
        for path, setting in ((self._certificate, "tls_certificate"), (self._key, "tls_key")):
            try:
                found = path.stat()
            except OSError as error:
                raise CertificateError(
                    f"{setting}: {path} cannot be read: {error.strerror}."
                ) from error
            stamps.append((found.st_ino, found.st_size, found.st_mtime_ns))
        return tuple(stamps)

    def _read(self) -> tuple[ssl.SSLContext, datetime]:
        expires_at = read_expiry(self._certificate)
        context = _server_context()
        try:
            # Without the function it would ask at the terminal.
            context.load_cert_chain(self._certificate, self._key, password=_no_password(self._key))
        except ssl.SSLError as error:
            raise CertificateError(self._explain(error)) from error
        except OSError as error:
            raise CertificateError(
                f"tls_key: {self._key} cannot be read: {error.strerror}."
            ) from error
        return context, expires_at

    def _explain(self, error: ssl.SSLError) -> str:
        if "MISMATCH" in (error.reason or ""):
            return f"tls_key: {self._key} is not the key of the certificate in {self._certificate}."
        if b"PRIVATE KEY" not in self._key.read_bytes()[:MAX_FILE_BYTES]:
            return (
                f"tls_key: {self._key} has no private key in PEM form, which begins with"
                " -----BEGIN PRIVATE KEY----- or the like."
            )
        return f"{self._certificate} with the key {self._key} cannot be used: {error}."

    def _choose(self, connection: ssl.SSLObject, _name: str | None, _context: object) -> None:
        connection.context = self._current

    def _tell(self) -> None:
        _expires.set(self.expires_at.timestamp())
        left = self.expires_at - datetime.now(UTC)
        tell = _log.warning if left < WARN_BEFORE else _log.info
        event = "tls.certificate_ended" if left < timedelta() else "tls.certificate"
        tell(event, file=str(self._certificate), until=self.expires_at.isoformat())


def open_certificate(config: Config) -> Certificate | None:
    """The certificate that the settings name; None for plain HTTP. Raises CertificateError."""
    if not config.tls_certificate:
        if config.tls_key:
            raise CertificateError(
                "tls_key is set, but tls_certificate is not: HTTPS needs both, or one file with"
                " both in tls_certificate."
            )
        return None
    certificate = Path(config.tls_certificate)
    return Certificate(certificate, Path(config.tls_key) if config.tls_key else certificate)


def read_expiry(path: Path) -> datetime:
    """When the certificate in a PEM file ends, of a chain the first. Raises CertificateError."""
    try:
        with path.open("rb") as file:
            content = file.read(MAX_FILE_BYTES)
        return x509.load_pem_x509_certificate(content).not_valid_after_utc
    except OSError as error:
        raise CertificateError(
            f"tls_certificate: {path} cannot be read: {error.strerror}."
        ) from error
    except ValueError as error:
        raise CertificateError(
            f"tls_certificate: {path} has no certificate in PEM form, which begins with"
            " -----BEGIN CERTIFICATE-----."
        ) from error


def _server_context() -> ssl.SSLContext:
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.minimum_version = ssl.TLSVersion.TLSv1_2
    context.set_alpn_protocols(["http/1.1"])
    return context


def _no_password(key: Path) -> Callable[[], str]:
    def refuse() -> str:
        raise CertificateError(
            f"tls_key: {key} is locked with a password, which nobody could type at a restart."
            f" `openssl pkey -in {key} -out open.key` unlocks it."
        )

    return refuse
