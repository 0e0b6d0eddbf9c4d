"""Check once, before any download, whether the hub of pretrained weights can be reached.

huggingface_hub itself tries six times, and waits for minutes if there is no answer.
"""

import functools
from collections.abc import Collection
from pathlib import Path

from huggingface_hub import constants, get_session
from timm.models import get_pretrained_cfg

from resnest_bench.errors import UserError, first_line
from resnest_bench.models.weights import fetch_hub_weights, load_hub_weights

TIMEOUT_SECONDS = 5


@functools.cache
def find_hub_problem() -> str | None:
    """Return why the hub can't be reached, or None if it answers. Checked once per process."""
    try:
        # Any answer will do: the download finds out whether the file exists.
        get_session().head(constants.ENDPOINT, timeout=TIMEOUT_SECONDS)
    # huggingface_hub changes its HTTP library between releases, and so the errors.
    except Exception as error:
        return first_line(error)
    return None


def fetch_weights(name: str, path: Path) -> str:
    """Download timm's pretrained weights `name` to `path`; return the file's SHA-256 (hex).

    If the hub can't be reached, the weights are copied from its cache folder. Raises UserError if they
    aren't there either, if the download fails, or if `path` can't be written.
    """
    problem = find_hub_problem() if _is_on_hub(name) else None
    if problem:
        _check_cached(name, path.parent, problem)
    return fetch_hub_weights(name, path)


def _is_on_hub(name: str) -> bool:
    """Return whether weights are on the hub: some of timm's are on other servers."""
    try:
        config = get_pretrained_cfg(name)
    except RuntimeError:  # an unknown tag: the download reports it
        return False
    return bool(config and config.hf_hub_id)


def _check_cached(name: str, folder: Path, problem: str) -> None:
    """Raise UserError unless the cache folder has the weights. The hub is not used after this."""
    constants.HF_HUB_OFFLINE = True
    try:
        load_hub_weights(name)
    except UserError as error:
        raise UserError(explain_offline([name], folder, problem)) from error


def explain_offline(names: Collection[str], folder: Path, problem: str) -> str:
    """Say that weights can't be downloaded, and what to do; the study looks for them in `folder`."""
    return (
        f"the weights {', '.join(names)} are missing, and their hub ({constants.ENDPOINT}) can't be "
        f"reached ({problem}). Where the internet is, run `resnest-bench weights --study STUDY` and "
        f"copy its folder {folder} to here; or give local files with `file:` in the config"
    )
