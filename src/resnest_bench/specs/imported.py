"""Results from elsewhere, or of further test sets, as part of a study (floor 1): networks, data and jobs."""

import functools
from collections.abc import Collection, Mapping
from typing import Any

from pydantic import Field, model_validator

from resnest_bench.paths import Experiment, Job, group_variants
from resnest_bench.specs.adaptive import Extendable
from resnest_bench.specs.base import Name, check_known
from resnest_bench.specs.blocks import ImportedBlock
from resnest_bench.specs.data import DatasetSpec, ImportedDataset
from resnest_bench.specs.variants import ImportedVariant, VariantSpec


class WithImports(Extendable):
    """The part of a study whose records `resnest-bench import` has made."""

    variants: tuple[VariantSpec, ...]
    datasets: dict[Name, DatasetSpec]
    imported: tuple[ImportedBlock, ...] = Field(
        default=(),
        description="Path of the YAML list that `resnest-bench import` and `evaluate` write, or the list itself: "
        "results from elsewhere (docs/import.md) and of further test sets (docs/deploy.md)",
    )

    @model_validator(mode="before")
    @classmethod
    def _add_names(cls, values: Any) -> Any:
        """Networks and data that only imported results have need no entry of their own."""
        blocks = values.get("imported") if isinstance(values, dict) else None
        if not isinstance(blocks, list | tuple):
            return values
        given = [_as_mapping(block) for block in blocks]
        names = [name for block in given for name in _as_mapping(block.get("seeds"))]
        datasets = [block["dataset"] for block in given if isinstance(block.get("dataset"), str)]
        variants, known = values.get("variants") or (), values.get("datasets") or {}
        if not isinstance(variants, list | tuple) or not isinstance(known, Mapping):
            return values
        listed = {_as_mapping(variant).get("name") for variant in variants}
        new = [name for name in dict.fromkeys(names) if name not in listed]
        return {
            **values,
            "variants": [*variants, *({"name": name, "family": "imported"} for name in new)],
            "datasets": {
                **known,
                **{name: {"source": "imported"} for name in datasets if name not in known},
            },
        }

    def jobs(self) -> list[Job]:
        raise NotImplementedError

    def own_jobs(self) -> list[Job]:
        """The jobs that the workflow runs."""
        return [job for job in self.jobs() if not self.is_imported(job)]

    @property
    def own_variants(self) -> list[VariantSpec]:
        """Without those of which only results are known."""
        return [one for one in self.variants if not isinstance(one, ImportedVariant)]

    @property
    def own_datasets(self) -> dict[str, DatasetSpec]:
        """Without those of which only results are known: the others have images."""
        every = self.datasets.items()
        return {name: spec for name, spec in every if not isinstance(spec, ImportedDataset)}

    def imported_blocks(self, kind: str) -> list[ImportedBlock]:
        return [block for block in self.imported if block.kind == kind]

    def imported_jobs(self) -> list[Job]:
        """The jobs of imported results: nothing runs for them."""
        return list(self._imported_jobs)

    @functools.cached_property
    def _imported_jobs(self) -> dict[Job, ImportedBlock]:
        return {
            Job(block.kind, block.dataset, block.recipe, variant, seed): block
            for block in self.imported
            for variant, seeds in block.seeds.items()
            for seed in seeds
        }

    def is_imported(self, job: Job) -> bool:
        """Whether the job's record was imported."""
        return job in self._imported_jobs

    def device_protocol(self, job: Job) -> str | None:
        """The protocol of a latency that a bundle measured on another device; None for any other job."""
        block = self._imported_jobs.get(job)
        return block.own_protocol if block else None

    @functools.cached_property
    def variants_by_experiment(self) -> dict[Experiment, tuple[str, ...]]:
        """The variants of each experiment, both in the order of the jobs."""
        return group_variants(self.jobs())

    @functools.cached_property
    def imported_experiments(self) -> tuple[Experiment, ...]:
        """Every (kind, dataset, recipe) of imported results."""
        every = (Experiment(block.kind, block.dataset, block.recipe) for block in self.imported)
        return tuple(dict.fromkeys(every))


def _as_mapping(value: Any) -> Mapping[str, Any]:
    if isinstance(value, Mapping):
        return value
    return value.model_dump() if hasattr(value, "model_dump") else {}


def check_runnable(where: str, name: str, variants: Mapping[str, VariantSpec]) -> None:
    """Raise ValueError for a name that is none of `variants`, or of which only results are known."""
    check_known(where, name, variants)
    if isinstance(variants[name], ImportedVariant):
        raise ValueError(
            f"{where}: of {name} only imported results are known, so that it can't be run: remove it here, or "
            "give the network another name under variants"
        )


def check_imports(
    blocks: tuple[ImportedBlock, ...],
    variants: Mapping[str, VariantSpec],
    datasets: Mapping[str, DatasetSpec],
    own: Mapping[str, str],
    trained: Collection[tuple[str, str, str]],
    is_adaptive: bool,
    protocols: Collection[str],
) -> None:
    """Raise ValueError where imported results and what a study runs are mixed up.

    `own` maps the place of each block that runs something to its dataset. `trained` has (dataset, recipe,
    variant) of every training and fine-tuning of the study. A bundle's latencies are of the study's own
    networks, by one of its `protocols`, and need no seeds.
    """
    for index, block in enumerate(blocks):
        if block.own_protocol is not None:
            check_known(f"imported[{index}].own_protocol", block.own_protocol, protocols)
    if is_adaptive and any(block.own_protocol is None for block in blocks):
        raise ValueError(
            "adaptive: no seeds can be added to imported results: remove adaptive, or imported"
        )
    for where, name in own.items():
        if isinstance(datasets[name], ImportedDataset):
            raise ValueError(
                f"{where}.dataset: {name} has source imported and so no images, but a {where[:-3]} block "
                "needs some: describe the data under datasets, or remove the block"
            )
    for index, block in enumerate(blocks):
        if block.trained_on is not None:
            _check_evaluated(f"imported[{index}]", block, datasets, trained)
            continue
        for name in block.seeds if block.own_protocol is None else ():
            if not isinstance(variants[name], ImportedVariant):
                raise ValueError(
                    f"imported[{index}].seeds: {name} must be of family imported, but is of family "
                    f"{variants[name].family}: import the results under another name"
                )


def _check_evaluated(
    where: str,
    block: ImportedBlock,
    datasets: Mapping[str, DatasetSpec],
    trained: Collection[tuple[str, str, str]],
) -> None:
    """Raise ValueError unless these are networks of the study, on data that no training of it uses."""
    if not isinstance(datasets[block.dataset], ImportedDataset):
        raise ValueError(
            f"{where}.dataset: {block.dataset} must be a further test set, but is data of this study: give the test set "
            "another name"
        )
    for name in block.seeds:
        if block.kind != "train" or (block.trained_on, block.recipe, name) not in trained:
            raise ValueError(
                f"{where}.seeds: {name} must be trained by this study on {block.trained_on} by {block.recipe}, but is "
                "not: remove it here, or train it"
            )
