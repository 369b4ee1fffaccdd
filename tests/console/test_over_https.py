"""Signing in over HTTPS, by the server itself and by a web server before it."""

import re
from pathlib import Path

import httpx

from tests.rest.certificates import HOST, trusting, write_certificate
from tests.system.people import PASSWORD
from tests.system.processes import Server, done, serving

ADA = "ada@example.com"
PATIENCE_S = 60.0


def sign_in(client: httpx.Client, headers: dict[str, str] | None = None) -> httpx.Response:
    """What a browser does, with the cookies that it would keep."""
    form = client.get("/console/sign-in", headers=headers)
    token = re.search(r'name="csrf" value="([0-9a-f]{64})"', form.text)
    assert token is not None
    fields = {"username": ADA, "password": PASSWORD, "csrf": token[1]}
    return client.post("/console/sign-in", data=fields, headers=headers)


def add_ada(server: Server) -> None:
    done("user", "add", ADA, "--password", PASSWORD, "--data", server.data)


def test_the_session_is_bound_to_https_and_to_this_host(tmp_path: Path) -> None:
    certificate, key = tmp_path / "api.crt", tmp_path / "api.key"
    write_certificate(certificate, key)
    settings = {"CYAN_TLS_CERTIFICATE": str(certificate), "CYAN_TLS_KEY": str(key)}
    with serving(tmp_path / "data", settings) as server:
        add_ada(server)
        url = f"https://{HOST}:{server.http_port}"
        with httpx.Client(base_url=url, verify=trusting(certificate), timeout=PATIENCE_S) as client:
            answer = sign_in(client, {"origin": url, "sec-fetch-site": "same-origin"})
            assert answer.status_code == 303
            (line,) = [
                line
                for line in answer.headers.get_list("set-cookie")
                if line.startswith(f"__Host-cyan-session-{server.http_port}=")
            ]
            assert "Secure" in line
            page = client.get("/console/account")
            assert page.status_code == 200
            assert ADA in page.text
            assert f"apiUrl {url}" in client.get("/console/welcome").text


def test_behind_a_web_server_with_https_the_same_holds(tmp_path: Path) -> None:
    """The web server speaks HTTP with us and may call us by another name."""
    settings = {"CYAN_PUBLIC_URL": "https://cloud.example.com/"}
    with serving(tmp_path / "data", settings) as server:
        add_ada(server)
        sent_on = {
            "x-forwarded-proto": "https",
            "x-forwarded-for": "192.0.2.1",
            "host": "upstream",
            "origin": "https://cloud.example.com",
            "sec-fetch-site": "same-origin",
        }
        with httpx.Client(base_url=server.api_url, timeout=PATIENCE_S) as client:
            form = client.get("/console/sign-in", headers=sent_on)
            visitor = form.headers["set-cookie"].partition(";")[0]
            assert visitor.startswith("__Host-cyan-visitor=")
            token = re.search(r'name="csrf" value="([0-9a-f]{64})"', form.text)
            assert token is not None
            answer = client.post(
                "/console/sign-in",
                data={"username": ADA, "password": PASSWORD, "csrf": token[1]},
                headers={**sent_on, "cookie": visitor},
            )
            assert answer.status_code == 303
            assert "__Host-cyan-session=" in answer.headers["set-cookie"]
            session = answer.headers["set-cookie"].partition(";")[0]
            welcome = client.get("/console/welcome", headers={**sent_on, "cookie": session})
            assert "apiUrl https://cloud.example.com\n" in welcome.text
            assert 'value="cloud.example.com"' in welcome.text
            forged = {**sent_on, "cookie": visitor, "sec-fetch-site": "cross-site"}
            refused = client.post("/console/sign-in", data={"csrf": token[1]}, headers=forged)
            assert refused.status_code == 403
