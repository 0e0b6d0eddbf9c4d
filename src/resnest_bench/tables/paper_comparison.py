"""The paper's printed figures beside ours: every printed row, and whether they can be compared."""

import re
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Any

import pandas as pd

from resnest_bench.formats import millions
from resnest_bench.frames.fresh import keep_counted
from resnest_bench.frames.typed import make_frame
from resnest_bench.paths import Experiment
from resnest_bench.specs import RECIPES, StudySpec
from resnest_bench.specs.study import FinetuneBlock
from resnest_bench.specs.tables import TableSpec
from resnest_bench.stats.summary import PERCENT, POSITIVE, Bounds, mean_ends, summarise
from resnest_bench.tables import paper_values
from resnest_bench.tables.selection import Selection, select, select_rows
from resnest_bench.tables.values import by_seed, devices_text, latency_status, training_status

# What a reader of any printed figure has to know. Captions and pages show these sentences.
PRINTED_FACTS = (
    "The paper's ms is 1000 / (images per second) in every row but that of EfficientNet-b0 (0.1450 "
    "printed, 0.1500 computed): a latency was never measured.",
    "The paper prints one network twice: ResNeSt-14-2s1x64d and ResNeSt-14 are the same, at 62.64 and "
    "61.68 %, and at 6471 and 5530 images/s.",
    "The paper prints one figure a row, without a number of runs or a spread. At 62 % on 10,000 test "
    "images the binomial standard error alone is 0.49 points.",
    "The paper gives no learning rate: that of paper20, 0.1 at batch 256 with a cosine, is our choice.",
    "The paper's parameters are ours, rounded, in every row but that of ResNet-14-0s1x64d: 8.03M "
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
ABSENT = "this study does not have it"


def paper_table(study: StudySpec, runs: pd.DataFrame, cells: pd.DataFrame) -> pd.DataFrame:
    """One row for each printed figure: (table, variant, what), whether the study has it or not.

    `runs` is from `collect`, `cells` from `cells_frame`. `what` names quantity and unit: accuracy in %,
    ms/image and images/s by the paper's protocol are means over `n` seeds or rounds, which `our_values`
    lists, with the ends of their 95 % interval (`mean_ends`); parameters are a count. `difference` is ours minus printed, in that unit;
    `ratio`, of times and rates, is ours over printed. The experiment is that of the study's table of
    the same name.

    `covered`: that interval holds the printed value, or the count rounds to the printed text; NA where
    there is neither. The paper prints one run, which may well lie outside the interval of a mean:
    `run_low`, `run_high` and `run_covered` are of the 95 % prediction interval of one more run of ours.

    `comparable`: data, recipe, network and device are the paper's, NA without a value of ours;
    `differs` names what is not. `status` is 'ok' or says what is missing or wrong.
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
    """One row of the paper's first two tables, and what a study has of it."""

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
        """Parameters as the records say, those of trainings first."""
        counts = pd.concat(
            [keep_counted(rows)["num_params"] for rows in (self.trained, self.timed)]
        )
        known = counts.dropna()
        return int(known.iloc[0]) if len(known) else None

    def rows(self) -> list[dict[str, Any]]:
        """Accuracy, ms/image, images/s and parameters."""
        network = _network_difference(self.count, self.printed.params)
        trained = [network, *_training_differences(self)]
        timed = [network, *_timing_differences(self)]
        found = [
            _judged(_accuracy(self), trained),
            *(_judged(row, timed) for row in _times(self)),
            _judged(_params(self), [network]),
        ]
        named = {"table": self.table, "variant": self.variant}
        return [{**row, **named, "status": _joined(network, row["status"])} for row in found]


def _joined(network: str, status: str) -> str:
    """`status`, after what is wrong with the network itself."""
    if not network:
        return status
    return f"same name, {network}" + ("" if status == "ok" else f"; {status}")


def _judged(row: dict[str, Any], differences: Sequence[str]) -> dict[str, Any]:
    """`row` with whether ours can be compared with the printed value, and what stands against it."""
    known = row["ours"] is not None
    found = [text for text in differences if text] if known else []
    return {**row, "comparable": not found if known else None, "differs": "; ".join(found)}


def _network_difference(count: int | None, printed: str) -> str:
    """Empty unless the count is off by a unit of the printed last digit, 0.01 million, or more."""
    if count is None or abs(count - _printed_count(printed)) < 10_000:
        return ""
    return f"another network: {count:,} parameters, the paper's has {printed}"


def _printed_count(text: str) -> float:
    return 1e6 * float(text.removesuffix("M"))


def _compared(values: Sequence[float], printed: float, bounds: Bounds) -> dict[str, Any]:
    """Mean of ours with its two intervals, and its difference to the printed value, in their unit."""
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
    # t s sqrt(1 + 1/n), where the mean's own half is t s / sqrt(n).
    run_low, run_high = mean_ends(ours.mean, ours.std * (ours.n + 1) ** 0.5, ours.n, bounds)
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
        **_compared(list(by_seed(entry.trained).values()), printed, PERCENT),
        **_origin(entry.trained, _recipe(entry.chosen.training)),
        "status": _training_status(entry.study, entry.variant, entry.trained, "train it"),
    }


def _recipe(experiment: Experiment | None) -> str | None:
    return experiment and experiment.recipe


