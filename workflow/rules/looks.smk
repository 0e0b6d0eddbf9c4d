# Which records an adaptive study has: its own, and those that looks asked for. rules/adaptive.smk makes them.
ADDED_SEEDS = (
    STUDY.adaptive.order(STUDY.seeds)[len(STUDY.seeds) :] if STUDY.adaptive else []
)


def records_of_look(number):
    """What look `number` decided, and the records that it asks for; waits until it was taken."""
    file = Path(checkpoints.decide.get(look=number).output[0])
    try:
        look = read_look(file)
    except UserError as error:
        raise WorkflowError(str(error)) from None
    return look, [str(PATHS.record(job)) for job in look.jobs]


def records_with_looks(wildcards):
    """All records of the study, followed from look to look until one says that it is the last."""
    wanted, number, ended = records_of_config(), 0, False
    while not ended:
        look, more = records_of_look(number)
        wanted += more
        number, ended = number + 1, bool(look.stop)
    return wanted


def before_look(wildcards):
    """What a look is at: the study's records; or the look before it with what that one asked for."""
    number = int(wildcards.look)
    if number == 0:
        return records_of_config()
    return [str(PATHS.look(number - 1)), *records_of_look(number - 1)[1]]
