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
        "resnest-bench data --study {params.study:q} --dataset {wildcards.dataset:q} --log {log:q}"


rule weights:
    """Download pretrained weights once, for all studies. Jobs never ask the hub."""
    output:
        hub_weights("{hub}"),
    log:
        f"{RESULTS}/logs/weights/{{hub}}.log",
    benchmark:
        f"{RESULTS}/benchmarks/weights/{{hub}}.tsv"
    # The hub can fail for a moment.
    retries: 1
    conda:
        CONDA
    resources:
        mem_mb=4000,
        runtime=60,
    params:
        study=STUDY_FILE,
    shell:
        "resnest-bench weights --study {params.study:q} --hub {wildcards.hub:q} --log {log:q}"


rule all_data:
    """All data and weights are here: no hour is spent on one while another is missing."""
    input:
        [str(STUDY.prepared(name) / "meta.json") for name in STUDY.datasets],
        # Known by the SHA-256 in the records: another download reruns nothing.
        ancient([hub_weights(name) for name in HUB_NAMES]),
    output:
        touch(DATA_CHECKED),
    log:
        f"{RESULTS}/logs/all_data.log",
    conda:
        CONDA
    shell:
        "echo {input:q} > {log:q}"