def _origin(rows: pd.DataFrame, recipe: str | None) -> dict[str, Any]:
    used = keep_counted(rows)
    known = {name: used[name].dropna() for name in ("num_train", "num_test")}
    return {
        "recipe": recipe,
        "device": devices_text(used),
        "data": rows["dataset_label"].iloc[0] if len(rows) else None,
        **{name: int(sizes.iloc[0]) if len(sizes) else None for name, sizes in known.items()},
    }


def _training_status(study: StudySpec, variant: str, rows: pd.DataFrame, doing: str) -> str:
    if variant not in study.variant_names:
        return ABSENT
    if not len(rows):
        return f"this study does not {doing}"
    return "; ".join(training_status(rows)) or "ok"


def _training_differences(entry: _PrintedNetwork) -> list[str]:
    """What of data, recipe and dropout is not the paper's."""
    study, chosen, trained = entry.study, entry.chosen.training, entry.trained
    if chosen is None or not len(trained):
        return []
    found = _size_differences(trained, CIFAR_SIZES)
    if study.dataset(chosen.dataset).source != "cifar10":
        found.insert(0, f"data are {trained['dataset_label'].iloc[0]}, not CIFAR-10's archive")
    recipe = study.recipe(chosen.recipe)
    if recipe != RECIPES[RECIPE]:
        found.append(f"recipe {chosen.recipe} instead of {RECIPE}")
    dropout = study.variant(entry.variant).dropout
    dropout = recipe.dropout if dropout is None else dropout
    return found + [f"dropout {dropout:g} instead of {DROPOUT}"] * (dropout != DROPOUT)


def _size_differences(rows: pd.DataFrame, sizes: tuple[int, int]) -> list[str]:
    """'5,000 training images instead of 50,000', for training and for test images."""
    used = keep_counted(rows)
    return [
        f"{int(count):,} {part} images instead of {size:,}"
        for column, part, size in zip(
            ("num_train", "num_test"), ("training", "test"), sizes, strict=True
        )
        for count in used[column].dropna().unique()
        if count != size
    ]


def _times(entry: _PrintedNetwork) -> list[dict[str, Any]]:
    """ms/image by the paper's protocol, and its reciprocal in images/s."""
    printed = entry.printed
    ms = [
        float(time) for time in keep_counted(entry.timed)["paper_ms_per_image"].dropna() if time > 0
    ]
    rates = [1000 / time for time in ms]
    # A time is of images of a size, not of a set of them.
    origin = _origin(entry.timed, _recipe(entry.chosen.latency))
    origin |= {"num_train": None, "num_test": None}
    shared = {**origin, "status": _timing_status(entry)}
    rows = [
        {
            "what": MS,
            "printed_text": f"{printed.ms_per_image:.4f}",
            **_compared(ms, printed.ms_per_image, POSITIVE),
            **shared,
        },
        {
            "what": RATE,
            "printed_text": f"{printed.images_per_second:.0f}",
            **_compared(rates, printed.images_per_second, POSITIVE),
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
    # No cell: the paper's figure is a measurement of its own, whatever became of the others.
    problems = latency_status(timed, entry.cells.iloc[:0])
    if len(keep_counted(timed)) and keep_counted(timed)["paper_ms_per_image"].isna().all():
        problems.append("its protocol leaves out the paper's time")
    return "; ".join(problems) or "ok"


def _timing_differences(entry: _PrintedNetwork) -> list[str]:
    """What of device, batch size and image size is not the paper's."""
    study, chosen, used = entry.study, entry.chosen.latency, keep_counted(entry.timed)
    if chosen is None or not len(used):
        return []
    found = []
    if not all(
        re.search(rf"\b{paper_values.DEVICE}\b", name) for name in used["device_name"].dropna()
    ):
        found.append(f"on {devices_text(used)}, not a {paper_values.DEVICE}")
    batch_size = study.protocol(chosen.recipe).paper_batch_size
    if batch_size != BATCH_SIZE:
        found.append(f"batches of {batch_size} instead of {BATCH_SIZE}")
    side = getattr(study.dataset(chosen.dataset), "image_size", SIDE)
    return found + [f"images of {side} pixels instead of {SIDE}"] * (side != SIDE)


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
    covered = millions(count) == text
    return {
        **row,
        "difference": count - row["printed"],
        "covered": covered,
        "status": "ok" if covered else f"rounds to {millions(count)}, printed is {text}",
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
        **_compared(list(by_seed(tuned).values()), percent, PERCENT),
        **_origin(tuned, recipe),
        "status": _training_status(study, variant, tuned, f"fine-tune it by {recipe}"),
    }
    return _judged(row, _transfer_differences(study, blocks[0], tuned, variant) if blocks else [])


def _transfer_differences(
    study: StudySpec, block: FinetuneBlock, tuned: pd.DataFrame, variant: str
) -> list[str]:
    """What of data and weights is not the paper's; the recipe is, by its built-in name."""
    found = _size_differences(tuned, HOTDOG_SIZES)
    if getattr(study.dataset(block.dataset), "checksum", None) != HOTDOG_CHECKSUM:
        found.insert(0, f"data are {tuned['dataset_label'].iloc[0]}, not the D2L archive")
    weights = block.weights[variant]
    if weights.hub is None:
        found.append(f"weights are those of {weights.file or weights.train}, not the hub's")
    return found
