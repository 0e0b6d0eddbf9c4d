# Validate the study, expand its jobs, digest the code. No science here.
import json
import re
import shlex
from pathlib import Path

from snakemake.exceptions import WorkflowError


include: "package.smk"
include: "storage.smk"


def stamp_file(path):
    """(time in ns, size in bytes) of a file, or None where there is none."""
    return (path.stat().st_mtime_ns, path.stat().st_size) if path.is_file() else None


def show_path(file):
    """A config file as its user calls it, from the working directory."""
    path, here = Path(file), Path.cwd()
    return path.relative_to(here) if path.is_relative_to(here) else path


# What this run began with, in case that somebody edits it meanwhile.
CONFIG_FILES = [
    Path(file)
    for file in (
        *workflow.configfiles,
        config.get("variants"),
        config.get("claims"),
        config.get("imported"),
    )
    if isinstance(file, str | Path)
]
CONFIG_STAMPS = list(map(stamp_file, CONFIG_FILES))

try:
    if workflow.is_main_process or STORE:
        # Snakemake itself takes the last of two equal keys.
        for file in map(show_path, workflow.configfiles):
            read_yaml(file)
        STUDY = study_from_config(
            config, "config", [*map(show_path, workflow.configfiles)]
        )
    else:
        # A job on another machine is of the run that sent it, whatever the files say by now.
        STUDY = load_study(Path("results") / str(config["study"]) / "study.json")
    PATHS = STUDY.paths()
except UserError as error:
    raise WorkflowError(str(error)) from None

# Looked at here and not written to: Snakemake itself would end in a traceback.
for folder in (PATHS.root, *PATHS.root.parents):
    if folder.exists() and not folder.is_dir():
        raise WorkflowError(
            f"cannot write {PATHS.study}: {folder} is no folder. Move it away, then run the same command again"
        )

if STORE:
    check_storable(STUDY)
    if workflow.is_main_process:
        pull_records(PATHS)

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


def match_any(names):
    """A wildcard constraint: these names and no others. (?!) matches nothing."""
    return "|".join(sorted(map(re.escape, names))) or "(?!)"


wildcard_constraints:
    dataset=match_any(STUDY.own_datasets),
    recipe=match_any(
        {
            *STUDY.all_recipes,
            *STUDY.all_protocols,
            *(job.recipe for job in STUDY.own_jobs() if job.kind == "deploy"),
        }
    ),
    variant=match_any(variant.name for variant in STUDY.own_variants),
    hub=match_any(HUB_NAMES),
    digest="[0-9a-f]{12}",
    round="[0-9]+",


def count_gpus(wildcards):
    """GPUs that share each batch of a training. Of a search, all have as many as its recipe."""
    if not INSTALLED:
        return 1
    recipes = STUDY.all_recipes
    if wildcards.recipe in recipes:
        return recipes[wildcards.recipe].gpus
    return recipes[STUDY.search.recipe].gpus


def make_job(kind, wildcards, seed=0):
    return Job(kind, wildcards.dataset, wildcards.recipe, wildcards.variant, int(seed))


def logged(command):
    """The command of a rule with its log. Else what it writes would be in the way of the view.

    On a node, the scheduler keeps what it writes too, each attempt in a file of its own.
    """
    return in_store(
        f"{command} --log {{log:q}}"
        if workflow.remote_exec
        else f"{command} > {{log:q}} 2>&1"
    )


def name_study(command):
    """`command` with the study that it is about. As a parameter it would make a job of all studies run
    again for each of them.
    """
    file = shlex.quote(str(STUDY_FILE)).replace("{", "{{").replace("}", "}}")
    return f"{command} --study {file}"


def record_pattern(kind, seeds):
    """Record paths with the wildcards dataset, recipe and variant left open."""
    return [
        f"{RESULTS}/records/{kind}/{{dataset}}/{{recipe}}/{{variant}}/seed-{seed}.json"
        for seed in seeds
    ]


def side_file(folder, kind, ending):
    """A log or a benchmark beside the record that it belongs to."""
    return f"{RESULTS}/{folder}/{kind}/{{dataset}}/{{recipe}}/{{variant}}{ending}"


def shuffled(wildcards):
    """Priority: one round of all variants after the other, each in an order of its own.

    What drifts with time (heat, other users) then meets no variant more than the others.
    """
    text = f"{wildcards.round}/{wildcards.variant}"
    return 1000 * (1000 - int(wildcards.round)) + int(json_digest(text), 16) % 1000


