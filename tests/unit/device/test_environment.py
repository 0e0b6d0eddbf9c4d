import torch

from resnest_bench.device import environment


def test_a_cpu_is_called_a_cpu():
    seen = environment.describe(torch.device("cpu"))
    assert (seen.device_kind, seen.cuda, seen.driver, seen.device_index) == (
        "cpu",
        None,
        None,
        None,
    )
    assert seen.versions["torch"] == torch.__version__.split("+")[0]
    assert "logical cores" in seen.device_name


def test_precision_sets_the_flags_and_puts_them_back():
    before = environment.precision_flags()
    with environment.precision("tf32"):
        assert environment.precision_flags()["cudnn_allow_tf32"] is True
        assert environment.precision_flags()["float32_matmul_precision"] == "high"
    with environment.precision("fp32"):
        assert environment.precision_flags()["cudnn_allow_tf32"] is False
        assert environment.precision_flags()["float32_matmul_precision"] == "highest"
    assert environment.precision_flags() == before


def test_gpu_state_is_read_from_nvidia_smi():
    state = environment.parse_gpu_state("1980, 2619, 41, 120.55, 0x0000000000000024")
    assert (state.sm_clock_mhz, state.memory_clock_mhz) == (1980, 2619)
    assert (state.temperature_c, state.power_w) == (41, 120.55)
    assert state.throttle_reasons == ["software power cap", "software thermal"]


def test_what_nvidia_smi_does_not_know_is_null():
    state = environment.parse_gpu_state("[N/A], 2619, 41, [Not Supported], [N/A]")
    assert state.sm_clock_mhz is None
    assert state.power_w is None
    assert state.throttle_reasons is None
    assert environment.parse_gpu_state("") == environment.DeviceState()


def test_outside_git_there_is_no_commit(monkeypatch, tmp_path):
    monkeypatch.setattr(environment, "PACKAGE", tmp_path)
    monkeypatch.setenv("GIT_CEILING_DIRECTORIES", str(tmp_path.parent))
    environment.git_state.cache_clear()
    assert environment.git_state() == (None, None)
    environment.git_state.cache_clear()
