"""particle-cli, unchanged: from a fresh installation to being logged in, and out again."""

import re

from tests.compat.clients import ParticleCli
from tests.compat.rows import proves
from tests.compat.server import Server

NOT_LOGGED_IN = "! You're not logged in. Run `particle login` to authenticate."


def _log_in(cli: ParticleCli, server: Server) -> None:
    """The lines that `make run` prints to type."""
    ready = server.ready
    assert ready.password is not None
    cli.succeed("profile", "cyan")
    cli.succeed("profile", "set", "apiUrl", ready.api_url)
    said = cli.succeed("login", "--username", ready.username, "--password", ready.password)
    assert said == ["> Successfully completed login!"]


@proves("profile")
def test_profile_points_the_cli_at_the_server(fresh_cli: ParticleCli, server: Server) -> None:
    fresh_cli.succeed("profile", "cyan")
    fresh_cli.succeed("profile", "set", "apiUrl", server.ready.api_url)
    said = fresh_cli.succeed("profile")
    assert said[:2] == ["Current profile: cyan", f"Using API: {server.ready.api_url}"]


@proves("login", "whoami", "logout")
def test_a_person_logs_in_looks_who_they_are_and_logs_out(
    fresh_cli: ParticleCli, server: Server
) -> None:
    _log_in(fresh_cli, server)
    assert fresh_cli.succeed("whoami") == [f"> {server.ready.username}"]
    said = fresh_cli.succeed("logout")
    assert said == [f"> You have been logged out from {server.ready.username}"]
    outcome = fresh_cli.run("whoami")
    assert (outcome.code, outcome.lines[-1]) == (1, NOT_LOGGED_IN)


def test_logout_ends_the_token_on_the_server_too(
    fresh_cli: ParticleCli, server: Server, cli: ParticleCli
) -> None:
    _log_in(fresh_cli, server)
    (token,) = re.findall(r"Access token: ([0-9a-f]{40})", "\n".join(fresh_cli.succeed("profile")))
    fresh_cli.succeed("logout")
    cli.use(server.ready.api_url, token, server.ready.username)
    outcome = cli.run("whoami")
    assert outcome.code == 1


def test_a_wrong_password_is_told_in_the_cloud_s_words(
    fresh_cli: ParticleCli, server: Server
) -> None:
    fresh_cli.use(server.ready.api_url, "", server.ready.username)
    outcome = fresh_cli.run("login", "--username", server.ready.username, "--password", "guess")
    assert outcome.code == 1
    assert "User credentials are invalid" in outcome.errors


@proves("login --token")
def test_login_with_a_token_takes_the_one_that_the_server_printed(
    fresh_cli: ParticleCli, server: Server
) -> None:
    fresh_cli.use(server.ready.api_url, "", "")
    fresh_cli.succeed("login", "--token", server.ready.access_token)
    assert fresh_cli.succeed("whoami") == [f"> {server.ready.username}"]


def test_a_token_that_nobody_has_logs_the_cli_out(fresh_cli: ParticleCli, server: Server) -> None:
    fresh_cli.use(server.ready.api_url, "0" * 40, server.ready.username)
    outcome = fresh_cli.run("list")
    assert outcome.code == 1
    assert "login" in outcome.lines[-1]
    assert fresh_cli.succeed("profile")[-1] == "Access token: null"


def _create_token(cli: ParticleCli, server: Server, *options: str) -> tuple[str, str]:
    """What the CLI says of the new token, and the token."""
    said = cli.succeed("token", "create", *options, typed=f"{server.ready.password}\n")
    return said[-2], said[-1].strip()


@proves("token create")
def test_token_create_makes_a_token_that_works_for_ninety_days(
    cli: ParticleCli, server: Server
) -> None:
    told, token = _create_token(cli, server)
    assert told.startswith("New access token expires on ")
    assert re.fullmatch(r"[0-9a-f]{40}", token)
    cli.use(server.ready.api_url, token, server.ready.username)
    assert cli.succeed("whoami") == [f"> {server.ready.username}"]


def test_token_create_makes_one_that_never_expires(cli: ParticleCli, server: Server) -> None:
    told, _ = _create_token(cli, server, "--never-expires")
    assert told == "New access token never expires"


@proves("token revoke")
def test_token_revoke_ends_another_token(cli: ParticleCli, server: Server) -> None:
    _, token = _create_token(cli, server)
    assert cli.succeed("token", "revoke", token) == ["Successfully revoked all provided tokens"]
    cli.use(server.ready.api_url, token, server.ready.username)
    assert cli.run("whoami").code == 1
