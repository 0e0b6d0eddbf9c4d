"""Layout and mode: measured where the recipe leaves them open, decided once for a job."""

import time

import pytest
import torch

from resnest_bench.errors import UserError
from resnest_bench.records.observations import ExecutionObservation
from resnest_bench.specs import RecipeSpec
from resnest_bench.training import execution
from resnest_bench.training.execution import Execution, choose, decided, fastest, probe_batch

CPU = torch.device("cpu")
LAST, CONTIGUOUS, COMPILED = (
    Execution("channels_last", "eager"),
    Execution("contiguous", "eager"),
    Execution("channels_last", "compiled"),
)


def recipe(**options):
    return RecipeSpec(epochs=1, batch_size=256, learning_rate=0.1, **options)


class Clock:
    """A step of a given duration moves the clock; nothing is waited for."""

    def __init__(self, monkeypatch, seconds):
        self.now, self.seconds, self.made = 0.0, seconds, []
        monkeypatch.setattr(time, "perf_counter", lambda: self.now)

    def make_step(self, candidate):
        self.made.append(candidate)
        if isinstance(self.seconds[candidate], Exception):
            raise self.seconds[candidate]

        def step():
            self.now += self.seconds[candidate]

        return step


def chosen(clock, spec, num_images=25_600):
    return choose(spec, CPU, clock.make_step, num_images, 256)


@pytest.mark.parametrize(
    ("last", "contiguous", "expected"),
    [(0.2, 0.6, "channels_last"), (0.6, 0.2, "contiguous"), (0.2, 0.198, "channels_last")],
)
def test_the_clearly_faster_layout_is_taken(monkeypatch, last, contiguous, expected):
    clock = Clock(monkeypatch, {LAST: last, CONTIGUOUS: contiguous})
    seen = chosen(clock, recipe())
    assert (seen.layout, seen.mode) == (expected, "eager")
    assert [probe.layout for probe in seen.probe] == ["channels_last", "contiguous"]
    assert [probe.step_ms for probe in seen.probe] == pytest.approx([1e3 * last, 1e3 * contiguous])


def test_what_the_recipe_says_is_not_measured(monkeypatch):
    clock = Clock(monkeypatch, {})
    seen = chosen(clock, recipe(layout="contiguous", mode="eager"))
    assert (seen.layout, seen.mode, seen.probe, clock.made) == ("contiguous", "eager", [], [])


@pytest.mark.parametrize(
    ("steps", "compiled", "expected"),
    [
        (100, 0.1, "eager"),  # 20 seconds: compiling would cost more
        (20_000, 0.1, "compiled"),  # more than an hour, and twice as fast
        (20_000, 0.3, "eager"),  # more than an hour, but slower
        (20_000, 0.199, "eager"),  # not clearly faster
    ],
)
def test_compiling_must_pay_for_itself(monkeypatch, steps, compiled, expected):
    clock = Clock(monkeypatch, {LAST: 0.2, CONTIGUOUS: 0.4, COMPILED: compiled})
    seen = chosen(clock, recipe(), num_images=256 * steps)
    assert (seen.layout, seen.mode) == ("channels_last", expected)
    assert (COMPILED in clock.made) == (steps > 100)


def test_a_compiler_that_fails_is_not_used(monkeypatch, caplog):
    clock = Clock(monkeypatch, {LAST: 1, CONTIGUOUS: 2, COMPILED: RuntimeError("no C++ compiler")})
    assert chosen(clock, recipe(), num_images=10**7).mode == "eager"
    assert "no C++ compiler" in caplog.text


def test_a_slow_step_is_measured_fewer_times(monkeypatch):
    clock = Clock(monkeypatch, {LAST: 10.0, CONTIGUOUS: 11.0})
    chosen(clock, recipe())
    # One untimed and two timed steps of each.
    assert clock.now == pytest.approx(3 * 21)


@pytest.mark.parametrize(("steps", "rounds"), [(50, 2), (1000, 5)])
def test_a_short_job_is_probed_for_a_short_time(monkeypatch, steps, rounds):
    """Of 50 steps of 0.1 s, 2 % are 0.1 s: two rounds are the least. Of 1,000 they are 2 s."""
    clock = Clock(monkeypatch, {LAST: 0.1, CONTIGUOUS: 0.2})
    chosen(clock, recipe(), num_images=256 * steps)
    assert clock.now == pytest.approx((1 + rounds) * 0.3)


