# Which records a search has: those of its trials and finalists. rules/search.smk makes them.
def records_of_round(number):
    """What round `number` decided, and the records that it asks for; waits until it was decided."""
    file = Path(checkpoints.propose.get(number=number).output[0])
    try:
        one = read_round(file)
        return one, [str(PATHS.record(job)) for job in round_jobs(STUDY, one)]
    except UserError as error:
        raise WorkflowError(str(error)) from None


def before_round(wildcards):
    """What a round is decided from: the one before it with what that one asked for; nothing at first."""
    number = int(wildcards.number)
    if number == 0:
        return []
    return [str(PATHS.search_round(number - 1)), *records_of_round(number - 1)[1]]


def records_with_rounds(wildcards):
    """All records of the study: its own, those of trials, and those of the finalists."""
    wanted, number, ended = records_of_config(), 0, False
    while not ended:
        one, more = records_of_round(number)
        wanted += more
        number, ended = number + 1, bool(one.stop)
    found = extend_by_search(STUDY, read_rounds(STUDY, PATHS))
    own = set(STUDY.jobs())
    return wanted + [str(PATHS.record(job)) for job in found.jobs() if job not in own]
