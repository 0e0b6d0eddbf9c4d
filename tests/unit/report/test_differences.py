from resnest_bench.report.differences import (
    count_significant,
    differences_summary,
    write_differences,
)
from resnest_bench.results import StudyResults


def test_the_files_hold_what_the_records_say(study, paths):
    results = StudyResults(study, paths)
    files = write_differences(results)
    names = {path.name for path in files}
    assert {"pairs.csv", "pairs.md", "pairs.tex", "accuracies.csv"} <= names
    text = (paths.tables / "pairs.md").read_text()
    found = results.main_differences
    assert len(found.pairs)
    assert "closed testing" in text
    assert count_significant(found.pairs) in differences_summary(found)
    before = [path.read_bytes() for path in files]
    write_differences(StudyResults(study, paths))
    assert [path.read_bytes() for path in files] == before
