"""Downloads over a real server on this machine: mirrors, truncation, wrong files, interruptions."""

import functools
import hashlib
import threading
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

import pytest

from resnest_bench.data import download
from resnest_bench.data.download import Checksum, fetch
from resnest_bench.errors import UserError

CONTENT = b"all of it " * 1000
MD5 = Checksum("md5", hashlib.md5(CONTENT).hexdigest())


BODIES = {"/whole": CONTENT, "/wrong": b"something else", "/cut": CONTENT[:4000]}


class Handler(BaseHTTPRequestHandler):
    def __init__(self, asked: list[str], *args):
        self.asked = asked
        super().__init__(*args)

    def do_GET(self):
        self.asked.append(self.path)
        body = BODIES.get(self.path)
        self.send_response(404 if body is None else 200)
        # /cut announces what it never sends.
        self.send_header(
            "Content-Length", str(len(CONTENT if self.path == "/cut" else body or b""))
        )
        self.end_headers()
        self.wfile.write(body or b"")

    def log_message(self, *args):
        pass


@pytest.fixture
def server(monkeypatch):
    monkeypatch.setenv("no_proxy", "127.0.0.1")
    asked: list[str] = []
    server = ThreadingHTTPServer(("127.0.0.1", 0), functools.partial(Handler, asked))
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01})
    thread.start()
    yield f"http://127.0.0.1:{server.server_port}", asked
    server.shutdown()
    thread.join()
    server.server_close()


def visible(folder) -> list[str]:
    return [path.name for path in folder.iterdir() if not path.name.endswith(".lock")]


def test_the_next_mirror_is_tried(server, tmp_path):
    url, asked = server
    path = fetch((f"{url}/none", f"{url}/wrong", f"{url}/whole"), tmp_path / "a" / "file", MD5)
    assert path.read_bytes() == CONTENT
    assert asked == ["/none", "/wrong", "/whole"]
    assert visible(path.parent) == ["file"]


def test_a_whole_file_is_not_downloaded_again(server, tmp_path):
    url, asked = server
    for _ in range(2):
        fetch((f"{url}/whole",), tmp_path / "file", MD5)
    assert asked == ["/whole"]


def test_a_wrong_file_in_place_is_replaced(server, tmp_path):
    (tmp_path / "file").write_bytes(b"old")
    assert fetch((f"{server[0]}/whole",), tmp_path / "file", MD5).read_bytes() == CONTENT


@pytest.mark.parametrize(("page", "num_bytes"), [("cut", 4000), ("wrong", 14)])
def test_what_came_is_said_and_nothing_is_left(server, tmp_path, page, num_bytes):
    url = f"{server[0]}/{page}"
    came = hashlib.md5(BODIES[f"/{page}"]).hexdigest()
    with pytest.raises(UserError) as caught:
        fetch((url, url), tmp_path / "file", MD5)
    text = f"{url}: must have md5 {MD5.value}, but got md5 {came} ({num_bytes} bytes)"
    assert str(caught.value).count(text) == 2
    assert visible(tmp_path) == []


def test_every_address_and_reason_stands_in_one_line(server, tmp_path):
    urls = (f"{server[0]}/none", "http://127.0.0.1:1/closed", "nonsense")
    with pytest.raises(UserError) as caught:
        fetch(urls, tmp_path / "file", MD5)
    text = str(caught.value)
    assert all(url in text for url in urls)
    assert "404" in text
    assert "refused" in text
    assert "`path:`" in text
    assert "`urls:`" in text
    assert "\n" not in text


def test_an_interrupted_download_leaves_nothing(server, tmp_path, monkeypatch):
    def interrupted(response, total):
        yield CONTENT[:100]
        raise KeyboardInterrupt

    monkeypatch.setattr(download, "_read", interrupted)
    with pytest.raises(KeyboardInterrupt):
        fetch((f"{server[0]}/whole",), tmp_path / "file", MD5)
    assert visible(tmp_path) == []


def test_a_server_that_says_nothing_times_out(tmp_path, monkeypatch):
    import socket

    monkeypatch.setenv("no_proxy", "127.0.0.1")
    monkeypatch.setattr(download, "TIMEOUT_SECONDS", 0.2)
    with socket.create_server(("127.0.0.1", 0)) as silent:
        url = f"http://127.0.0.1:{silent.getsockname()[1]}/"
        with pytest.raises(UserError, match="timed out"):
            fetch((url,), tmp_path / "file", MD5)
