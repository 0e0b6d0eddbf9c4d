"""The runner in this process on tiny networks: what it measures, how it goes on, what it refuses."""

import ast
import json
import sys

import pytest

from resnest_bench.bundle import runner
from resnest_bench.bundle.make import join_runner
from support.bundle_factory import make_tiny_bundle


@pytest.fixture
def bundle(tmp_path, monkeypatch):
    return make_tiny_bundle(tmp_path, monkeypatch)[1]


@pytest.fixture
def run(bundle, tmp_path):
    def start(*more, device="Toy"):
        out = ["--bundle", str(bundle), "--output", str(tmp_path / "out.json")]
        usual = ["--same-process", "--threads", "1", "--device-name", device]
        return runner.main([*out, *usual, *more])

    return start


def read(tmp_path):
    return json.loads((tmp_path / "out.json").read_text())


def test_every_network_is_measured_in_every_round(run, tmp_path, capsys):
    assert run() == 0
    found = read(tmp_path)
    assert sorted((job["round"], job["variant"]) for job in found["jobs"]) == [
        (0, "A"),
        (0, "B"),
        (1, "A"),
        (1, "B"),
    ]
    for job in found["jobs"]:
        assert [cell["batch_size"] for cell in job["cells"]] == [1, 3]
        assert all(len(cell["samples_ms"]) >= 5 for cell in job["cells"])
        assert all(cell["output_error"] < 1e-4 for cell in job["cells"])
        assert len(job["reference_before_ms"]) == len(job["reference_after_ms"]) == 3
        assert job["cold_start_ms"] >= job["build_ms"] + job["first_call_ms"]
        assert not job["unavailable"]
    assert all(value > 0 for value in found["ceilings"].values())
    assert (found["device"]["name"], found["device"]["threads"]) == ("Toy", 1)
    assert set(found["device"]["versions"]) == {"numpy", "onnxruntime"}
    assert "resnest-bench import out.json" in capsys.readouterr().out


def test_a_stopped_run_goes_on_where_it_was(run, tmp_path, monkeypatch):
    measured = []
    measure_network = runner.measure_network

    def stop_at_the_third(folder, manifest, network, *more):
        if len(measured) == 2:
            raise KeyboardInterrupt
        measured.append(network["variant"])
        return measure_network(folder, manifest, network, *more)

    monkeypatch.setattr(runner, "measure_network", stop_at_the_third)
    assert run() == 130
    first = read(tmp_path)["jobs"]
    assert len(first) == 2
    monkeypatch.setattr(runner, "measure_network", measure_network)
    assert run() == 0
    assert read(tmp_path)["jobs"][:2] == first
    assert len(read(tmp_path)["jobs"]) == 4
    # More rounds of the same device are added.
    assert run("--rounds", "3") == 0
    assert len(read(tmp_path)["jobs"]) == 6


def test_only_some_batch_sizes(run, tmp_path):
    assert run("--batch-sizes", "3", "--rounds", "1") == 0
    assert {c["batch_size"] for job in read(tmp_path)["jobs"] for c in job["cells"]} == {3}


def test_another_device_or_other_threads_are_no_continuation(run, tmp_path, capsys):
    assert run("--rounds", "1") == 0
    before = (tmp_path / "out.json").read_bytes()
    assert run(device="Other") == 2
    assert "another name" in capsys.readouterr().err
    assert run("--threads", "2") == 2
    assert "threads" in capsys.readouterr().err
    assert (tmp_path / "out.json").read_bytes() == before


def test_a_changed_file_is_refused(run, bundle, tmp_path, capsys):
    network = bundle / "networks" / "A.onnx"
    network.write_bytes(network.read_bytes() + b"x")
    assert run() == 2
    assert "networks/A.onnx" in capsys.readouterr().err
    assert not (tmp_path / "out.json").exists()
    network.unlink()
    assert run() == 2
    assert "networks/A.onnx" in capsys.readouterr().err


def test_a_bundle_of_another_format_is_refused(run, bundle, capsys):
    file = bundle / runner.MANIFEST
    file.write_text(json.dumps({**json.loads(file.read_text()), "format": 99}))
    assert run() == 2
    said = capsys.readouterr().err
    assert "99" in said
    assert str(runner.FORMAT) in said


def test_a_network_that_computes_something_else_is_not_timed(run, bundle, tmp_path):
    file = bundle / runner.MANIFEST
    manifest = json.loads(file.read_text())
    manifest["networks"][0]["logits"][0] += 1000
    file.write_text(json.dumps(manifest))
    assert run("--rounds", "1") == 0
    jobs = {job["variant"]: job for job in read(tmp_path)["jobs"]}
    assert not jobs["A"]["cells"]
    assert [cell["batch_size"] for cell in jobs["A"]["unavailable"]] == [1, 3]
    assert jobs["B"]["cells"]


@pytest.mark.parametrize("wrong", [["--threads", "0"], ["--rounds", "0"], ["--batch-sizes", "1,x"]])
def test_wrong_options_are_refused(run, wrong):
    with pytest.raises(SystemExit, match="2"):
        run(*wrong)


def test_run_py_is_one_file_for_python_3_9_without_the_project():
    tree = ast.parse(join_runner(), feature_version=(3, 9))
    imported = {
        name.split(".")[0]
        for node in ast.walk(tree)
        for name in (
            [alias.name for alias in node.names]
            if isinstance(node, ast.Import)
            else [node.module or ""]
            if isinstance(node, ast.ImportFrom)
            else []
        )
    }
    assert imported - set(sys.stdlib_module_names) == {"numpy", "onnxruntime"}
    defined = [node.name for node in tree.body if isinstance(node, ast.FunctionDef)]
    assert len(defined) == len(set(defined))
    assert "measure_network" in defined
