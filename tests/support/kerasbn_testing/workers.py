"""Workers of a cluster on the loopback address, each a script in a process of its own."""

from __future__ import annotations

import json
import os
import socket
import subprocess
import sys
from pathlib import Path


def free_ports(count: int) -> list[int]:
    """Ports that nobody listens on."""
    sockets = [socket.socket() for _ in range(count)]
    try:
        for each in sockets:
            each.bind(("127.0.0.1", 0))
        return [each.getsockname()[1] for each in sockets]
    finally:
        for each in sockets:
            each.close()


def start(script: Path, index: int, addresses: list[str], folder: Path) -> subprocess.Popen[bytes]:
    """Starts one worker in a folder; what it says goes to ``stderr`` with its number."""
    cluster = {"cluster": {"worker": addresses}, "task": {"type": "worker", "index": index}}
    environment = {**os.environ, "TF_CONFIG": json.dumps(cluster), "PYTHONPATH": os.pathsep.join(sys.path)}
    with (folder / f"stderr{index}").open("wb") as log:
        command = [sys.executable, str(script), str(index)]
        return subprocess.Popen(command, cwd=folder, env=environment, stdout=log, stderr=log)
