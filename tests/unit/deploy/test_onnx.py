"""ONNX files: the logits that come back, in fp32 and int8, and what can't be exported."""

import numpy as np
import pytest

from resnest_bench.deploy import onnx
from resnest_bench.deploy.problems import ExportError


def error(logits, expected):
    return np.linalg.norm(logits - expected) / np.linalg.norm(expected)


@pytest.fixture(scope="module")
def file(network, images_BCHW, tmp_path_factory):
    (path,) = onnx.export(network, images_BCHW, tmp_path_factory.mktemp("onnx") / "network.onnx")
    return path


def test_the_file_gives_the_networks_logits(file, images_BCHW, logits_BK):
    assert error(onnx.load(file, 1)(images_BCHW.numpy()), logits_BK) < 1e-6


def test_any_batch_size(network, images_BCHW, logits_BK, tmp_path):
    (path,) = onnx.export(network, images_BCHW[:1], tmp_path / "any.onnx", any_batch=True)
    run = onnx.load(path, 1)
    for size in (1, 3):
        assert error(run(images_BCHW.numpy()[:size]), logits_BK[:size]) < 1e-6


def test_int8_rounds_and_has_one_scale_per_output_channel(file, images_BCHW, logits_BK, tmp_path):
    import onnx as onnx_package

    # Six images fill one batch of four and half of another.
    images = np.concatenate([images_BCHW.numpy(), images_BCHW.numpy()[:2]])
    (path,) = onnx.quantise(file, images, tmp_path / "int8.onnx")
    assert 1e-5 < error(onnx.load(path, 1)(images_BCHW.numpy()), logits_BK) < 0.05
    graph = onnx_package.load(path).graph
    assert {"QuantizeLinear", "DequantizeLinear"} <= {node.op_type for node in graph.node}
    weights = [one for one in graph.initializer if tuple(one.dims) == (4, 3, 3, 3)]
    assert [one.data_type for one in weights] == [onnx_package.TensorProto.INT8]
    assert any(tuple(one.dims) == (4,) for one in graph.initializer if "scale" in one.name)


@pytest.mark.parametrize("images", [np.zeros((0, 3, 8, 8), np.float32), np.zeros((2, 3, 8, 8))])
def test_int8_needs_images(file, images, tmp_path):
    with pytest.raises(ValueError, match="calibration images"):
        onnx.quantise(file, images, tmp_path / "int8.onnx")
    assert not list(tmp_path.iterdir())


def test_an_operator_without_a_counterpart_is_named(unusual_network, images_BCHW, tmp_path):
    with pytest.raises(ExportError, match=r"ONNX: operator aten.*eig"):
        onnx.export(unusual_network, images_BCHW, tmp_path / "network.onnx")
    assert not list(tmp_path.iterdir())


def test_a_session_has_these_threads_and_every_optimisation(monkeypatch):
    import onnxruntime as runtime

    seen = []
    monkeypatch.setattr(
        runtime, "InferenceSession", lambda *args, **named: seen.append((args, named))
    )
    onnx.make_session(b"", 2)
    (((_, options), named),) = seen
    assert (options.intra_op_num_threads, options.inter_op_num_threads) == (2, 1)
    assert options.graph_optimization_level == runtime.GraphOptimizationLevel.ORT_ENABLE_ALL
    assert named == {"providers": ["CPUExecutionProvider"]}


def test_batches_are_filled_up_only_where_they_must_be():
    images = np.arange(5, dtype=np.float32).reshape(5, 1, 1, 1)
    whole = [list(b.ravel()) for b in onnx.split_images(images, 3, whole=True)]
    assert whole == [[0, 1, 2], [3, 4, 0]]
    assert [len(b) for b in onnx.split_images(images, 3, whole=False)] == [3, 2]
    assert [len(b) for b in onnx.split_images(images, 12, whole=True)] == [12]
