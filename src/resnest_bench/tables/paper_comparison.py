"""The paper's printed figures next to ours: every printed row, and whether they can be compared."""

import re
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Any

import pandas as pd

from resnest_bench.formats import format_millions
from resnest_bench.frames.fresh import keep_counted
from resnest_bench.frames.typed import make_frame
from resnest_bench.paths import Experiment
from resnest_bench.specs import RECIPES, ResNestVariant, StudySpec, known_side
from resnest_bench.specs.blocks import FinetuneBlock
from resnest_bench.specs.tables import TableSpec
from resnest_bench.stats.summary import PERCENT, POSITIVE, Bounds, confidence_limits, summarise
from resnest_bench.tables import paper_values
from resnest_bench.tables.selection import Selection, select, select_rows
from resnest_bench.tables.values import (
    accuracies_by_seed,
    join_devices,
    latency_status,
    training_status,
)

# Facts about the printed figures. Captions and pages show these sentences.
PRINTED_FACTS = (
    "The paper measured no latency: its ms is 1000 / (images per second) in every row except "
    "EfficientNet-b0 (0.1450 printed, 0.1500 computed).",
    "The paper prints one network twice: ResNeSt-14-2s1x64d and ResNeSt-14 are the same network, with "
    "62.64 and 61.68 %, and with 6471 and 5530 images/s.",
    "The paper prints one figure per network, without a number of runs or a spread. At 62 % on 10,000 "
    "test images the binomial standard error alone is 0.49 points.",
    "The paper gives no learning rate. That of paper20, 0.1 at batch size 256 with a cosine schedule, is "
    "our choice.",
    "The paper's parameter counts are ours, rounded, in every row except ResNet-14-0s1x64d: 8.03M "
    "printed, 8,036,426 counted.",
)
ACCURACY, MS, RATE, PARAMS = "accuracy %", "ms/image", "images/s", "parameters"
COLUMNS = {
    **dict.fromkeys(["table", "variant", "what", "recipe", "printed_text"], "str"),
    **dict.fromkeys(["printed", "ours"], "float64"),
    "n": "Int64",
    "our_values": "object",
    **dict.fromkeys(["low", "high", "run_low", "run_high", "difference", "ratio"], "float64"),
    **dict.fromkeys(["covered", "run_covered", "comparable"], "boolean"),
    **dict.fromkeys(["differs", "device", "data"], "str"),
    **dict.fromkeys(["num_train", "num_test"], "Int64"),
    "status": "str",
}
RECIPE, DROPOUT, BATCH_SIZE, SIDE = "paper20", 0.2, 256, 32
CIFAR_SIZES = (50_000, 10_000)
HOTDOG_SIZES = (2_000, 800)
HOTDOG_CHECKSUM = "sha1:fba480ffa8aa7e0febbb511d181409f899b9baa5"
ABSENT = "this study does not include it"


def paper_table(study: StudySpec, runs: pd.DataFrame, cells: pd.DataFrame) -> pd.DataFrame:
    """One row per printed figure (table, variant, what), whether the study includes it or not.

    `runs` is from `collect`, `cells` from `cells_frame`. The experiment is that of the study's table of
    the same name. `what` names quantity and unit. Accuracy in %, and ms/image and images/s by the
    paper's protocol, are means over `n` seeds or rounds, with a 95 % interval (`confidence_limits`);
    `our_values` lists the values. Parameters are a count. `difference` is ours minus printed; `ratio`,
    for times and rates, is ours over printed.

    `covered` says whether the interval contains the printed value, or whether the count rounds to the
    printed text; NA without either. The paper prints a single run, which may well be outside the interval
    of a mean. So `run_low`, `run_high` and `run_covered` are for the 95 % prediction interval of one more
    run of ours.

    `comparable` says whether data, recipe, network and device are the paper's; NA without a value of
    ours. `differs` names what is not. `status` is 'ok' or says what is missing or wrong.
    """
    rows = [
        row
        for table, printed in (
            ("ablation", paper_values.ABLATION),
            ("tradeoff", paper_values.TRADEOFF),
        )
        for variant, figures in printed.items()
        for row in _PrintedNetwork(study, runs, cells, table, variant, figures).rows()
    ]
    rows += [
        _transfer_row(study, runs, variant, recipe, percent)
        for (variant, recipe), percent in paper_values.TRANSFER.items()
    ]
    return make_frame(rows, COLUMNS)


