"""The certificate of the API: read, refused with a reason, and read again when it changes."""

import asyncio
import ssl
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from pathlib import Path

import pytest
import structlog

from cyan.core.config import Config
from cyan.core.metrics import REGISTRY
from cyan.rest.tls import Certificate, CertificateError, open_certificate
from tests.rest.certificates import HOST, shown_name, write_certificate

QUICK_S = 0.01


@pytest.fixture
def files(tmp_path: Path) -> tuple[Path, Path]:
    certificate, key = tmp_path / "api.crt", tmp_path / "api.key"
    write_certificate(certificate, key, name="first")
    return certificate, key


@asynccontextmanager
async def _listening(context: ssl.SSLContext) -> AsyncIterator[int]:
    async def greet(_reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        writer.close()
        await writer.wait_closed()

    server = await asyncio.start_server(greet, HOST, 0, ssl=context)
    async with server:
        yield server.sockets[0].getsockname()[1]


async def _name_at(port: int, *, name: str | None = None) -> str:
    """Whose certificate a new connection is shown; `name` is what the client asks for."""
    context = ssl.create_default_context()
    context.check_hostname, context.verify_mode = False, ssl.CERT_NONE
    _, writer = await asyncio.open_connection(HOST, port, ssl=context, server_hostname=name or "")
    shown = shown_name(writer.get_extra_info("ssl_object"))
    writer.close()
    await writer.wait_closed()
    return shown


async def _until(condition: Callable[[], bool]) -> None:
    async with asyncio.timeout(30):
        while not condition():  # noqa: ASYNC110  (nothing tells when a log has a line)
            await asyncio.sleep(QUICK_S)


async def test_connections_are_shown_it_whatever_name_they_ask_for(
    files: tuple[Path, Path],
) -> None:
    async with _listening(Certificate(*files).context) as port:
        assert await _name_at(port) == "first"
        assert await _name_at(port, name="cloud.example.com") == "first"


async def test_after_a_reload_new_connections_are_shown_the_new_one(
    files: tuple[Path, Path],
) -> None:
    certificate = Certificate(*files)
    async with _listening(certificate.context) as port:
        write_certificate(*files, name="second")
        assert await _name_at(port) == "first"
        assert certificate.reload()
        assert await _name_at(port) == "second"
        assert await _name_at(port, name="cloud.example.com") == "second"


async def test_what_cannot_be_used_leaves_the_former_and_is_told(files: tuple[Path, Path]) -> None:
    certificate = Certificate(*files)
    write_certificate(files[0], files[0].with_name("other.key"), name="second")
    with structlog.testing.capture_logs() as logs:
        assert not certificate.reload()
    assert [line["event"] for line in logs] == ["tls.reload_failed"]
    async with _listening(certificate.context) as port:
        assert await _name_at(port) == "first"


async def test_changed_files_are_read_by_themselves_once_both_are_there(
    files: tuple[Path, Path],
) -> None:
    certificate = Certificate(*files, check_s=QUICK_S)
    first_end = certificate.expires_at
    running = asyncio.create_task(certificate.run())
    try:
        files[1].unlink()
        await asyncio.sleep(5 * QUICK_S)
        assert certificate.expires_at == first_end
        write_certificate(*files, name="second", days=200)
        await _until(lambda: certificate.expires_at != first_end)
        async with _listening(certificate.context) as port:
            assert await _name_at(port) == "second"
    finally:
        running.cancel()
        await asyncio.gather(running, return_exceptions=True)


async def test_files_that_stay_wrong_are_told_once(files: tuple[Path, Path]) -> None:
    certificate = Certificate(*files, check_s=QUICK_S)
    with structlog.testing.capture_logs() as logs:
        running = asyncio.create_task(certificate.run())
        files[0].write_text("no certificate\n")
        await _until(lambda: bool(logs))
        await asyncio.sleep(10 * QUICK_S)
        running.cancel()
        await asyncio.gather(running, return_exceptions=True)
    assert [line["event"] for line in logs] == ["tls.reload_failed"]


async def test_tls_before_1_2_is_refused(files: tuple[Path, Path]) -> None:
    assert Certificate(*files).context.minimum_version == ssl.TLSVersion.TLSv1_2


@pytest.mark.parametrize(
    ("days", "event", "level"),
    [
        (90, "tls.certificate", "info"),
        (13, "tls.certificate", "warning"),
        (-1, "tls.certificate_ended", "warning"),
    ],
)
def test_the_end_is_told_and_warned_of(tmp_path: Path, days: int, event: str, level: str) -> None:
    path = tmp_path / "api.pem"
    write_certificate(path, path, days=days)
    with structlog.testing.capture_logs() as logs:
        certificate = Certificate(path, path)
    (line,) = logs
    assert (line["event"], line["log_level"]) == (event, level)
    assert line["until"] == certificate.expires_at.isoformat()
    shown = REGISTRY.get_sample_value("cyan_tls_certificate_expires_seconds")
    assert shown == certificate.expires_at.timestamp()


def test_without_the_setting_there_is_none() -> None:
    assert open_certificate(Config()) is None


def test_one_file_may_have_both(tmp_path: Path) -> None:
    path = tmp_path / "api.pem"
    write_certificate(path, path)
    assert open_certificate(Config(tls_certificate=str(path))) is not None


def test_a_key_alone_is_refused(files: tuple[Path, Path]) -> None:
    with pytest.raises(CertificateError, match="tls_key is set, but tls_certificate is not"):
        open_certificate(Config(tls_key=str(files[1])))


def _refusal(certificate: Path, key: Path) -> str:
    with pytest.raises(CertificateError) as raised:
        open_certificate(Config(tls_certificate=str(certificate), tls_key=str(key)))
    return raised.value.message


def test_a_missing_file_is_named_with_its_setting(files: tuple[Path, Path]) -> None:
    missing = files[0].with_name("missing.pem")
    expected = f"{missing} cannot be read: No such file or directory."
    assert _refusal(missing, files[1]) == f"tls_certificate: {expected}"
    assert _refusal(files[0], missing) == f"tls_key: {expected}"


def test_a_folder_is_no_file(files: tuple[Path, Path]) -> None:
    folder = files[0].parent
    assert f"tls_certificate: {folder} cannot be read" in _refusal(folder, files[1])
    assert f"tls_key: {folder} cannot be read" in _refusal(files[0], folder)


def test_files_that_are_none_of_the_kind_are_named(files: tuple[Path, Path]) -> None:
    certificate, key = files
    assert f"tls_certificate: {key} has no certificate in PEM form" in _refusal(key, key)
    told = _refusal(certificate, certificate)
    assert f"tls_key: {certificate} has no private key in PEM form" in told


def test_the_key_of_another_certificate_is_refused(files: tuple[Path, Path]) -> None:
    other = files[1].with_name("other.key")
    write_certificate(files[0].with_name("other.crt"), other)
    assert _refusal(files[0], other) == (
        f"tls_key: {other} is not the key of the certificate in {files[0]}."
    )


def test_a_locked_key_is_refused_without_a_question(files: tuple[Path, Path]) -> None:
    write_certificate(*files, password=b"secret")
    told = _refusal(*files)
    assert "locked with a password" in told
    assert "openssl pkey" in told
