def finetune_sources(wildcards):
    """Records of the trainings that a fine-tuning starts from, if they are of this study."""
    sources = [
        STUDY.source_job(job_of("finetune", wildcards, seed)) for seed in STUDY.seeds
    ]
    return [str(PATHS.record(source)) for source in sources if source]


rule finetune:
    """Fine-tune one variant by one recipe over all seeds; one record a seed."""
    input:
        data=prepared,
        sources=finetune_sources,
    output:
        record_pattern("finetune", STUDY.seeds),
    log:
        side_file("logs", "finetune", ".log"),
    benchmark:
        side_file("benchmarks", "finetune", ".tsv")
    # Weights may come from the hub.
    retries: 1
    resources:
        gpu=1,
        mem_mb=16000,
        runtime=720,
    params:
        spec=row("finetune"),
        code=training_code("finetune"),
    shell:
        "resnest-bench finetune {CLI_STUDY} --dataset {wildcards.dataset}"
        " --recipe {wildcards.recipe} --variant {wildcards.variant} --log {log}"
