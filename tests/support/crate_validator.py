"""The validator of RO-Crate profiles, without a network: `from support.crate_validator import find_problems`."""

import importlib.resources
import json

RUN_TERMS = "https://w3id.org/ro/terms/workflow-run"
# RO-Crate 1.1 has other addresses for these terms than the context that comes with the library rocrate.
TERMS_OF_1_1 = {
    "ComputationalWorkflow": "https://bioschemas.org/ComputationalWorkflow",
    "FormalParameter": "https://bioschemas.org/FormalParameter",
    "input": "https://bioschemas.org/ComputationalWorkflow#input",
    "output": "https://bioschemas.org/ComputationalWorkflow#output",
}


def _read_context(url):
    if url == f"{RUN_TERMS}/context":
        return {"@context": {"sha256": f"{RUN_TERMS}#sha256"}}
    assert url == "https://w3id.org/ro/crate/1.1/context", url
    file = importlib.resources.files("rocrate") / "data/ro-crate.jsonld"
    context = json.loads(file.read_text(encoding="utf-8"))["@context"]
    return {"@context": context | TERMS_OF_1_1}


def _answer(self, url, **options):
    from requests import Response

    response = Response()
    response.status_code = 200
    response.headers["Content-Type"] = "application/ld+json"
    response._content = json.dumps(_read_context(url)).encode()
    return response


def find_problems(folder, severity="REQUIRED"):
    """What the Provenance Run Crate profile has against the crate, one line each."""
    from rocrate_validator import models, services
    from rocrate_validator.utils.http import HttpRequester

    HttpRequester.get = _answer
    settings = services.ValidationSettings(
        rocrate_uri=str(folder),
        profile_identifier="provenance-run-crate",
        requirement_severity=getattr(models.Severity, severity),
        skip_availability_check=True,
    )
    result = services.validate(settings)
    return [
        f"{one.severity.name} {one.check.identifier}: {one.message}" for one in result.get_issues()
    ]
