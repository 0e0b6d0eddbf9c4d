"""The workflow of a crate: Snakemake, the steps, and the command that each of them calls."""

from collections.abc import Iterable

from resnest_bench import __version__
from resnest_bench.provenance.actions import (
    ENGINE,
    IMPORT,
    Entity,
    describe_licence,
    link,
    list_kinds,
    step_name,
    tool_name,
)
from resnest_bench.records import Record

SNAKEFILE = "workflow/Snakefile"
LANGUAGE = "https://w3id.org/workflowhub/workflow-ro-crate#snakemake"
BIOSCHEMAS = "https://bioschemas.org/profiles/ComputationalWorkflow/1.0-RELEASE"
# The workflow's input and its output: label, type, and the entity of this run.
PARAMETERS = {
    "#parameter-study": ("study", "File", "study.json"),
    "#parameter-records": ("records", "Dataset", "records/"),
}


def workflow_entities(records: Iterable[Record]) -> list[Entity]:
    """The workflow with its language, engine, steps, tools and parameters."""
    found = list(records)
    kinds = list_kinds(found)
    version = _snakemake_version(found)
    workflow: Entity = {
        "@id": SNAKEFILE,
        "@type": ["File", "SoftwareSourceCode", "ComputationalWorkflow", "HowTo"],
        "name": "resnest-bench",
        "version": __version__,
        "conformsTo": link(BIOSCHEMAS),
        "license": link("https://spdx.org/licenses/Apache-2.0"),
        "programmingLanguage": link(LANGUAGE),
        "creator": link("#authors"),
        "input": [link("#parameter-study")],
        "output": [link("#parameter-records")],
        "hasPart": [link(tool_name(kind)) for kind in kinds],
        "step": [link(step_name(kind)) for kind in kinds if kind != IMPORT],
    }
    snakemake = {
        "name": "Snakemake",
        "url": ENGINE,
        "version": version,
    }
    entities: list[Entity] = [
        workflow,
        {"@id": LANGUAGE, "@type": "ComputerLanguage", **snakemake},
        {"@id": ENGINE, "@type": "SoftwareApplication", **snakemake},
        {"@id": "#authors", "@type": "Organization", "name": "The resnest-bench authors"},
        describe_licence("Apache-2.0"),
    ]
    for name, (label, kind, example) in PARAMETERS.items():
        entities.append({"@id": example, "exampleOfWork": link(name)})
        entities.append(
            {
                "@id": name,
                "@type": "FormalParameter",
                "name": label,
                "additionalType": kind,
                "workExample": link(example),
            }
        )
    for position, kind in enumerate(kinds):
        if kind != IMPORT:
            entities.append(
                {
                    "@id": step_name(kind),
                    "@type": "HowToStep",
                    "name": kind,
                    "position": str(position),
                    "workExample": link(tool_name(kind)),
                }
            )
        entities.append(
            {
                "@id": tool_name(kind),
                "@type": "SoftwareApplication",
                "name": f"resnest-bench {kind}",
                "version": __version__,
            }
        )
    return entities


def _snakemake_version(records: Iterable[Record]) -> str:
    """The versions of Snakemake that the records name, or 'unknown'."""
    versions = {r.environment.versions.get("snakemake") for r in records if r.environment}
    return ", ".join(sorted(v for v in versions if v)) or "unknown"
