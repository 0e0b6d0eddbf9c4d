rule deploy:
    """Evaluate one variant's trainings in one deployment mode over all seeds; one record a seed."""
    input:
        data=prepared("deploy", STUDY.seeds),
        checked=ageless("deploy", DATA_CHECKED, STUDY.seeds),
        redo=redo_files("deploy", STUDY.seeds),
        # Their weights lie next to them.
        sources=deploy_sources,
    output:
        update(record_pattern("deploy", STUDY.seeds)),
    log:
        side_file("logs", "deploy", ".log"),
    benchmark:
        side_file("benchmarks", "deploy", ".tsv")
    conda:
        CONDA
    threads: ALL_CORES
    resources:
        gpu=1,
        mem_mb=16000,
        runtime=120,
    params:
        study=STUDY_FILE,
    shell:
        logged(
            "resnest-bench deploy --study {params.study:q} --dataset {wildcards.dataset:q}"
            " --recipe {wildcards.recipe:q} --variant {wildcards.variant:q}"
        )
