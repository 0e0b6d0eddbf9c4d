"""The model card of an exported network: README.md as the Hugging Face Hub reads it.

Everything in it is computed from the study's records. What is not known is called unknown.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import pandas as pd
import yaml

from resnest_bench.chance import describe_chance
from resnest_bench.comparisons.accuracies import accuracy_intervals
from resnest_bench.formats import escape_markdown, markdown_table, row_dicts
from resnest_bench.frames.correctness import build_correctness
from resnest_bench.frames.data_notes import describe_data
from resnest_bench.paths import Experiment
from resnest_bench.records import Record, unpack_bits
from resnest_bench.records.observations import DatasetIdentity, TrainObservations
from resnest_bench.results import StudyResults
from resnest_bench.stats.intervals import wilson_interval
from resnest_bench.usage.average import Average
from resnest_bench.usage.card_snippet import write_snippet
from resnest_bench.usage.export_model import ExportedFile
from resnest_bench.usage.trained import TrainedNetwork
from resnest_bench.words import count_noun

UNKNOWN = "unknown"
WORST_CLASSES = 5
FIRST_RULE = (
    "The first seed of the study whose training finished is exported. "
    "It was not picked by its accuracy on test images, which would make it look better than it is."
)
NAMED_RULE = (
    "This seed was named by whoever exported it (`--seed`). "
    "If it was picked by its accuracy on these test images, that accuracy is too high."
)


@dataclass(frozen=True, eq=False)
class CardContent:
    """What a card is made of.

    `records` are those of all finished seeds of the variant. `named` says that the user chose the seed.
    """

    results: StudyResults
    network: TrainedNetwork
    records: Sequence[Record]
    files: Sequence[ExportedFile]
    problems: Mapping[str, str]
    named: bool
    average: Average | None = None


def write_card(content: CardContent) -> str:
    """Return README.md: YAML front matter and Markdown."""
    network = content.network
    data = _dataset(network.record)
    title = f"{network.job.variant} trained on {data.label}"
    sections = [
        _front_matter(content, data),
        f"# {escape_markdown(title)}",
        _summary(content, data),
        "## Files\n\n" + _files(content),
        "## How to use it\n\n" + _usage(content),
        "## Accuracy\n\n" + _accuracy(content, data),
        "## Latency\n\n" + _latency(content),
        "## Training data\n\n" + _data(data),
        "## Training\n\n" + _training(content),
        "## Intended use and limits\n\n" + _limits(content, data),
        "## Licences\n\n" + _licences(network.record),
        "## Origin\n\n" + _origin(content),
    ]
    return "\n\n".join(section.rstrip() for section in sections) + "\n"


def _dataset(record: Record) -> DatasetIdentity:
    assert record.dataset, "a finished training has one"
    return record.dataset


def _train(record: Record) -> TrainObservations:
    assert record.train, "a finished training has one"
    return record.train


def _correct(record: Record) -> np.ndarray:
    train = _train(record)
    return unpack_bits(train.test_correct, train.num_test)


def _exported_correct(content: CardContent) -> np.ndarray:
    return content.average.test.correct if content.average else _correct(content.network.record)


def _front_matter(content: CardContent, data: DatasetIdentity) -> str:
    accuracy = float(_exported_correct(content).mean())
    result = {
        "task": {"type": "image-classification"},
        "dataset": {"type": data.name, "name": data.label, "split": "test"},
        "metrics": [{"type": "accuracy", "value": round(accuracy, 6)}],
    }
    hub = getattr(content.results.spec.dataset(data.name), "hub", None)
    fields: dict[str, Any] = {
        "license": UNKNOWN,
        "library_name": _library([one.format for one in content.files]),
        "pipeline_tag": "image-classification",
        "tags": ["image-classification", "resnest-bench"],
        **({"datasets": [hub]} if hub else {}),
        "metrics": ["accuracy"],
        "model-index": [{"name": content.network.job.variant, "results": [result]}],
    }
    return f"---\n{yaml.safe_dump(fields, sort_keys=False, allow_unicode=True)}---"


def _library(formats: Sequence[str]) -> str:
    return formats[0] if formats[:1] in (["onnx"], ["openvino"], ["executorch"]) else "pytorch"


def _summary(content: CardContent, data: DatasetIdentity) -> str:
    network, correct = content.network, _exported_correct(content)
    interval = wilson_interval(int(correct.sum()), len(correct))
    what = (
        f"The mean of the weights of seeds {_join(content.average.seeds)}"
        if content.average
        else f"Seed {network.job.seed}"
    )
    return (
        f"An image classifier of {len(data.classes)} classes with {_train(network.record).num_params:,} parameters.\n"
        f"{what}: test accuracy {100 * correct.mean():.2f} % [{100 * float(interval.low):.2f}, "
        f"{100 * float(interval.high):.2f}] on {len(correct):,} images (95 %, binomial, for new test images)."
    )


def _files(content: CardContent) -> str:
    rows = [
        {
            "format": one.format,
            "files": ", ".join(one.files),
            "size": f"{one.num_bytes / 1e6:.2f} MB",
            "run by": one.runtime,
            "largest difference of the logits": f"{one.max_difference:.2g}",
            "relative difference": f"{one.relative_error:.2g}",
            "same class": f"{100 * one.agreement:.2f} %",
        }
        for one in content.files
    ]
    num = content.files[0].num_images if content.files else 0
    text = (
        f"Each file was run by its own runtime on {num} real test images, and compared with PyTorch in fp32.\n\n"
        f"{markdown_table(pd.DataFrame(rows))}\n\n"
        "`preprocessing.json` says how an image becomes the input, `classes.json` names the outputs in their order, and\n"
        "`SHA256SUMS` has the checksums of all files (`sha256sum --check SHA256SUMS`)."
    )
    for name, problem in content.problems.items():
        text += f"\n\nNot exported as {name}: {escape_markdown(problem)}."
    return text


def _usage(content: CardContent) -> str:
    seen = content.network.preprocessing
    color = {3: "RGB", 1: "gray"}.get(seen.channels, f"{seen.channels} channels")
    steps = [
        f"Read the image as {color} with 8 bits per channel, turned by its EXIF orientation, transparency on white.",
        f"Resize its shorter side to {seen.resize} pixels (bilinear, antialiased), and cut out the central "
        f"{seen.crop}x{seen.crop}.",
        f"Divide by 255, subtract {_join(seen.mean)} and divide by {_join(seen.std)}, by channel.",
        "Order the axes as (batch, channels, height, width), float32. The outputs are logits: a softmax makes "
        "probabilities of them.",
    ]
    if seen.white is not None:
        steps.insert(1, f"Images of more than 8 bits per channel: {seen.white:g} is white.")
    text = "\n".join(f"{number}. {step}" for number, step in enumerate(steps, start=1))
    if any(one.format == "onnx" for one in content.files) and seen.channels in (1, 3):
        text += f"\n\n```python\n{write_snippet('RGB' if seen.channels == 3 else 'L')}\n```"
    return text


def _accuracy(content: CardContent, data: DatasetIdentity) -> str:
    num_test = _train(content.network.record).num_test
    rows = []
    for record in content.records:
        hits = _correct(record)
        exported = not content.average and record.job.seed == content.network.job.seed
        rows.append(_accuracy_row(f"seed {record.job.seed}", hits, exported))
    if content.average:
        name = f"mean of the weights of seeds {_join(content.average.seeds)}"
        rows.append(_accuracy_row(name, content.average.test.correct, True))
    (about,) = row_dicts(accuracy_intervals(build_correctness(content.records)))
    mean = f"Mean of the {len(content.records)} seeds: {about['mean_percent']:.2f} %"
    if about["n"] > 1 and not np.isnan(about["seeds_low_percent"]):
        low, high = about["seeds_low_percent"], about["seeds_high_percent"]
        mean += f" [{low:.2f}, {high:.2f}] (95 %, for new seeds on these images)"
    parts = [
        f"On the {num_test:,} test images of {escape_markdown(data.label)}; intervals are 95 %, binomial, for new "
        "test images.",
        markdown_table(pd.DataFrame(rows)),
        f"{mean}.",
        describe_average(content.average, content.records)
        if content.average
        else (NAMED_RULE if content.named else FIRST_RULE),
        _further_sets(content),
    ]
    return "\n\n".join(part for part in parts if part)


def _accuracy_row(name: str, hits: np.ndarray, exported: bool) -> dict[str, str]:
    interval = wilson_interval(int(hits.sum()), len(hits))
    limits = f"[{100 * float(interval.low):.2f}, {100 * float(interval.high):.2f}]"
    shown = f"{100 * hits.mean():.2f} {limits}"
    return {"network": name, "accuracy %": shown, "exported": "yes" if exported else ""}


def describe_average(average: Average, records: Sequence[Record]) -> str:
    """What the average of the weights is worth, by its figures."""
    single = [100 * float(_correct(r).mean()) for r in records if r.job.seed in average.seeds]
    mine = 100 * float(average.test.correct.mean())
    difference = mine - float(np.mean(single))
    text = (
        f"The mean of the weights has an accuracy of {mine:.2f} %, the single seeds have {min(single):.2f} to "
        f"{max(single):.2f} %: a difference of {difference:+.2f} points from their mean."
    )
    if not average.shares_start:
        text += (
            " The seeds share no initial weights, for which such a mean usually classifies badly."
        )
    if difference < 0:
        text += " A single seed, or an ensemble (`predict --ensemble`), is the better choice here."
    return text


def _further_sets(content: CardContent) -> str:
    """Accuracies of the exported seed on further test sets (`resnest-bench evaluate`)."""
    if content.average:
        return ""
    runs, job = content.results.runs, content.network.job
    lines = []
    for block in content.results.spec.imported:
        if (block.trained_on, block.recipe) != (job.dataset, job.recipe):
            continue
        rows = runs[
            runs["dataset"].eq(block.dataset)
            & runs["variant"].eq(job.variant)
            & runs["seed"].eq(job.seed)
            & runs["status"].eq("ok")
        ]
        lines += [
            f"- {escape_markdown(block.dataset)}: {100 * row['test_accuracy']:.2f} % of {row['num_test']:,} images"
            for row in row_dicts(rows)
        ]
    return "On further test sets, this seed:\n\n" + "\n".join(lines) if lines else ""


def _latency(content: CardContent) -> str:
    variant = content.network.job.variant
    cells, runs = content.results.cells, content.results.runs
    mine = cells[cells["variant"].eq(variant) & cells["available"].eq(True)]
    if not len(mine):
        return "The study has not measured the latency of this network."
    keys = ["kind", "dataset", "recipe", "variant", "seed"]
    named = mine.merge(runs[[*keys, "device_name", "num_cpu_threads"]], on=keys, how="left")
    groups = ["device_name", "num_cpu_threads", "mode", "precision", "layout", "batch_size"]
    rows = [
        {
            **dict(
                zip(("device", "threads", "mode", "precision", "layout", "batch"), key, strict=True)
            ),
            "median ms per call": f"{group['p50_ms'].median():.3g}",
            "range over rounds": f"{group['p50_ms'].min():.3g} to {group['p50_ms'].max():.3g}",
            "rounds": len(group),
        }
        for key, group in named.groupby(groups, sort=False, dropna=False)
    ]
    return (
        "Measured by the study, of the network in PyTorch or the runtime that the mode names; medians over rounds.\n\n"
        + markdown_table(pd.DataFrame(rows).astype(str))
    )


def _data(data: DatasetIdentity) -> str:
    rows = [
        {
            "class": escape_markdown(name),
            "training images": _at(data.train_images_per_class, index),
            "test images": _at(data.test_images_per_class, index),
        }
        for index, name in enumerate(data.classes)
    ]
    notes = [text for text in describe_data(data).values() if text]
    return "\n\n".join(
        [
            f"{escape_markdown(data.label)}: {data.num_train:,} training images, {data.num_validation or 0:,} for "
            f"validation, {data.num_test:,} for testing. Fingerprint of the data: `{data.fingerprint}`.",
            markdown_table(pd.DataFrame(rows).astype(str)),
            *(f"{escape_markdown(text)}." for text in notes),
        ]
    )


def _at(counts: Sequence[int], index: int) -> Any:
    return counts[index] if index < len(counts) else UNKNOWN


def _training(content: CardContent) -> str:
    network = content.network
    train, recipe = _train(network.record), network.recipe
    stated = yaml.safe_dump(recipe.as_stated(), sort_keys=False)
    variant = yaml.safe_dump(
        content.results.spec.variant(network.job.variant).as_stated(), sort_keys=False
    )
    start = train.initial_weights
    begun = "random initial weights" if start is None else f"weights of {start.source}"
    return (
        f"Recipe `{network.job.recipe}`: {count_noun(recipe.epochs, 'epoch')} from {begun}; seeds "
        f"{_join(record.job.seed for record in content.records)} were trained. The accuracy is that after the last "
        "epoch, not of the best one.\n\n"
        f"```yaml\n# recipe, without defaults\n{stated}\n# network\n{variant}```"
    )


def _limits(content: CardContent, data: DatasetIdentity) -> str:
    counts = data.test_images_per_class
    lines = [
        f"- For images like the training's, of these {len(data.classes)} classes. It names one of them for any image: "
        "it can't say that an image shows something else.",
        "- On other images its accuracy is unknown, apart from the test sets above.",
    ]
    if counts and sum(counts):
        share = 100 * max(counts) / sum(counts)
        name = escape_markdown(data.classes[counts.index(max(counts))])
        lines.append(
            f"- Always answering {name} would be right on {share:.1f} % of the test images."
        )
    remark = describe_chance(content.network.record)
    if remark:
        lines.append(f"- The exported seed: {escape_markdown(remark)}.")
    return "\n".join([*lines, *_describe_classes(content)])


def _describe_classes(content: CardContent) -> list[str]:
    job = content.network.job
    experiment = Experiment(job.kind, job.dataset, job.recipe)
    table = content.results.class_tables(experiment)["per_class"]
    rows = table[table["variant"].eq(job.variant)].dropna(subset=["recall_mean_percent"])
    worst = row_dicts(rows.sort_values("recall_mean_percent").head(WORST_CLASSES))
    if not worst:
        return []
    named = ", ".join(
        f"{escape_markdown(row['class'])} ({row['recall_mean_percent']:.1f} %)" for row in worst
    )
    return [f"- Lowest share of right answers by class, mean over seeds: {named}."]


def _licences(record: Record) -> str:
    start = _train(record).initial_weights
    lines = [
        f"- These weights: {UNKNOWN}. Whoever publishes them states it.",
        f"- The training images: {UNKNOWN}.",
    ]
    if start is not None:
        lines.append(f"- The initial weights, {start.source}: {start.license or UNKNOWN}.")
    return "\n".join(lines)


def _origin(content: CardContent) -> str:
    record, network = content.network.record, content.network
    environment = record.environment
    lines = [
        f"- Study `{content.results.spec.study}`, {network.job}, trained until {record.finished_at}.",
        f"- SHA-256 of the trained weights: `{network.sha256}`; digest of the training's code: `{record.code_digest}`.",
    ]
    if environment:
        torch = environment.versions.get("torch", UNKNOWN)
        lines.append(
            f"- Trained on {environment.device_name} with torch {torch}, git commit {environment.git_commit or UNKNOWN}."
        )
    if content.results.paths.is_reference:
        lines.append("- From a run that ships with resnest-bench.")
    return "\n".join(lines)


def _join(values: Any) -> str:
    return ", ".join(str(value) for value in values)
