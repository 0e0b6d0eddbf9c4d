rule finetune:
    """Fine-tune one variant by one recipe over all seeds; one record a seed."""
    input:
        data=prepared("finetune", STUDY.seeds),
        checked=ageless("finetune", DATA_CHECKED, STUDY.seeds),
        redo=redo_files("finetune", STUDY.seeds),
        sources=finetune_sources,
        # Its bytes are known by the record's SHA-256: another download reruns nothing.
        weights=ageless("finetune", finetune_weights, STUDY.seeds),
    output:
        # Kept while the job runs: it makes anew what is not current.
        update(record_pattern("finetune", STUDY.seeds)),
    log:
        side_file("logs", "finetune", ".log"),
    benchmark:
        side_file("benchmarks", "finetune", ".tsv")
    conda:
        CONDA
    resources:
        gpu=count_gpus,
        mem_mb=24000,
        runtime=720,
    params:
        study=STUDY_FILE,
    shell:
        logged(
            "resnest-bench finetune --study {params.study:q} --dataset {wildcards.dataset:q}"
            " --recipe {wildcards.recipe:q} --variant {wildcards.variant:q}"
        )
