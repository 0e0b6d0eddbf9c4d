"""Streamlit's AppTest, without what it does for us in vain."""

import pytest


def skip_component_scan(monkeypatch: pytest.MonkeyPatch) -> None:
    """Let no AppTest read the metadata of all installed packages, for a second each.

    It looks for third-party components, of which the dashboard has none.
    """
    scan = "streamlit.components.v2.manifest_scanner.scan_component_manifests"
    monkeypatch.setattr(scan, list)
