# Seeds that are added while a claim is undecided. A study without an adaptive block has none of this.
from resnest_bench.specs.looks import read_look

ADDED_SEEDS = (
    [seed for step in STUDY.adaptive.steps(STUDY.seeds) for seed in step]
    if STUDY.adaptive
    else []
)


def records_of_look(number):
    """What look `number` decided, and the records that it asks for; waits until it was taken."""
    file = Path(checkpoints.decide.get(look=number).output[0])
    try:
        look = read_look(file)
    except UserError as error:
        raise WorkflowError(str(error)) from None
    return look, [str(PATHS.record(job)) for job in look.jobs]


def records_with_looks(wildcards):
    """All records of the study, followed from look to look until one says that it is the last."""
    wanted, number, ended = records_of_config(), 0, False
    while not ended:
        look, more = records_of_look(number)
        wanted += more
        number, ended = number + 1, bool(look.stop)
    return wanted


def before_look(wildcards):
    """What a look is at: the study's records; or the look before it with what that one asked for."""
    number = int(wildcards.look)
    if number == 0:
        return records_of_config()
    return [str(PATHS.look(number - 1)), *records_of_look(number - 1)[1]]


if STUDY.adaptive:

    checkpoint decide:
        """Say which claims are decided, and which seeds the others get next."""
        input:
            before_look,
        output:
            f"{RESULTS}/adaptive/look-{{look}}.json",
        log:
            f"{RESULTS}/logs/adaptive/look-{{look}}.log",
        wildcard_constraints:
            look="[0-9]+",
        localrule: True
        conda:
            CONDA
        params:
            study=STUDY_FILE,
            # No digest of the code: a decision that was taken stands. Else what was asked of it, and
            # records that were made anew, would be looked at once more.
            asked=digest_of(
                {key: STUDY.as_dict()[key] for key in ("claims", "adaptive")}
            ),
        shell:
            "resnest-bench plan --decide --study {params.study:q} --look {wildcards.look:q}"
            " --json {output:q} --log {log:q}"

    rule train_more:
        """Train one variant with one seed that a look asked for."""
        input:
            data=prepared,
            checked=ancient(DATA_CHECKED),
        output:
            record_pattern("train", ["{seed}"]),
        log:
            side_file("logs", "train", "-seed-{seed}.log"),
        benchmark:
            side_file("benchmarks", "train", "-seed-{seed}.tsv")
        wildcard_constraints:
            seed=any_of(map(str, ADDED_SEEDS)),
        conda:
            CONDA
        resources:
            gpu=1,
            mem_mb=16000,
            runtime=720,
        params:
            study=STUDY_FILE,
            spec=row("train"),
            keep=lambda wildcards: STUDY.keeps_weights(job_of("train", wildcards)),
            code=training_code("train"),
        shell:
            "resnest-bench train --study {params.study:q} --dataset {wildcards.dataset:q} --recipe {wildcards.recipe:q}"
            " --variant {wildcards.variant:q} --seeds {wildcards.seed:q} --log {log:q}"
