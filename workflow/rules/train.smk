rule train:
    """Train one variant over all seeds; one record a seed. Resumes from its own checkpoints."""
    input:
        data=prepared("train", STUDY.seeds),
        # Waits for it, and never reruns for it.
        checked=ageless("train", DATA_CHECKED, STUDY.seeds),
        redo=redo_files("train", STUDY.seeds),
        teachers=teachers,
    output:
        # Kept while the job runs: it makes anew what is not current.
        update(record_pattern("train", STUDY.seeds)),
    log:
        side_file("logs", "train", ".log"),
    benchmark:
        side_file("benchmarks", "train", ".tsv")
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
            " --variant {wildcards.variant:q}"
        )
