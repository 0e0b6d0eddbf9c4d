import re
from xml.etree import ElementTree

from resnest_bench import records
from resnest_bench.export import write_document
from resnest_bench.export.blocks import Bullets, Section, Table
from resnest_bench.export.document import plain, render_markdown
from resnest_bench.paths import Job
from support.records_factory import make_record, make_study, write_study


def test_a_study_as_markdown_with_its_figures_beside_it(tmp_path):
    study = make_study()
    paths = study.paths(tmp_path)
    write_study(study, paths)
    files = write_document(study, paths, tmp_path / "out" / "report.md")
    text = files[0].read_text()
    assert text.startswith("# synthetic\n")
    linked = re.findall(r"!\[[^\]]*\]\(([^)]+)\)", text)
    assert linked == [file.relative_to(tmp_path / "out").as_posix() for file in files[1:]]
    assert len(linked) > 5
    for file in files[1:]:
        assert ElementTree.parse(file).getroot().tag.endswith("svg")
    heads = re.findall(r"^## (.*)$", text, re.M)
    assert heads[:3] == ["About this study", "Accuracy against latency", "Differences"]
    # The numbering of clip paths goes on within a process: pictures differ by it, the text by nothing.
    assert write_document(study, paths, files[0]) == files
    assert files[0].read_text() == text


def test_some_sections_alone(tmp_path):
    study = make_study()
    paths = study.paths(tmp_path)
    write_study(study, paths)
    text = write_document(study, paths, tmp_path / "a.md", {"coverage"})[0].read_text()
    assert re.findall(r"^## (.*)$", text, re.M) == ["Coverage"]


def test_texts_of_a_record_are_no_markup(tmp_path):
    hostile = "<img src=x onerror=alert(1)> [a](javascript:0) `x` *y* a_b | c"
    study = make_study(finetune=[])
    paths = study.paths(tmp_path)
    write_study(study, paths)
    job = Job("train", "low", "quick", "A", 0)
    record = make_record(study, job)
    dataset = record.dataset.model_copy(update={"label": hostile})
    records.write(paths.record(job), record.model_copy(update={"dataset": dataset}))
    text = write_document(study, paths, tmp_path / "a.md")[0].read_text()
    assert "onerror" in text
    assert not re.search(r"(?<!\\)<img", text)
    assert not re.search(r"(?<!\\)\[a\]\(", text)
    assert not re.search(r"(?<!\\)`x`", text)


def test_a_pipe_in_a_cell_does_not_break_the_row():
    table = Table("t", "c", ("a", "b"), (("1 | 2", "x"),), ("n | m",))
    text, figures = render_markdown([Section("s", "S", ("one",), (table, Bullets(("i",))))], "f")
    row = next(line for line in text.splitlines() if "x" in line and line.startswith("|"))
    assert len(re.findall(r"(?<!\\)\|", row)) == 3
    assert figures == {}
    assert plain("a\n b") == "a b"
