from resnest_bench.data import source_fingerprint


rule data:
    """Download or read a dataset and prepare its arrays once, for all studies."""
    output:
        f"{STUDY.data_dir}/prepared/{{dataset}}-{{digest}}/meta.json",
    log:
        f"{RESULTS}/logs/data/{{dataset}}-{{digest}}.log",
    benchmark:
        f"{RESULTS}/benchmarks/data/{{dataset}}-{{digest}}.tsv"
    # A download can fail for a moment. What is wrong on this machine stays wrong.
    retries: 1 if any(getattr(spec, "urls", ()) for spec in STUDY.datasets.values()) else 0
    conda:
        CONDA
    resources:
        mem_mb=4000,
        runtime=120,
    params:
        study=STUDY_FILE,
        spec=lambda wildcards: STUDY.dataset(wildcards.dataset).digest,
        # No digest of the code: arrays are known by their fingerprint, which every record carries.
        # A photo that came or went makes new arrays, and its records stale.
        source=lambda wildcards: source_fingerprint(STUDY.dataset(wildcards.dataset)),
    shell:
        "resnest-bench data --study {params.study} --dataset {wildcards.dataset} --log {log}"


rule all_data:
    """Every dataset is whole: no hour is spent on one while another is broken."""
    input:
        [str(STUDY.prepared(name) / "meta.json") for name in STUDY.datasets],
    output:
        touch(DATA_CHECKED),
    log:
        f"{RESULTS}/logs/all_data.log",
    conda:
        CONDA
    shell:
        "echo {input} > {log}"
