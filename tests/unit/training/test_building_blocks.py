"""One training on real digits of a network with all that the family resnest can change."""

from resnest_bench.measure.complexity import count_params
from resnest_bench.models import build_model
from resnest_bench.paths import Job
from resnest_bench.training.jobs import run_seed


def test_a_network_with_every_new_key_trains_and_evaluates(make_context, config):
    config["variants"][0] |= {
        "layers": [1, 1],
        "radix": [1, 2],
        "cardinality": [1, 2],
        "width": [32, 16],
        "channels": 0.5,
        "gate": "sigmoid",
        "kernels": 5,
        "attention": "cbam",
    }
    context = make_context(config)
    record = run_seed(context, Job("train", "low", "r", "A", 0))
    assert record.status == "ok"
    variant = context.study.variant("A")
    assert record.train.num_params == count_params(build_model(variant, 3))
    assert record.spec["variant"]["radix"] == [1, 2]
    # Three classes of about the same size. In evaluation, statistics of 15 steps are too young.
    assert record.train.epochs[-1].train_accuracy > 0.5
