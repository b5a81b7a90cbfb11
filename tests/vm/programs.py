"""What the kernel tests run: the executables that cargo builds, and Python with the client.

Importing this restarts the script in the checkout's own environment where pywbem is missing.
"""

import importlib.util
import json
import os
import subprocess
import sys
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent.parent

if importlib.util.find_spec("pywbem") is None:
    python = ROOT / ".venv/bin/python"
    if not python.exists() or Path(sys.executable) == python:
        sys.exit("kernel tests: .venv is missing; scripts/setup makes it")
    os.execv(python, [python, *sys.argv])


def built():
    """Builds the program and the tests; returns the executables' paths by kind and name."""
    command = ["cargo", "test", "--locked", "--no-run", "--lib", "--bins", "--tests",
               "--message-format", "json-render-diagnostics"]
    output = subprocess.run(command, cwd=ROOT, check=True, stdout=subprocess.PIPE, text=True).stdout
    found = {}
    for line in output.splitlines():
        message = json.loads(line)
        if message.get("executable"):
            kind = "test" if message["profile"]["test"] else "program"
            found[kind, message["target"]["kind"][0], message["target"]["name"]] = message["executable"]
    return found
