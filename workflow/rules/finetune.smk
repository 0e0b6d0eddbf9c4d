rule finetune:
    """Fine-tune one variant by one recipe over all seeds; one record a seed."""
    input:
        data=prepared,
        checked=ancient(DATA_CHECKED),
        sources=finetune_sources,
    output:
        record_pattern("finetune", STUDY.seeds),
    log:
        side_file("logs", "finetune", ".log"),
    benchmark:
        side_file("benchmarks", "finetune", ".tsv")
    # The hub can fail for a moment.
    retries: 1 if uses_hub() else 0
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
        "resnest-bench finetune --study {params.study} --dataset {wildcards.dataset}"
        " --recipe {wildcards.recipe} --variant {wildcards.variant}"
        " --seeds-at-once {resources.seeds_at_once} --log {log}"
