rule data:
    """Download or read a dataset and prepare its arrays once, for all studies."""
    output:
        # What was prepared stays usable while it is prepared again, and where that fails.
        update(f"{STUDY.data_dir}/prepared/{{dataset}}-{{digest}}/meta.json"),
    log:
        f"{RESULTS}/logs/data/{{dataset}}-{{digest}}.log",
    benchmark:
        f"{RESULTS}/benchmarks/data/{{dataset}}-{{digest}}.tsv"
    # A download can fail for a moment. What is wrong on this machine stays wrong.
    retries: 1 if any(getattr(spec, "urls", ()) for spec in STUDY.own_datasets.values()) else 0
    conda:
        CONDA
    resources:
        mem_mb=4000,
        runtime=120,
    params:
        # Not the study: another one that shares the data has nothing to prepare, and no lock to wait for.
        spec=lambda wildcards: STUDY.dataset(wildcards.dataset).digest,
        # No digest of the code: arrays are known by their fingerprint, which every record carries.
        # A photo that came or went makes new arrays, and its records stale.
        # Where the photos are gone for now, the arrays are still those of the last time.
        source=lambda wildcards: source_fingerprint(
            STUDY.dataset(wildcards.dataset), STUDY.prepared(wildcards.dataset)
        ),
    shell:
        in_store(
            name_study("resnest-bench data")
            + " --dataset {wildcards.dataset:q} > {log:q} 2>&1"
        )


rule weights:
    """Download pretrained weights once, for all studies. Jobs never ask the hub."""
    output:
        hub_weights("{hub}"),
    log:
        f"{RESULTS}/logs/weights/{{hub}}.log",
    benchmark:
        f"{RESULTS}/benchmarks/weights/{{hub}}.tsv"
    # Before all trainings: hours later nobody would be there to see that it failed.
    priority: 10000000
    # No retries: the download itself tries again, and a hub out of reach stays so.
    retries: 0
    conda:
        CONDA
    resources:
        mem_mb=4000,
        runtime=60,
    shell:
        in_store(
            name_study("resnest-bench weights")
            + " --hub {wildcards.hub:q} > {log:q} 2>&1"
        )


rule all_data:
    """All data is here: no hour is spent on one while another is missing.

    Weights are not among them: without those of the hub, all but their fine-tunings still runs.
    """
    input:
        [str(STUDY.prepared(name) / "meta.json") for name in STUDY.own_datasets],
    output:
        touch(DATA_CHECKED),
    log:
        f"{RESULTS}/logs/all_data.log",
    conda:
        CONDA
    shell:
        "echo {input:q} > {log:q}"
