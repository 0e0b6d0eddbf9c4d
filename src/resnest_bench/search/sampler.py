"""Optuna's samplers. Each round begins with a sampler seeded for it, and tells it all earlier trials.

So nothing but the rounds' files and the records is kept, and a search that was killed goes on with the same
trials.
"""

import json
import warnings
from collections.abc import Mapping, Sequence
from typing import Any

from pydantic import JsonValue

from resnest_bench.digests import json_digest
from resnest_bench.errors import UserError
from resnest_bench.search.results import TrialResult
from resnest_bench.specs.search import ACCURACY, RangeSpec, SearchSpec
from resnest_bench.specs.search_space import expand_space, list_grid
from resnest_bench.specs.variants import VariantSpec

MOST_STARTUP_TRIALS = 10


def load_optuna() -> Any:
    """Return the module `optuna`. Raises UserError, with the extra, if it is missing."""
    try:
        import optuna
    except ImportError as error:
        raise UserError(
            "a search needs Optuna, which is not installed: run `pip install 'resnest-bench[search]'`, or `pip install "
            "optuna`"
        ) from error
    return optuna


class FamilySampler:
    """Proposes settings for one family in one round. Raises UserError if Optuna is missing."""

    def __init__(
        self,
        search: SearchSpec,
        base: VariantSpec,
        number: int,
        past: Sequence[TrialResult],
        epochs: int,
    ) -> None:
        optuna = load_optuna()
        # Experimental options and steps that don't divide their range: our rules and tests know of them.
        warnings.simplefilter("ignore", optuna.exceptions.ExperimentalWarning)
        optuna.logging.set_verbosity(optuna.logging.ERROR)
        self.optuna, self.search = optuna, search
        space = search.space_for(base.name)
        self.grid = (
            {key: list(map(_encode, v)) for key, v in list_grid(space, base).items()}
            if search.sampler == "grid"
            else {}
        )
        self.dimensions = expand_space(space, base)
        self.distributions = {
            key: self._distribution(key, dimension) for key, dimension in self.dimensions.items()
        }
        # A grid is walked in one order; the others draw anew in each round.
        seed = [search.seed, base.name, 0 if self.grid else number]
        self.sampler = self._make_sampler(int(json_digest(seed)[:8], 16))
        directions = ["maximize" if one == ACCURACY else "minimize" for one in search.objectives]
        self.study = optuna.create_study(sampler=self.sampler, directions=directions)
        for result in past:
            self.study.add_trial(self._frozen(result, epochs))

    def _distribution(self, key: str, dimension: tuple[JsonValue, ...] | RangeSpec) -> Any:
        kinds = self.optuna.distributions
        if key in self.grid:
            return kinds.CategoricalDistribution(self.grid[key])
        if not isinstance(dimension, RangeSpec):
            return kinds.CategoricalDistribution(list(map(_encode, dimension)))
        if dimension.is_whole:
            step = int(dimension.step or 1)
            high = dimension.high - (dimension.high - dimension.low) % step
            return kinds.IntDistribution(int(dimension.low), int(high), dimension.log, step)
        values = dimension.list_values()
        high = values[-1] if values else dimension.high
        return kinds.FloatDistribution(
            float(dimension.low), float(high), dimension.log, step=dimension.step
        )

    def _make_sampler(self, seed: int) -> Any:
        search, samplers = self.search, self.optuna.samplers
        if search.sampler == "grid":
            return samplers.GridSampler(self.grid, seed=seed)
        if search.sampler == "random":
            return samplers.RandomSampler(seed=seed)
        if search.sampler == "nsga2":
            # A round is a generation.
            return samplers.NSGAIISampler(seed=seed, population_size=search.trials_per_round)
        budget = search.budget.trainings or 4 * MOST_STARTUP_TRIALS
        startup = max(search.trials_per_round, min(MOST_STARTUP_TRIALS, budget // 4))
        return samplers.TPESampler(seed=seed, n_startup_trials=startup, constant_liar=True)

    def _frozen(self, result: TrialResult, epochs: int) -> Any:
        """A trial as Optuna has it. A failed one counts as the worst, so that the sampler avoids it."""
        state = self.optuna.trial.TrialState
        trial, steps = result.trial, {}
        params = {key: self._encode(key, value) for key, value in trial.settings.items()}
        if result.status == "skipped":
            kind, values = state.FAIL, None
        elif result.accuracy is None or result.status == "failed":
            kind, values = state.COMPLETE, self._worst()
        else:
            kind, values = state.COMPLETE, [result.accuracy]
            if len(self.search.objectives) == 2:
                values = [result.accuracy, result.latency_ms or float("inf")]
            elif result.epochs < epochs:
                kind, steps = state.PRUNED, {result.epochs: result.accuracy}
        noted: dict[str, Any] = dict(trial.sampler)
        if self.grid:
            noted["search_space"] = self.grid
        return self.optuna.trial.create_trial(
            state=kind,
            params=params,
            distributions=self.distributions,
            values=values,
            intermediate_values=steps,
            system_attrs=noted,
        )

    def _worst(self) -> list[float]:
        return [0.0 if one == ACCURACY else float("inf") for one in self.search.objectives]

    def _encode(self, key: str, value: Any) -> Any:
        categorical = key in self.grid or not isinstance(self.dimensions[key], RangeSpec)
        return _encode(value) if categorical else value

    def _decode(self, key: str, value: Any) -> Any:
        categorical = key in self.grid or not isinstance(self.dimensions[key], RangeSpec)
        return json.loads(value) if categorical else value

    @property
    def is_exhausted(self) -> bool:
        """Whether a grid has no point left."""
        return bool(self.grid) and self.sampler.is_exhausted(self.study)

    def ask(self) -> tuple[dict[str, JsonValue], Mapping[str, JsonValue]]:
        """Return new settings, and what Optuna notes of them."""
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            trial = self.study.ask(self.distributions)
        settings = {key: self._decode(key, trial.params[key]) for key in self.dimensions}
        noted = self.study.get_trials(deepcopy=False)[trial.number].system_attrs
        self._asked = trial
        return settings, {key: v for key, v in noted.items() if isinstance(v, int)}

    def reject(self) -> None:
        """Tell the sampler that the last settings are invalid."""
        self.study.tell(self._asked, state=self.optuna.trial.TrialState.FAIL)


def _encode(value: Any) -> str:
    """Choices as text: Optuna's may not be lists or mappings, and 1, 1.0 and true are equal in Python."""
    return json.dumps(value, sort_keys=True)
