"""The dashboard as the README starts it, on a free port."""

import socket
import sys


def dashboard_command() -> tuple[list[str], int]:
    """The command, to be run in the project's folder, and its port."""
    with socket.socket() as probe:
        probe.bind(("localhost", 0))
        port = probe.getsockname()[1]
    command = [sys.executable, "-m", "streamlit", "run", "dashboard/app.py"]
    return [*command, "--server.headless", "true", "--server.port", str(port)], port
