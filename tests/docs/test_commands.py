"""Every command in the docs can be typed as it stands: its target, its options, its files."""

import re
import shlex

import pytest
import typer
from snakemake.cli import get_argument_parser

from resnest_bench.cli.app import app
from support.documents import DOCUMENTS, ROOT, commands, inline_commands

PROGRAM = typer.main.get_command(app)
TARGETS = set(re.findall(r"^([a-z-]+):", (ROOT / "Makefile").read_text(), flags=re.MULTILINE))
SHELL = [(path, line) for path in DOCUMENTS for line in commands(path)]
INLINE = [(path, line) for path in DOCUMENTS for line in inline_commands(path)]


def of(program, pairs):
    found = [(path, line) for path, line in pairs if shlex.split(line)[0] == program]
    return {
        "argvalues": [line for _, line in found],
        "ids": [f"{path.relative_to(ROOT)}: {line}" for path, line in found],
    }


def list_words(line):
    """The words after the program; what a shell would redirect or pipe is left out."""
    return shlex.split(re.split(r" [|>]", line)[0])[1:]


def find_problem(words, whole):
    """What `resnest-bench WORDS` would complain about, or None. Nothing is run.

    Where it is not the `whole` command but names one, what is required may be missing.
    """
    name, *arguments = words
    if name in ("--help", "--version"):
        return None
    command = PROGRAM.commands.get(name)
    if command is None:
        return f"there is no subcommand {name!r}"
    try:
        command.make_context(name, arguments, resilient_parsing=False)
    except Exception as error:
        # typer carries a click of its own, whose classes it doesn't export.
        if not whole and type(error).__name__ in ("MissingParameter", "BadOptionUsage"):
            return None
        return str(error) or type(error).__name__
    return None


@pytest.mark.parametrize("line", **of("resnest-bench", SHELL))
def test_a_whole_command_parses(line):
    assert find_problem(list_words(line), whole=True) is None


@pytest.mark.parametrize("line", **of("resnest-bench", INLINE))
def test_a_command_within_a_sentence_parses(line):
    words = list_words(line)
    assert not words or find_problem(words, whole=False) is None


def test_a_misspelled_option_and_a_missing_one_are_found():
    assert "no subcommand" in find_problem(["trian"], whole=False)
    assert find_problem(["train", "--variants", "A"], whole=False)
    assert find_problem(["train", "--variant", "A"], whole=True)
    assert find_problem(["train", "--variant", "A"], whole=False) is None


@pytest.mark.parametrize("line", **of("make", SHELL + INLINE))
def test_a_target_of_make_exists(line):
    named = [word for word in list_words(line) if "=" not in word and word != "..."]
    assert set(named) <= TARGETS, f"Makefile has {sorted(TARGETS)}"


@pytest.mark.parametrize("line", **of("snakemake", SHELL + INLINE))
def test_a_snakemake_command_parses_and_its_files_exist(line):
    parser = get_argument_parser()
    parser.error = lambda message: pytest.fail(message)
    arguments, unknown = parser.parse_known_args(list_words(line))
    # Options of a plugin that not everyone has installed.
    assert all(option.startswith("--storage-s3-") for option in unknown), unknown
    for name in map(str, [*(arguments.profile or []), *(arguments.configfile or [])]):
        # config/mine.yaml is the reader's own.
        assert "mine" in name or (ROOT / name).exists(), name


def test_all_kinds_of_commands_are_found():
    lines = {line for _, line in SHELL + INLINE}
    assert {"make demo", "resnest-bench doctor", "make env"} <= lines
