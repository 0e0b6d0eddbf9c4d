# Files in an S3 store, for jobs that share no folder (docs/storage.md). Without a store, nothing here acts.
STORE = None
if workflow.storage_settings.default_storage_provider:
    if workflow.storage_settings.default_storage_provider != "s3":
        raise WorkflowError(
            "--default-storage-provider must be s3 for this workflow, but got "
            f"{workflow.storage_settings.default_storage_provider!r}: see docs/storage.md"
        )
    STORE = workflow.storage_settings.default_storage_prefix.rstrip("/")
    # Where Snakemake keeps its copies of the store's files.
    MIRROR = (
        Path(workflow.storage_settings.local_storage_prefix)
        / "s3"
        / STORE.removeprefix("s3://")
    )


def in_store(command):
    """The command of a rule; with a store, it first takes from it what the job needs besides its inputs."""
    if not STORE:
        return command
    start = " ".join(
        shlex.quote(str(part)).replace("{", "{{").replace("}", "}}")
        for part in ["--study", STUDY_FILE, "--at", STORE, "--mirror", MIRROR]
    )
    return (
        f"python -m resnest_bench.cli.store {start} --outputs {{output:q}} -- {command}"
    )


def check_storable(study):
    """Refuse what is not possible with a store."""
    if study.adaptive or study.search:
        raise WorkflowError(
            "a store holds the files of a fixed list of jobs, but this study is adaptive or has a "
            "search: run it where all jobs see one folder"
        )


def pull_records(paths):
    """Bring the records that other folders made, so that only what is missing or not current runs."""
    from resnest_bench.cli.store import Store, same

    try:
        Store(STORE).pull(same(paths.records))
    except UserError as error:
        raise WorkflowError(str(error)) from None


def push_study(file):
    """Give the jobs the study's file."""
    if STORE:
        from resnest_bench.cli.store import Folder, Store

        Store(STORE).push(Folder(Path(file), str(file)))