@dataclass(frozen=True)
class _PrintedNetwork:
    """One row of the paper's first two tables, with the study's rows for it."""

    study: StudySpec
    runs: pd.DataFrame
    cells: pd.DataFrame
    table: str
    variant: str
    printed: paper_values.PrintedRow

    @cached_property
    def chosen(self) -> Selection:
        return select(self.study, getattr(self.study.tables, self.table) or TableSpec())

    @cached_property
    def trained(self) -> pd.DataFrame:
        return select_rows(self.runs, self.chosen.training, self.variant)

    @cached_property
    def timed(self) -> pd.DataFrame:
        return select_rows(self.runs, self.chosen.latency, self.variant)

    @cached_property
    def count(self) -> int | None:
        """Number of parameters from the records, those of trainings first."""
        counts = pd.concat(
            [keep_counted(rows)["num_params"] for rows in (self.trained, self.timed)]
        )
        counts = counts.dropna()
        return int(counts.iloc[0]) if len(counts) else None

    @property
    def _changes(self) -> str:
        """What a variant of this name has that no network of the paper has, like another gate."""
        if self.variant not in self.study.variant_names:
            return ""
        variant = self.study.variant(self.variant)
        changes = variant.changes if isinstance(variant, ResNestVariant) else []
        return f"another network: {', '.join(changes)}" if changes else ""

    def rows(self) -> list[dict[str, Any]]:
        """The rows for accuracy, ms/image, images/s and parameters."""
        network = self._changes or _network_difference(self.count, self.printed.params)
        trained = [network, *_training_differences(self)]
        timed = [network, *_timing_differences(self)]
        rows = [
            _judge(_accuracy(self), trained),
            *(_judge(row, timed) for row in _times(self)),
            _judge(_params(self), [network]),
        ]
        key = {"table": self.table, "variant": self.variant}
        return [{**row, **key, "status": _join_status(network, row["status"])} for row in rows]


def _join_status(network: str, status: str) -> str:
    """Put a problem with the network itself before `status`."""
    if not network:
        return status
    return f"same name, {network}" + ("" if status == "ok" else f"; {status}")


def _judge(row: dict[str, Any], differences: Sequence[str]) -> dict[str, Any]:
    """Add whether our value can be compared with the printed one, and what differs."""
    has_value = row["ours"] is not None
    differs = [text for text in differences if text] if has_value else []
    return {**row, "comparable": not differs if has_value else None, "differs": "; ".join(differs)}


def _network_difference(count: int | None, printed: str) -> str:
    """Empty unless the count differs by at least one unit of the last printed digit, 0.01 million."""
    if count is None or abs(count - _printed_count(printed)) < 10_000:
        return ""
    return f"another network: {count:,} parameters, the paper's has {printed}"


def _printed_count(text: str) -> float:
    return 1e6 * float(text.removesuffix("M"))


def _compare(values: Sequence[float], printed: float, bounds: Bounds) -> dict[str, Any]:
    """Our mean with its two intervals, and its difference from the printed value, in their unit."""
    ours = summarise(values, bounds)
    if ours.mean is None:
        return {"printed": printed, "ours": None, "n": 0}
    row: dict[str, Any] = {
        "printed": printed,
        "ours": ours.mean,
        "n": ours.n,
        "our_values": list(ours.observed),
        "difference": ours.mean - printed,
    }
    if ours.std is None or ours.low is None or ours.high is None:
        return row
    # t s sqrt(1 + 1/n) instead of t s / sqrt(n) for the mean.
    run_low, run_high = confidence_limits(ours.mean, ours.std * (ours.n + 1) ** 0.5, ours.n, bounds)
    return {
        **row,
        "low": ours.low,
        "high": ours.high,
        "covered": ours.low <= printed <= ours.high,
        "run_low": run_low,
        "run_high": run_high,
        "run_covered": bool(run_low <= printed <= run_high),
    }


