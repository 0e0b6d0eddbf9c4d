# Validate the study, expand its jobs, digest the code. No science here.
import json
import re
from pathlib import Path

from snakemake.exceptions import WorkflowError

from resnest_bench import records
from resnest_bench.digests import code_digest, digest_of
from resnest_bench.errors import UserError
from resnest_bench.paths import DataPaths, Job
from resnest_bench.specs import dump_study, study_from_config

try:
    STUDY = study_from_config(config, "config")
    PATHS = STUDY.paths()
    # The jobs read the study as it was merged from files and command line, not the files.
    if not PATHS.study.exists() or PATHS.study.read_text() != dump_study(STUDY):
        records.write_text(PATHS.study, dump_study(STUDY))
except UserError as error:
    raise WorkflowError(str(error)) from None

RESULTS = PATHS.root
STUDY_FILE = str(PATHS.study)
# All that Snakemake may use here: a latency takes them, so that nothing else runs beside it.
# (workflow.cores would refuse to draw a graph without --cores.)
ALL_CORES = workflow.resource_settings.cores or 1
DATA_CHECKED = f"{RESULTS}/data.checked"
# The environment that `make env` makes, from conda instead: for --software-deployment-method conda.
CONDA = "../../environment.yml"


# What fine-tunings start from and the internet has.
HUB_NAMES = sorted(
    {w.hub for block in STUDY.finetune for w in block.weights.values() if w.hub}
)


def any_of(names):
    """A wildcard constraint: these names and no others. (?!) matches nothing."""
    return "|".join(sorted(map(re.escape, names))) or "(?!)"


wildcard_constraints:
    dataset=any_of(STUDY.datasets),
    recipe=any_of({*STUDY.all_recipes, *STUDY.all_protocols}),
    variant=any_of(STUDY.variant_names),
    hub=any_of(HUB_NAMES),
    digest="[0-9a-f]{12}",
    round="[0-9]+",


def job_of(kind, wildcards, seed=0):
    return Job(kind, wildcards.dataset, wildcards.recipe, wildcards.variant, int(seed))


def record_pattern(kind, seeds):
    """Record paths with the wildcards dataset, recipe and variant left open."""
    return [
        f"{RESULTS}/records/{kind}/{{dataset}}/{{recipe}}/{{variant}}/seed-{seed}.json"
        for seed in seeds
    ]


def side_file(folder, kind, ending):
    """A log or a benchmark beside the record that it belongs to."""
    return f"{RESULTS}/{folder}/{kind}/{{dataset}}/{{recipe}}/{{variant}}{ending}"


def row(kind):
    """Params: the variant's row and all else that decides its result, and nothing of the others."""
    return lambda wildcards: json.dumps(
        STUDY.job_spec(job_of(kind, wildcards)), sort_keys=True
    )


def shuffled(wildcards):
    """Priority: one round of all variants after the other, each in an order of its own.

    What drifts with time (heat, other users) then meets no variant more than the others.
    """
    text = f"{wildcards.round}/{wildcards.variant}"
    return 1000 * (1000 - int(wildcards.round)) + int(digest_of(text), 16) % 1000


def training_code(kind):
    """Params: the code's digest, if the study wants trainings to follow it. Else they turn stale."""
    return code_digest(kind) if STUDY.rerun_on_code_change else "records turn stale"


def prepared(wildcards):
    return str(STUDY.prepared(wildcards.dataset) / "meta.json")


def records_of_config():
    return [str(PATHS.record(job)) for job in STUDY.jobs()]


def records_of_study():
    """Input of a rule: all records, and of an adaptive study those that its looks ask for."""
    return records_with_looks if STUDY.adaptive else records_of_config()


def finetune_sources(wildcards):
    """Records of the trainings that a fine-tuning starts from, if they are of this study."""
    sources = [
        STUDY.source_job(job_of("finetune", wildcards, seed)) for seed in STUDY.seeds
    ]
    return [str(PATHS.record(source)) for source in sources if source]


def hub_weights(name):
    return str(DataPaths(Path(STUDY.data_dir)).hub_weights(name))


def finetune_weights(wildcards):
    """The downloaded file that a fine-tuning starts from, if it is one of the hub's."""
    weights = STUDY.weights(job_of("finetune", wildcards))
    return [hub_weights(weights.hub)] if weights and weights.hub else []
