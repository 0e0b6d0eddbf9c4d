"""Every mode that runs a file, by the same few lines; and what is missing."""

import numpy as np
import pytest

from resnest_bench.deploy import executorch, problems
from resnest_bench.deploy.formats import FILE_MODES, write_mode
from resnest_bench.deploy.problems import ExportError, NotAvailableError


def available(mode):
    try:
        FILE_MODES[mode].check_available()
    except NotAvailableError as error:
        pytest.skip(str(error))


# Each imports a runtime, a converter and a quantiser, for seconds.
@pytest.mark.slow
@pytest.mark.parametrize("mode", sorted(FILE_MODES))
def test_a_modes_files_give_the_networks_logits(mode, network, images_BCHW, logits_BK, tmp_path):
    available(mode)
    files = write_mode(mode, network, images_BCHW, tmp_path / "files", images_BCHW.numpy())
    assert all(file.stat().st_size for file in files)
    run = FILE_MODES[mode].format.load(files[0], 1)
    first = run(images_BCHW.numpy())
    run(np.zeros_like(images_BCHW.numpy()))
    # What came first is not overwritten by what came next.
    error = np.linalg.norm(first - logits_BK) / np.linalg.norm(logits_BK)
    assert error < (0.05 if FILE_MODES[mode].int8 else 1e-5)
    assert (first.shape, first.dtype) == ((4, 5), np.float32)


@pytest.mark.slow
@pytest.mark.parametrize(("mode", "label"), [("openvino", "ONNX"), ("executorch", "ExecuTorch")])
def test_a_format_names_what_it_lacks(mode, label, unusual_network, images_BCHW, tmp_path):
    available(mode)
    with pytest.raises(ExportError, match=rf"to {label}: operator aten.*eig"):
        write_mode(mode, unusual_network, images_BCHW, tmp_path)


def test_int8_without_images(network, images_BCHW, tmp_path):
    with pytest.raises(ValueError, match="needs calibration images"):
        write_mode("onnxruntime-int8", network, images_BCHW, tmp_path)


@pytest.mark.parametrize("mode", ["openvino", "openvino-int8", "executorch"])
def test_a_missing_package_comes_with_its_install_line(mode, monkeypatch):
    monkeypatch.setattr(problems, "find_spec", lambda name: None)
    extra = FILE_MODES[mode].format_name
    with pytest.raises(NotAvailableError, match=rf"pip install .resnest-bench\[{extra}\]"):
        FILE_MODES[mode].check_available()


def test_a_release_that_does_not_work_with_this_torch_is_not_available(monkeypatch):
    def fail(*args):
        raise RuntimeError("tensor does not have a device")

    monkeypatch.setattr(problems, "find_spec", lambda name: object())
    monkeypatch.setattr(executorch, "version", lambda name: "9.9")
    monkeypatch.setattr(executorch, "_to_bytes", fail)
    executorch._find_problem.cache_clear()
    with pytest.raises(NotAvailableError, match=r"ExecuTorch 9.9 does not work with torch"):
        executorch.check_available()
    executorch._find_problem.cache_clear()
