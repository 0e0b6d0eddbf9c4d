# All that the rules take from the package. The Snakemake catalogue lints and draws this workflow where
# nothing but Snakemake is installed: there a stand-in reads the config, and no rule can run.
try:
    from resnest_bench import files
    from resnest_bench.data import is_prepared, source_fingerprint
    from resnest_bench.digests import code_digest, json_digest
    from resnest_bench.errors import UserError
    from resnest_bench.paths import DataPaths, Job
    from resnest_bench.specs import dump_study, load_study, read_yaml, study_from_config
    from resnest_bench.specs.looks import read_look
    from resnest_bench.specs.rounds import (
        extend_by_search,
        read_round,
        read_rounds,
        round_jobs,
        search_digest,
    )

    INSTALLED = True
except ModuleNotFoundError as error:
    # Another module that is missing is a broken installation, and Snakemake says which.
    if error.name != "resnest_bench":
        raise
    INSTALLED = False

    include: "stand_in.smk"