def test_the_usual_one_wins_a_tie():
    assert fastest({LAST: 1.0, CONTIGUOUS: 0.96}) == LAST
    assert fastest({LAST: 1.0, CONTIGUOUS: 0.94}) == CONTIGUOUS


@pytest.mark.parametrize(("size", "expected"), [(32, 256), (64, 64), (224, 5), (1024, 4)])
def test_photos_are_probed_in_small_batches(size, expected):
    assert probe_batch(recipe(), size) == expected


def test_a_job_decides_once(tmp_path):
    first = ExecutionObservation(layout="contiguous", mode="eager", probe=[])
    file = tmp_path / "key" / "execution.json"
    assert decided(file, lambda: first) == first
    assert decided(file, lambda: pytest.fail("measured again")) == first


def test_a_decision_that_is_damaged_is_made_again(tmp_path, caplog):
    file = tmp_path / "execution.json"
    file.write_text('{"layout": 3')
    again = ExecutionObservation(layout="channels_last", mode="eager", probe=[])
    assert decided(file, lambda: again) == again
    assert decided(file, lambda: pytest.fail("measured again")) == again
    assert "measuring again" in caplog.text


@pytest.mark.parametrize(("kind", "mode"), [("cpu", "eager"), ("cuda", "cudagraph")])
def test_a_gpu_starts_from_graphs(kind, mode):
    assert execution.choose_mode(recipe(), torch.device(kind)) == mode
    assert execution.choose_mode(recipe(mode="eager"), torch.device(kind)) == "eager"


def test_a_layout_that_fails_is_left_out_and_named(monkeypatch):
    """As channels_last does for 3-D convolutions."""
    clock = Clock(monkeypatch, {LAST: RuntimeError("required rank 4 tensor"), CONTIGUOUS: 1})
    seen = chosen(clock, recipe())
    assert (seen.layout, [probe.layout for probe in seen.probe]) == ("contiguous", ["contiguous"])
    assert [(e.layout, e.mode) for e in seen.left_out] == [("channels_last", "eager")]
    assert "rank 4" in seen.left_out[0].reason


def test_a_layout_that_would_crash_is_never_run_here(monkeypatch):
    clock = Clock(monkeypatch, {CONTIGUOUS: 1})
    crash = {LAST: "its process was ended by SIGSEGV"}.get
    seen = choose(recipe(), CPU, clock.make_step, 256, 256, crash)
    assert (seen.layout, clock.made) == ("contiguous", [CONTIGUOUS])
    assert "SIGSEGV" in seen.left_out[0].reason


def test_where_no_layout_works_the_first_error_is_raised(monkeypatch):
    clock = Clock(monkeypatch, {LAST: IndexError(), CONTIGUOUS: RuntimeError("second")})
    with pytest.raises(IndexError):
        chosen(clock, recipe())


def test_a_layout_that_was_asked_for_and_fails_is_refused_with_the_one_that_works(monkeypatch):
    clock = Clock(monkeypatch, {LAST: RuntimeError("required rank 4 tensor"), CONTIGUOUS: 1})
    with pytest.raises(UserError, match=r"channels_last.*rank 4.*contiguous"):
        chosen(clock, recipe(layout="channels_last"))


def test_a_layout_that_was_asked_for_with_its_mode_costs_no_step(monkeypatch):
    clock = Clock(monkeypatch, {})
    seen = chosen(clock, recipe(layout="channels_last", mode="eager"))
    assert (seen.layout, clock.made) == ("channels_last", [])


@pytest.mark.parametrize("mode", ["eager", "auto"])
def test_a_layout_that_was_asked_for_and_would_crash_is_never_run_here(monkeypatch, mode):
    clock = Clock(monkeypatch, {CONTIGUOUS: 1})
    crash = {LAST: "its process was ended by SIGSEGV"}.get
    asked = recipe(layout="channels_last", mode=mode)
    with pytest.raises(UserError, match=r"SIGSEGV.*contiguous"):
        choose(asked, CPU, clock.make_step, 256, 256, crash)
    assert clock.made == [CONTIGUOUS]


def test_a_network_that_fails_in_both_layouts_shows_its_own_error(monkeypatch):
    clock = Clock(monkeypatch, {LAST: IndexError("own"), CONTIGUOUS: IndexError("own")})
    with pytest.raises(IndexError, match="own"):
        chosen(clock, recipe(layout="channels_last"))


def test_old_records_read_without_what_was_left_out():
    assert ExecutionObservation(layout="contiguous", mode="eager", probe=[]).left_out == []