def _accuracy(entry: _PrintedNetwork) -> dict[str, Any]:
    printed = entry.printed.accuracy_percent
    return {
        "what": ACCURACY,
        "printed_text": f"{printed:.2f}",
        **_compare(list(accuracies_by_seed(entry.trained).values()), printed, PERCENT),
        **_origin(entry.trained, _recipe(entry.chosen.training)),
        "status": _training_status(entry.study, entry.variant, entry.trained, "train it"),
    }


def _recipe(experiment: Experiment | None) -> str | None:
    return experiment and experiment.recipe


def _origin(rows: pd.DataFrame, recipe: str | None) -> dict[str, Any]:
    counted = keep_counted(rows)
    sizes = {name: counted[name].dropna() for name in ("num_train", "num_test")}
    return {
        "recipe": recipe,
        "device": join_devices(counted),
        "data": rows["dataset_label"].iloc[0] if len(rows) else None,
        **{name: int(size.iloc[0]) if len(size) else None for name, size in sizes.items()},
    }


def _training_status(study: StudySpec, variant: str, rows: pd.DataFrame, action: str) -> str:
    if variant not in study.variant_names:
        return ABSENT
    if not len(rows):
        return f"this study does not {action}"
    return "; ".join(training_status(rows)) or "ok"


def _training_differences(entry: _PrintedNetwork) -> list[str]:
    """Which of data, recipe and dropout are not the paper's."""
    study, chosen, trained = entry.study, entry.chosen.training, entry.trained
    if chosen is None or not len(trained):
        return []
    differs = _size_differences(trained, CIFAR_SIZES)
    if study.dataset(chosen.dataset).source != "cifar10":
        differs.insert(
            0, f"the data are {trained['dataset_label'].iloc[0]}, not CIFAR-10's archive"
        )
    # Of imported results the recipe is only a name.
    recipe = study.all_recipes.get(chosen.recipe)
    if recipe != RECIPES[RECIPE]:
        differs.append(f"recipe {chosen.recipe} instead of {RECIPE}")
    if recipe is None:
        return differs
    dropout = study.variant(entry.variant).dropout
    dropout = recipe.dropout if dropout is None else dropout
    return differs + [f"dropout {dropout:g} instead of {DROPOUT}"] * (dropout != DROPOUT)


def _size_differences(rows: pd.DataFrame, sizes: tuple[int, int]) -> list[str]:
    """'5,000 training images instead of 50,000', for training and for test images."""
    counted = keep_counted(rows)
    return [
        f"{int(count):,} {part} images instead of {size:,}"
        for column, part, size in zip(
            ("num_train", "num_test"), ("training", "test"), sizes, strict=True
        )
        for count in counted[column].dropna().unique()
        if count != size
    ]


def _times(entry: _PrintedNetwork) -> list[dict[str, Any]]:
    """ms/image by the paper's protocol, and its reciprocal in images/s."""
    printed = entry.printed
    ms = [
        float(time) for time in keep_counted(entry.timed)["paper_ms_per_image"].dropna() if time > 0
    ]
    rates = [1000 / time for time in ms]
    # A time depends on the size of the images, not on their number.
    origin = _origin(entry.timed, _recipe(entry.chosen.latency))
    origin |= {"num_train": None, "num_test": None}
    shared = {**origin, "status": _timing_status(entry)}
    rows = [
        {
            "what": MS,
            "printed_text": f"{printed.ms_per_image:.4f}",
            **_compare(ms, printed.ms_per_image, POSITIVE),
            **shared,
        },
        {
            "what": RATE,
            "printed_text": f"{printed.images_per_second:.0f}",
            **_compare(rates, printed.images_per_second, POSITIVE),
            **shared,
        },
    ]
    return [{**r, "ratio": None if r["ours"] is None else r["ours"] / r["printed"]} for r in rows]


