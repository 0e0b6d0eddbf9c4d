rule finetune:
    """Fine-tune one variant by one recipe over all seeds; one record a seed."""
    input:
        data=prepared,
        checked=ancient(DATA_CHECKED),
        sources=finetune_sources,
        # Its bytes are known by the record's SHA-256: another download reruns nothing.
        weights=ancient(finetune_weights),
    output:
        record_pattern("finetune", STUDY.seeds),
    log:
        side_file("logs", "finetune", ".log"),
    benchmark:
        side_file("benchmarks", "finetune", ".tsv")
    conda:
        CONDA
    resources:
        gpu=1,
        mem_mb=24000,
        runtime=720,
        # On a large GPU, a profile may raise it (set-resources): the numbers stay the same.
        seeds_at_once=1,
    params:
        study=STUDY_FILE,
        spec=row("finetune"),
        code=training_code("finetune"),
    shell:
        "resnest-bench finetune --study {params.study:q} --dataset {wildcards.dataset:q}"
        " --recipe {wildcards.recipe:q} --variant {wildcards.variant:q}"
        " --seeds-at-once {resources.seeds_at_once} --log {log:q}"
