"""A study as one self-contained HTML file; its policy forbids loading anything."""

import base64
import functools
import hashlib
from pathlib import Path

import altair as alt
import jinja2
import vl_convert

from resnest_bench import files
from resnest_bench.export.results import PageResults
from resnest_bench.export.sections import list_sections
from resnest_bench.paths import StudyPaths
from resnest_bench.specs import StudySpec

HERE = Path(__file__).parent


def write_page(study: StudySpec, paths: StudyPaths, out: Path | None = None) -> Path:
    """Write `page_html` to `out`, by default <study>.html in the study's folder; return the file.

    Raises UserError if it can't be written.
    """
    file = out or paths.root / f"{study.study}.html"
    files.write_text(file, page_html(study, paths))
    return file


def page_html(study: StudySpec, paths: StudyPaths) -> str:
    """The page of the current records. Same records, same text."""
    sections = list_sections(PageResults(study, paths))
    scripts = [vega_bundle(), _asset("page.js")]
    styles = _asset("page.css")
    return _template().render(
        title=study.study,
        sections=sections,
        scripts=scripts,
        styles=styles,
        policy=_policy(scripts, styles),
    )


def _asset(name: str) -> str:
    return (HERE / name).read_text(encoding="utf-8")


@functools.cache
def vega_bundle() -> str:
    """Vega, Vega-Lite and Vega-Embed as one script, in the version of our charts."""
    major, minor, _ = alt.SCHEMA_VERSION.removeprefix("v").split(".")
    # Its stub requires a snippet; the function doesn't.
    return vl_convert.javascript_bundle(  # type: ignore[call-arg]
        vl_version=f"{major}.{minor}"
    )


def _policy(scripts: list[str], styles: str) -> str:
    """The Content-Security-Policy: our own scripts and styles by their digests, and nothing else.

    No text from a record can run in the page or contact a server.
    """
    hashes = " ".join(map(_digest, scripts))
    return (
        f"default-src 'none'; script-src {hashes}; style-src {_digest(styles)}; "
        "base-uri 'none'; form-action 'none'"
    )


def _digest(text: str) -> str:
    return f"'sha256-{base64.b64encode(hashlib.sha256(text.encode()).digest()).decode()}'"


def _template() -> jinja2.Template:
    environment = jinja2.Environment(
        loader=jinja2.FileSystemLoader(HERE),
        autoescape=True,
        undefined=jinja2.StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
        keep_trailing_newline=True,
    )
    # `tojson` escapes <, >, & and ' as \u003c and so on: no text can close its script element.
    environment.policies["json.dumps_kwargs"] = {
        "sort_keys": True,
        "separators": (",", ":"),
        "allow_nan": False,
    }
    return environment.get_template("page.html")