def _timing_status(entry: _PrintedNetwork) -> str:
    timed = entry.timed
    if entry.variant not in entry.study.variant_names:
        return ABSENT
    if not len(timed):
        return "this study does not time it"
    # Without the cells: the paper's figure is a separate measurement.
    problems = latency_status(timed, entry.cells.iloc[:0])
    if len(keep_counted(timed)) and keep_counted(timed)["paper_ms_per_image"].isna().all():
        problems.append("its protocol does not measure the paper's time")
    return "; ".join(problems) or "ok"


def _timing_differences(entry: _PrintedNetwork) -> list[str]:
    """Which of device, batch size and image size are not the paper's."""
    study, chosen, counted = entry.study, entry.chosen.latency, keep_counted(entry.timed)
    if chosen is None or not len(counted):
        return []
    differs = []
    if not all(
        re.search(rf"\b{paper_values.DEVICE}\b", name) for name in counted["device_name"].dropna()
    ):
        differs.append(f"on {join_devices(counted)}, not on a {paper_values.DEVICE}")
    # Imported latencies, like those of another device, have no protocol of this name.
    protocol = study.all_protocols.get(chosen.recipe)
    if protocol and protocol.paper_batch_size != BATCH_SIZE:
        differs.append(f"batch size {protocol.paper_batch_size} instead of {BATCH_SIZE}")
    side = known_side(study.dataset(chosen.dataset))
    if side is not None and side != SIDE:
        differs.append(f"images of {side} pixels instead of {SIDE}")
    return differs


def _params(entry: _PrintedNetwork) -> dict[str, Any]:
    text, count = entry.printed.params, entry.count
    row: dict[str, Any] = {
        "what": PARAMS,
        "printed_text": text,
        "printed": _printed_count(text),
        "ours": count,
    }
    if count is None:
        return {**row, "status": _no_count_status(entry)}
    covered = format_millions(count) == text
    return {
        **row,
        "difference": count - row["printed"],
        "covered": covered,
        "status": "ok" if covered else f"rounds to {format_millions(count)}, but {text} is printed",
    }


def _no_count_status(entry: _PrintedNetwork) -> str:
    if entry.variant not in entry.study.variant_names:
        return ABSENT
    problems = [
        *(training_status(entry.trained) if len(entry.trained) else []),
        *(latency_status(entry.timed, entry.cells.iloc[:0]) if len(entry.timed) else []),
    ]
    return "; ".join(problems) or "this study neither trains nor times it"


def _transfer_row(
    study: StudySpec, runs: pd.DataFrame, variant: str, recipe: str, percent: float
) -> dict[str, Any]:
    blocks = [b for b in study.finetune if recipe in b.recipes and variant in b.weights]
    experiment = Experiment("finetune", blocks[0].dataset, recipe) if blocks else None
    tuned = select_rows(runs, experiment, variant)
    row = {
        "table": "transfer",
        "variant": variant,
        "what": ACCURACY,
        "printed_text": f"{percent:.1f}",
        **_compare(list(accuracies_by_seed(tuned).values()), percent, PERCENT),
        **_origin(tuned, recipe),
        "status": _training_status(study, variant, tuned, f"fine-tune it with {recipe}"),
    }
    return _judge(row, _transfer_differences(study, blocks[0], tuned, variant) if blocks else [])


def _transfer_differences(
    study: StudySpec, block: FinetuneBlock, tuned: pd.DataFrame, variant: str
) -> list[str]:
    """Which of data and weights are not the paper's; the recipe is, by its built-in name."""
    differs = _size_differences(tuned, HOTDOG_SIZES)
    if getattr(study.dataset(block.dataset), "checksum", None) != HOTDOG_CHECKSUM:
        differs.insert(0, f"the data are {tuned['dataset_label'].iloc[0]}, not the D2L archive")
    weights = block.weights[variant]
    if weights.hub is None:
        differs.append(f"the weights are from {weights.file or weights.train}, not from the hub")
    return differs
