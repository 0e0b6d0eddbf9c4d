FIGURES = [
    *(
        ["accuracy_latency"]
        if (STUDY.trained or STUDY.finetune) and STUDY.timed
        else []
    ),
    *(["ablation"] if STUDY.tables.ablation else []),
    *(["training_curves"] if STUDY.train or STUDY.finetune else []),
    *(["confusion"] if STUDY.trained or STUDY.finetune else []),
    *(["latency_distribution"] if STUDY.timed else []),
    *(["deployment"] if STUDY.deploy and STUDY.timed else []),
    *(["transfer"] if STUDY.finetune else []),
    *(["search_confirmed", "search_progress"] if STUDY.search else []),
    *(["distillation"] if any(STUDY.teacher_job(job) for job in STUDY.jobs()) else []),
]


rule figures:
    """Records to pictures, by the chart functions that the dashboard uses."""
    input:
        # The tables follow every record. To list the records once more makes the dry run of 2,000
        # variants a second longer.
        rules.tables.output,
    output:
        report(
            expand(f"{RESULTS}/figures/{{figure}}.svg", figure=FIGURES),
            category="Figures",
            caption="../report/figures.rst",
        ),
        expand(f"{RESULTS}/figures/{{figure}}.png", figure=FIGURES),
    log:
        f"{RESULTS}/logs/figures.log",
    benchmark:
        f"{RESULTS}/benchmarks/figures.tsv"
    conda:
        CONDA
    params:
        study=STUDY_FILE,
        spec=STUDY.digest,
        code=[
            code_digest(kind)
            for kind in ("figures", "tables", "train", "finetune", "latency", "deploy")
        ],
    shell:
        in_store("resnest-bench figures --study {params.study:q} > {log:q} 2>&1")
