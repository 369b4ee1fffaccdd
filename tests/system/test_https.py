"""HTTPS by the real server: its own certificate, changed while it runs, and a proxy before it."""

import os
import signal
import socket
import ssl
from pathlib import Path

import httpx

from tests.rest.certificates import HOST, shown_name, trusting, write_certificate
from tests.system.dev import developing
from tests.system.people import PASSWORD
from tests.system.processes import Server, done, migrated, refused, serving, wait_until


def _settings(folder: Path, name: str = "cyan.test") -> dict[str, str]:
    certificate, key = folder / "api.crt", folder / "api.key"
    write_certificate(certificate, key, name=name)
    return {"CYAN_TLS_CERTIFICATE": str(certificate), "CYAN_TLS_KEY": str(key)}


def _name_shown(server: Server, trusted: Path) -> str:
    with (
        socket.create_connection((HOST, server.http_port), timeout=30) as plain,
        trusting(trusted).wrap_socket(plain, server_hostname=HOST) as secure,
    ):
        return shown_name(secure)


def test_people_log_in_over_https_and_nothing_is_told_in_the_clear(tmp_path: Path) -> None:
    settings = _settings(tmp_path)
    certificate = Path(settings["CYAN_TLS_CERTIFICATE"])
    with serving(tmp_path / "data", settings) as server:
        done("user", "add", "ada@example.com", "--password", PASSWORD, "--data", server.data)
        url = f"https://{HOST}:{server.http_port}"
        with httpx.Client(base_url=url, verify=trusting(certificate)) as client:
            answer = client.post(
                "/oauth/token",
                data={
                    "grant_type": "password",
                    "username": "ada@example.com",
                    "password": PASSWORD,
                },
                auth=("particle-cli", "particle-cli"),
            )
            token = answer.json()["access_token"]
            devices = client.get("/v1/devices", headers={"authorization": f"Bearer {token}"})
            assert (devices.status_code, devices.json()) == (200, [])
        with socket.create_connection((HOST, server.http_port), timeout=30) as plain:
            plain.sendall(b"GET /health HTTP/1.1\r\nHost: cyan\r\n\r\n")
            assert b"HTTP" not in plain.recv(1000)


def test_after_sighup_new_connections_see_the_new_certificate_and_old_ones_go_on(
    tmp_path: Path,
) -> None:
    settings = _settings(tmp_path, name="first")
    certificate = Path(settings["CYAN_TLS_CERTIFICATE"])
    with serving(tmp_path / "data", settings) as server:
        assert _name_shown(server, certificate) == "first"
        with httpx.Client(
            base_url=f"https://{HOST}:{server.http_port}", verify=trusting(certificate)
        ) as client:
            assert client.get("/health").status_code == 200
            _settings(tmp_path, name="second")
            os.kill(server.pid, signal.SIGHUP)
            wait_until(lambda: len(server.logged("tls.certificate")) == 2, "it is read again")
            assert _name_shown(server, certificate) == "second"
            # Trusts only the first: a new connection would not be made.
            assert client.get("/health").status_code == 200


def test_without_a_certificate_sighup_does_no_harm(tmp_path: Path) -> None:
    with serving(tmp_path / "data") as server:
        os.kill(server.pid, signal.SIGHUP)
        assert httpx.get(f"{server.api_url}/health").status_code == 200


def test_it_stops_while_somebody_holds_a_handshake_and_an_idle_connection_open(
    tmp_path: Path,
) -> None:
    settings = _settings(tmp_path)
    context = trusting(Path(settings["CYAN_TLS_CERTIFICATE"]))
    with serving(tmp_path / "data", settings) as server:
        address = (HOST, server.http_port)
        with (
            socket.create_connection(address),
            socket.create_connection(address) as plain,
            context.wrap_socket(plain, server_hostname=HOST) as idle,
        ):
            idle.sendall(b"GET /health HTTP/1.1\r\nHost: cyan\r\n\r\n")
            assert idle.recv(100)
            server.stop()


def test_a_certificate_that_cannot_be_used_stops_the_start(tmp_path: Path) -> None:
    data = migrated(tmp_path / "data")
    missing = {"CYAN_DATA": str(data), "CYAN_TLS_CERTIFICATE": "/nowhere.crt"}
    assert "tls_certificate: /nowhere.crt cannot be read" in refused("serve", settings=missing)


def test_settings_of_addresses_that_are_none_stop_the_start(tmp_path: Path) -> None:
    data = {"CYAN_DATA": str(migrated(tmp_path / "data"))}
    told = refused("serve", settings={**data, "CYAN_PUBLIC_URL": "cloud.example.com"})
    assert "public_url is a scheme and a host" in told
    told = refused("serve", settings={**data, "CYAN_TRUSTED_PROXIES": "nginx"})
    assert "trusted_proxies has addresses" in told


def test_dev_prints_the_address_that_people_use(tmp_path: Path) -> None:
    settings = _settings(tmp_path)
    with developing(tmp_path / "data", "--devices", "0", settings=settings) as dev:
        context = trusting(Path(settings["CYAN_TLS_CERTIFICATE"]))
        assert dev.api_url.startswith(f"https://{HOST}:")
        assert httpx.get(f"{dev.api_url}/health", verify=context).status_code == 200
    public = {"CYAN_PUBLIC_URL": "https://cloud.example.com/"}
    with developing(tmp_path / "data", "--devices", "0", settings=public) as dev:
        assert dev.api_url == "https://cloud.example.com"


def test_metrics_are_not_for_those_who_come_through_a_proxy_on_this_machine(
    tmp_path: Path,
) -> None:
    with serving(tmp_path / "data") as server:
        url = f"{server.api_url}/metrics"
        assert httpx.get(url).status_code == 200
        for headers in ({"X-Forwarded-For": "198.51.100.7"}, {"X-Forwarded-For": "127.0.0.1"}):
            assert httpx.get(url, headers=headers).status_code == 403


def test_a_client_without_the_certificate_is_no_error_of_ours(tmp_path: Path) -> None:
    settings = _settings(tmp_path)
    with serving(tmp_path / "data", settings) as server:
        context = ssl.create_default_context()
        with socket.create_connection((HOST, server.http_port)) as plain:
            try:
                context.wrap_socket(plain, server_hostname=HOST)
            except ssl.SSLCertVerificationError:
                refused_it = True
            else:
                refused_it = False
        assert refused_it
