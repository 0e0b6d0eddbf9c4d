"""Is the hub there? One quick question per process; what was downloaded before is enough."""

import hashlib
import socket

import pytest
from huggingface_hub import constants

from resnest_bench.errors import UserError
from resnest_bench.models import hub
from support.hub import NAME, address_of_nobody, serve_hub


@pytest.fixture(autouse=True)
def machine(tmp_path, monkeypatch):
    """A process that asked nobody, on a machine with an empty cache."""
    monkeypatch.setattr(constants, "HF_HUB_OFFLINE", False)
    monkeypatch.setattr(constants, "HF_HUB_CACHE", str(tmp_path / "cache"))
    hub.find_hub_problem.cache_clear()
    yield
    hub.find_hub_problem.cache_clear()


def use_hub(monkeypatch, address):
    monkeypatch.setattr(constants, "ENDPOINT", address)
    # Made of ENDPOINT when the library is imported.
    template = f"{address}/{{repo_id}}/resolve/{{revision}}/{{filename}}"
    monkeypatch.setattr(constants, "HUGGINGFACE_CO_URL_TEMPLATE", template)


def test_a_hub_that_answers_is_asked_once(monkeypatch):
    with serve_hub() as server:
        use_hub(monkeypatch, server.address)
        assert [hub.find_hub_problem(), hub.find_hub_problem()] == [None, None]
        assert len(server.heads) == 1


def test_nobody_there_is_a_problem(monkeypatch):
    use_hub(monkeypatch, address_of_nobody())
    assert hub.find_hub_problem()


def test_a_hub_that_never_answers_is_a_problem(monkeypatch):
    monkeypatch.setattr(hub, "TIMEOUT_SECONDS", 0.2)
    with socket.create_server(("127.0.0.1", 0)) as silent:
        use_hub(monkeypatch, f"http://127.0.0.1:{silent.getsockname()[1]}")
        assert "time" in hub.find_hub_problem()


def test_without_the_hub_the_message_says_what_to_do(tmp_path, monkeypatch):
    nobody = address_of_nobody()
    use_hub(monkeypatch, nobody)
    path = tmp_path / "data/weights/w.safetensors"
    with pytest.raises(UserError) as caught:
        hub.fetch_weights(NAME, path)
    for part in (NAME, nobody, str(path.parent), "resnest-bench weights", "file:"):
        assert part in str(caught.value)
    assert not path.parent.exists()


def test_without_the_hub_the_cache_is_enough(tmp_path, monkeypatch):
    with serve_hub() as server:
        use_hub(monkeypatch, server.address)
        first = hub.fetch_weights(NAME, tmp_path / "a.safetensors")
    use_hub(monkeypatch, address_of_nobody())
    hub.find_hub_problem.cache_clear()
    assert hub.fetch_weights(NAME, tmp_path / "b.safetensors") == first
    content = (tmp_path / "b.safetensors").read_bytes()
    assert hashlib.sha256(content).hexdigest() == first


def test_another_mistake_keeps_its_own_message(tmp_path, monkeypatch):
    """The hub is there, and lacks the file."""
    with serve_hub() as server:
        use_hub(monkeypatch, server.address)
        server.content = None
        with pytest.raises(UserError, match=NAME) as caught:
            hub.fetch_weights(NAME, tmp_path / "w.safetensors")
    assert "reached" not in str(caught.value)
