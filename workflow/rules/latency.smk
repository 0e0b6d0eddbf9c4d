rule latency:
    """Measure one variant, one round, with nothing else of the workflow beside it."""
    input:
        data=prepared("latency"),
        # Waits for it, and never reruns for it.
        checked=ageless("latency", DATA_CHECKED),
        redo=redo_files("latency"),
    output:
        update(record_pattern("latency", ["{round}"])),
    log:
        side_file("logs", "latency", "-{round}.log"),
    benchmark:
        side_file("benchmarks", "latency", "-{round}.tsv")
    priority: shuffled
    conda:
        CONDA
    threads: ALL_CORES
    resources:
        gpu=1,
        mem_mb=16000,
        runtime=60,
    params:
        study=STUDY_FILE,
    shell:
        logged(
            "resnest-bench latency --study {params.study:q} --dataset {wildcards.dataset:q}"
            " --protocol {wildcards.recipe:q} --variant {wildcards.variant:q}"
            " --round {wildcards.round:q}"
        )
