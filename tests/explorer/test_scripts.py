"""Scripts from memory are those of the package, and everything else is the page's."""

import pytest
from starlette.responses import PlainTextResponse
from starlette.testclient import TestClient

from curec_assets.explorer.scripts import _FOLDER, WithScripts


@pytest.fixture(scope="module")
def client() -> TestClient:
    return TestClient(WithScripts(PlainTextResponse("the page")))


def test_every_file_is_answered_as_it_is(client: TestClient) -> None:
    files = [file for file in _FOLDER.iterdir() if file.is_file()]
    assert any(file.suffix == ".js" for file in files)
    for file in files:
        answer = client.get(f"/assets/{file.name}")
        assert answer.content == file.read_bytes()
        assert "immutable" in answer.headers["cache-control"]
        if file.suffix == ".js":
            assert answer.headers["content-type"].startswith("text/javascript")


@pytest.mark.parametrize(
    "path", ["/", "/assets/", "/assets/nothing.js", "/assets/%2e%2e/index.html", "/index.html"]
)
def test_what_is_no_script_is_asked_of_the_page(client: TestClient, path: str) -> None:
    assert client.get(path).text == "the page"


def test_nothing_can_be_sent_to_a_script(client: TestClient) -> None:
    name = next(file.name for file in _FOLDER.iterdir() if file.suffix == ".js")
    assert client.post(f"/assets/{name}").text == "the page"
