"""The stock clients, unchanged: libraries of firmware, looked for, fetched, and contributed."""

import io
import tarfile
from pathlib import Path

import pytest

from tests.compat.clients import Json, ParticleApi, ParticleCli
from tests.compat.rows import proves
from tests.compat.server import Server

OFFICIAL = "neopixel"


def _write_library(folder: Path, name: str, version: str) -> Path:
    """A library as firmware authors lay it out; the folder."""
    (folder / "src").mkdir(parents=True)
    (folder / "examples/blink").mkdir(parents=True)
    properties = {"name": name, "version": version, "author": "Ada", "sentence": f"About {name}"}
    lines = [f"{key}={value}" for key, value in properties.items()]
    (folder / "library.properties").write_text("\n".join(lines) + "\n")
    (folder / f"src/{name}.h").write_text("int blink();\n")
    (folder / "examples/blink/blink.ino").write_text("void loop() {}\n")
    (folder / "README.md").write_text(f"# {name}\n")
    (folder / "LICENSE").write_text("Do what you like.\n")
    return folder


@pytest.fixture(scope="module", autouse=True)
def _official_library(server: Server) -> None:
    """The operator puts one into the folder of libraries."""
    _write_library(server.data / "libraries" / OFFICIAL / "1.0.4", OFFICIAL, "1.0.4")


@pytest.fixture
def project(cli: ParticleCli) -> Path:
    """The CLI stands in a project."""
    (cli.home / "project.properties").write_text("name=porch\n")
    (cli.home / "src").mkdir()
    return cli.home


@proves("library list", "library search")
def test_libraries_are_listed_and_found(cli: ParticleCli) -> None:
    assert OFFICIAL in "\n".join(cli.succeed("library", "list", "official"))
    assert OFFICIAL in "\n".join(cli.succeed("library", "search", "neo"))
    assert OFFICIAL not in "\n".join(cli.succeed("library", "search", "thermometer"))


@proves("library add", "library copy")
def test_a_library_is_added_to_a_project_and_copied_into_it(
    cli: ParticleCli, project: Path
) -> None:
    cli.succeed("library", "add", OFFICIAL)
    assert f"dependencies.{OFFICIAL}=1.0.4" in (project / "project.properties").read_text()
    cli.succeed("library", "copy", OFFICIAL)
    assert (project / f"lib/{OFFICIAL}/src/{OFFICIAL}.h").read_text() == "int blink();\n"


@proves("library install", "library view")
def test_a_library_is_installed_and_viewed(cli: ParticleCli, project: Path) -> None:
    said = "\n".join(cli.succeed("library", "install", f"{OFFICIAL}@1.0.4"))
    assert "1.0.4 installed" in said
    assert OFFICIAL in "\n".join(cli.succeed("library", "view", OFFICIAL))


@proves("library upload", "library publish", "library delete")
def test_a_library_of_one_s_own_is_uploaded_published_and_deleted(cli: ParticleCli) -> None:
    cli.folder = _write_library(cli.home / "fireflies", "fireflies", "0.0.1")
    cli.succeed("library", "upload")
    assert "fireflies" in "\n".join(cli.succeed("library", "list", "mine"))
    cli.succeed("library", "publish", "fireflies")
    cli.variables["PARTICLE_LIBRARY_DELETE_TOKEN"] = "yes"
    cli.succeed("library", "delete", "fireflies")
    assert "fireflies" not in "\n".join(cli.succeed("library", "list", "mine"))


def _archive(folder: Path) -> Path:
    path = folder.with_suffix(".tar.gz")
    with tarfile.open(path, "w:gz") as archive:
        archive.add(folder, ".")
    return path


@proves(
    "listLibraries()",
    "getLibrary()",
    "getLibraryVersions()",
    "contributeLibrary()",
    "publishLibrary()",
    "deleteLibrary()",
    "downloadFile()",
)
def test_api_js_contributes_publishes_fetches_and_deletes_a_library(
    api_js: ParticleApi, server: Server, tmp_path: Path
) -> None:
    mine = {"auth": server.ready.access_token}
    one = {"name": "glowworm", **mine}
    archive = _archive(_write_library(tmp_path / "glowworm", "glowworm", "0.1.0"))
    made, published, listed, got, versions = (
        answer["body"]["data"]
        for answer in api_js.call_all(
            ("contributeLibrary", {"archive": str(archive), **mine}),
            ("publishLibrary", one),
            ("listLibraries", {"filter": "glow", **mine}),
            ("getLibrary", one),
            ("getLibraryVersions", one),
        )
    )
    assert (made["id"], made["attributes"]["visibility"]) == ("glowworm", "private")
    assert published["attributes"]["visibility"] == "public"
    assert [found["id"] for found in listed] == ["glowworm"]
    assert [found["attributes"]["version"] for found in versions] == ["0.1.0"]
    assert "src/glowworm.h" in _names(api_js.call("downloadFile", uri=got["links"]["download"]))
    assert api_js.call("deleteLibrary", force="yes", **one)["statusCode"] in (200, 204)
    assert api_js.refusal("getLibrary", **one)["statusCode"] == 404


def _names(answer: Json) -> list[str]:
    """The files in an archive, which comes as a Buffer of Node."""
    content = bytes(answer["body"]["data"])
    with tarfile.open(fileobj=io.BytesIO(content)) as archive:
        return [name.removeprefix("./") for name in archive.getnames()]


def test_an_unknown_library_is_told_by_its_name(api_js: ParticleApi, server: Server) -> None:
    refusal = api_js.refusal("getLibrary", name="nothing", auth=server.ready.access_token)
    assert refusal["statusCode"] == 404
    assert refusal["body"]["errors"] == [{"message": "Library nothing not found"}]
