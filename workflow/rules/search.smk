# Settings that a study looks for, round after round. A study without a search block has none of this.
def records_of_round(number):
    """What round `number` decided, and the records that it asks for; waits until it was decided."""
    file = Path(checkpoints.propose.get(number=number).output[0])
    try:
        one = read_round(file)
        return one, [str(PATHS.record(job)) for job in round_jobs(STUDY, one)]
    except UserError as error:
        raise WorkflowError(str(error)) from None


def before_round(wildcards):
    """What a round is decided from: the one before it with what that one asked for; nothing at first."""
    number = int(wildcards.number)
    if number == 0:
        return []
    return [str(PATHS.search_round(number - 1)), *records_of_round(number - 1)[1]]


def records_with_rounds(wildcards):
    """All records of the study: its own, those of trials, and those of the finalists."""
    wanted, number, ended = records_of_config(), 0, False
    while not ended:
        one, more = records_of_round(number)
        wanted += more
        number, ended = number + 1, bool(one.stop)
    found = extend_by_search(STUDY, read_rounds(STUDY, PATHS))
    own = set(STUDY.jobs())
    return wanted + [str(PATHS.record(job)) for job in found.jobs() if job not in own]


if STUDY.search:
    SEARCH = STUDY.search
    # Trials of any number of epochs, and finalists.
    SEARCH_RECIPES = rf"{re.escape(SEARCH.name)}(-trials(-\d+)?)?"
    # FAMILY-tuned-t007 of a trial, FAMILY-tuned or FAMILY-tuned-2 of a finalist.
    SEARCH_NETWORKS = (
        rf"({match_any(SEARCH.family_names)})-{re.escape(SEARCH.name)}(-t?\d+)?"
    )

    checkpoint propose:
        """Say which trials come next, from the validation accuracies so far."""
        input:
            before_round,
        output:
            f"{RESULTS}/search/round-{{number}}.json",
        log:
            f"{RESULTS}/logs/search/round-{{number}}.log",
        wildcard_constraints:
            number="[0-9]+",
        localrule: True
        conda:
            CONDA
        params:
            study=STUDY_FILE,
            # No digest of the code: what was decided stands, as in rules/adaptive.smk.
            asked=search_digest(STUDY),
        shell:
            "resnest-bench search --study {params.study:q} --round {wildcards.number:q}"
            " --json {output:q} > {log:q} 2>&1"

    rule trial:
        """Train a trial, or a finalist with one seed of the study."""
        input:
            data=prepared("train"),
            checked=ageless("train", DATA_CHECKED),
            redo=redo_files("train"),
        output:
            update(record_pattern("train", ["{seed}"])),
        log:
            side_file("logs", "train", "-seed-{seed}.log"),
        benchmark:
            side_file("benchmarks", "train", "-seed-{seed}.tsv")
        wildcard_constraints:
            recipe=SEARCH_RECIPES,
            variant=SEARCH_NETWORKS,
            seed=match_any(map(str, [SEARCH.seed, *STUDY.seeds])),
        conda:
            CONDA
        resources:
            gpu=1,
            mem_mb=16000,
            runtime=720,
        params:
            study=STUDY_FILE,
        shell:
            logged(
                "resnest-bench train --study {params.study:q} --dataset {wildcards.dataset:q} --recipe {wildcards.recipe:q}"
                " --variant {wildcards.variant:q} --seeds {wildcards.seed:q}"
            )

    use rule latency as time_trial with:
        wildcard_constraints:
            variant=SEARCH_NETWORKS,
