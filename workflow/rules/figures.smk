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
        [
            report(
                f"{RESULTS}/figures/{figure}.svg",
                category="Figures",
                labels={"figure": figure.replace("_", " ")},
                caption="../report/figures.rst",
            )
            for figure in FIGURES
        ],
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


# Not part of `all`: `snakemake page`, then `snakemake --report report.html page`.
rule page:
    """The whole study as one HTML file, which is the report's first item."""
    input:
        rules.tables.output,
        rules.figures.output,
    output:
        report(
            f"{RESULTS}/{STUDY.study}.html",
            category="A study as one page",
            labels={"page": STUDY.study},
            caption="../report/page.rst",
        ),
    log:
        f"{RESULTS}/logs/page.log",
    conda:
        CONDA
    params:
        folder=RESULTS,
    shell:
        in_store("resnest-bench export {params.folder:q} > {log:q} 2>&1")