# Records that are there, but are not what the study asks for now: job to reason.
REDO = {}
if INSTALLED and workflow.is_main_process and PATHS.records.exists():
    from resnest_bench.frames.redo import list_redo

    REDO = list_redo(STUDY, PATHS)


def list_jobs(kind, wildcards, seeds):
    """The jobs whose records are written together. `seeds`: None takes the wildcard's."""
    if seeds is None:
        seeds = [wildcards.get("seed", wildcards.get("round"))]
    return [make_job(kind, wildcards, number) for number in seeds]


def ageless(kind, files, seeds=None):
    """Input: `files`, whose age reruns nothing. `files` are paths, or a function of the wildcards.

    Only a job with nothing to do has them as ancient(). Snakemake never looks at a job whose inputs are
    all ancient and there while the job that makes them runs: what is missing there would stay missing.
    """

    def choose_input(wildcards):
        found = files(wildcards) if callable(files) else files
        return found if is_to_do(list_jobs(kind, wildcards, seeds)) else ancient(found)

    return choose_input


def is_to_do(jobs):
    return any(job in REDO or not Path(PATHS.record(job)).exists() for job in jobs)


def redo_files(kind, seeds=None):
    """Input: a new file that says why records are made anew; none where they are current or missing.

    It is newer than the records, and so their job runs. It goes with this process: the next one asks
    again. `seeds`: those of the rule's output; None takes the wildcard's.
    """

    def write_reason(wildcards):
        jobs = list_jobs(kind, wildcards, seeds)
        reasons = list(dict.fromkeys(REDO[job] for job in jobs if job in REDO))
        if not reasons:
            return []
        name = "-".join(map(str, [kind, *wildcards, *(job.seed for job in jobs)]))
        file = workflow.snakemake_tmp_dir / "redo" / f"{name}.redo"
        if not file.exists():
            file.parent.mkdir(exist_ok=True)
            file.write_text("; ".join(reasons))
        # It is of this machine, also where all other files are in a store.
        return [local(str(file)) if STORE else str(file)]

    return write_reason


def prepared(kind, seeds=None):
    """Input: the arrays of a dataset. Where they stay as they are, their age reruns nothing.

    Where they are prepared again, they may become others: then each job looks, and keeps what is current.
    """

    def choose_input(wildcards):
        file = str(STUDY.prepared(wildcards.dataset) / "meta.json")
        if not is_prepared(STUDY, wildcards.dataset):
            return file
        return ageless(kind, file, seeds)(wildcards)

    return choose_input


def records_of_config():
    own = [str(PATHS.record(job)) for job in STUDY.own_jobs()]
    # Nothing makes these: where one is gone, the tables say so.
    imported = map(PATHS.record, STUDY.imported_jobs())
    return own + [str(path) for path in imported if path.exists()]


def records_of_study():
    """Input of a rule: all records, with those that looks or the rounds of a search ask for."""
    if STUDY.search:
        return records_with_rounds
    return records_with_looks if STUDY.adaptive else records_of_config()


def finetune_sources(wildcards):
    """Records of the trainings that a fine-tuning starts from, if they are of this study."""
    sources = [
        STUDY.source_job(make_job("finetune", wildcards, seed)) for seed in STUDY.seeds
    ]
    return [str(PATHS.record(source)) for source in sources if source]


def deploy_sources(wildcards):
    """Records of the trainings whose weights a deployment takes."""
    jobs = [make_job("deploy", wildcards, seed) for seed in STUDY.seeds]
    return [str(PATHS.record(STUDY.source_job(job))) for job in jobs]


def teachers(wildcards):
    """Records of the trainings that a training is distilled from."""
    seeds = [wildcards.seed] if "seed" in wildcards.keys() else STUDY.seeds
    found = [STUDY.teacher_job(make_job("train", wildcards, seed)) for seed in seeds]
    return [str(PATHS.record(teacher)) for teacher in found if teacher]


def hub_weights(name):
    return str(DataPaths(Path(STUDY.data_dir)).hub_weights(name))


def finetune_weights(wildcards):
    """The downloaded file that a fine-tuning starts from, if it is one of the hub's."""
    weights = STUDY.weights(make_job("finetune", wildcards))
    return [hub_weights(weights.hub)] if weights and weights.hub else []
