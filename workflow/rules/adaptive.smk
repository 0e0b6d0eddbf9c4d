# Seeds that are added while a claim is undecided. A study without an adaptive block has none of this.
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
            asked=json_digest(
                {key: STUDY.as_dict()[key] for key in ("claims", "adaptive")}
            ),
        shell:
            "resnest-bench plan --decide --study {params.study:q} --look {wildcards.look:q}"
            " --json {output:q} > {log:q} 2>&1"

    rule train_more:
        """Train one variant with one seed that a look asked for."""
        input:
            data=prepared("train"),
            checked=ageless("train", DATA_CHECKED),
            redo=redo_files("train"),
            teachers=teachers,
        output:
            update(record_pattern("train", ["{seed}"])),
        log:
            side_file("logs", "train", "-seed-{seed}.log"),
        benchmark:
            side_file("benchmarks", "train", "-seed-{seed}.tsv")
        wildcard_constraints:
            seed=match_any(map(str, ADDED_SEEDS)),
        conda:
            CONDA
        resources:
            gpu=count_gpus,
            mem_mb=16000,
            runtime=720,
        params:
            study=STUDY_FILE,
            keep=lambda wildcards: STUDY.requires_weights(make_job("train", wildcards)),
        shell:
            logged(
                "resnest-bench train --study {params.study:q} --dataset {wildcards.dataset:q} --recipe {wildcards.recipe:q}"
                " --variant {wildcards.variant:q} --seeds {wildcards.seed:q}"
            )
