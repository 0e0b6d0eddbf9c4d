TABLES = [
    name
    for name, wanted in {
        "ablation": STUDY.tables.ablation,
        "tradeoff": STUDY.tables.tradeoff,
        "transfer": STUDY.finetune,
        "distillation": any(STUDY.teacher_job(job) for job in STUDY.jobs()),
        "claims": STUDY.claims,
        "search_finalists": STUDY.search,
        "search_families": STUDY.search,
    }.items()
    if wanted
]


rule tables:
    """Records to tables. Whatever is missing, failed or stale is named in them."""
    input:
        records_of_study(),
    output:
        [
            report(
                f"{RESULTS}/tables/{table}.csv",
                category="Tables",
                labels={"table": table.replace("_", " ")},
                caption="../report/tables.rst",
            )
            for table in TABLES
        ],
        expand(
            f"{RESULTS}/tables/{{table}}.{{ending}}",
            table=TABLES,
            ending=["md", "tex"],
        ),
        report(
            f"{RESULTS}/tables/runs.csv",
            category="Tables",
            labels={"table": "runs"},
            caption="../report/runs.rst",
        ),
        f"{RESULTS}/tables/runs.parquet",
    log:
        f"{RESULTS}/logs/tables.log",
    benchmark:
        f"{RESULTS}/benchmarks/tables.tsv"
    conda:
        CONDA
    params:
        study=STUDY_FILE,
        spec=STUDY.digest,
        code=[
            code_digest(kind)
            for kind in ("tables", "train", "finetune", "latency", "deploy")
        ],
    shell:
        in_store("resnest-bench tables --study {params.study:q} > {log:q} 2>&1")
