"""A hub of weights on this machine, with one file."""

import hashlib
import http.server
import threading
from collections.abc import Iterator
from contextlib import contextmanager

import timm
from safetensors.torch import save

# Of the smallest that timm has weights for: 0.5 million parameters.
NAME, MODEL = "test_resnet.r160_in1k", "test_resnet"
FILE = f"/timm/{NAME}/resolve/main/model.safetensors"


class Hub(http.server.BaseHTTPRequestHandler):
    """Answers as the hub does for one file; `server.content` is None where the hub lacks it."""

    def do_HEAD(self) -> bool:
        content = self.server.content
        self.server.heads.append(self.path)
        found = content is not None and self.path.endswith("/model.safetensors")
        self.send_response(200 if found else 404)
        self.send_header("Content-Length", str(len(content) if found else 0))
        self.send_header("ETag", f'"{hashlib.sha256(content or b"").hexdigest()}"')
        self.send_header("X-Repo-Commit", "0" * 40)
        self.end_headers()
        return found

    def do_GET(self) -> None:
        self.server.asked.append(self.path)
        if self.do_HEAD():
            self.wfile.write(self.server.content)

    def log_message(self, *arguments) -> None:
        pass


@contextmanager
def serve_hub(port: int = 0) -> Iterator[http.server.ThreadingHTTPServer]:
    """The hub, until the block ends. `asked` lists what was downloaded, `heads` every question.

    At `port` of this machine; 0 is any that is free.
    """
    server = http.server.ThreadingHTTPServer(("127.0.0.1", port), Hub)
    server.address = f"http://127.0.0.1:{server.server_address[1]}"
    server.asked, server.heads = [], []
    server.content = save(timm.create_model(MODEL).state_dict())
    threading.Thread(target=server.serve_forever, daemon=True).start()
    try:
        yield server
    finally:
        server.shutdown()
        server.server_close()


def address_of_nobody() -> str:
    """A port of this machine where nobody listens."""
    with http.server.HTTPServer(("127.0.0.1", 0), Hub) as server:
        return f"http://127.0.0.1:{server.server_address[1]}"
