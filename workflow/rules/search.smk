# Settings that a study looks for, round after round. A study without a search block has none of this.
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
            gpu=count_gpus,
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
