"""The stock CLI over HTTPS, with a certificate of an authority of one's own, as the page tells."""

from pathlib import Path

from tests.compat.clients import ParticleCli
from tests.rest.certificates import write_certificate
from tests.system.dev import developing


def test_the_cli_logs_in_and_lists_over_https(fresh_cli: ParticleCli, tmp_path: Path) -> None:
    certificate, key = tmp_path / "api.crt", tmp_path / "api.key"
    write_certificate(certificate, key)
    settings = {"CYAN_TLS_CERTIFICATE": str(certificate), "CYAN_TLS_KEY": str(key)}
    with developing(tmp_path / "data", "--devices", "1", settings=settings) as dev:
        assert dev.api_url.startswith("https://")
        (device,) = dev.ready["devices"]
        token = dev.ready["access_token"]
        fresh_cli.succeed("profile", "cyan")
        fresh_cli.succeed("profile", "set", "apiUrl", dev.api_url)
        assert fresh_cli.run("login", "--token", token).code != 0
        fresh_cli.variables["NODE_EXTRA_CA_CERTS"] = str(certificate)
        fresh_cli.succeed("login", "--token", token)
        fresh_cli.succeed("device", "add", device["id"])
        assert any(device["id"] in line for line in fresh_cli.succeed("list"))
