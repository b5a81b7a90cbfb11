#!/usr/bin/env python3
"""pywbem's own end-to-end suite, run from its source distribution against the server.

The four files that apply to an SMI-S server must pass. The suite skips silently when it cannot
reach the server or lacks a capability; so every skip must be the one of a profile that the server
does not offer, and anything else counts as a failure here.
"""

import json
import os
import re
import subprocess
import sys
import tempfile
import xml.etree.ElementTree as ET
from pathlib import Path

from discovery import OFFERED, OFFERED_WITH_FC
from harness import Checks, connect, options

SUITE = Path(__file__).resolve().parent.parent / ".cache/pywbem-1.9.1"
FILES = ["test_server", "test_profile_generic", "test_profile_snia_server",
         "test_profile_snia_smis"]
NOT_ADVERTISED = re.compile(r"The (\w+) '([^']+)' .*is not advertised", re.DOTALL)

SERVER_FILE = """\
vault_file: vault.yml
default: mine
servers:
  mine:
    description: server under test
    user_defined:
      url: {url}
      default_namespace: root/standpipe
      capabilities: [interop, namespaces, profiles, snia-smis, snia-server, smis]
"""

# Written as a JSON string, which YAML reads as well whatever the password holds.
VAULT_FILE = "secrets: {{mine: {{user: {user}, password: {password}, no_verification: true}}}}\n"


def prepare(folder, chosen, url):
    """Write the files that tell the suite where the server is."""
    (folder / "server.yml").write_text(SERVER_FILE.format(url=url))
    vault = folder / "vault.yml"
    vault.touch(mode=0o600)
    vault.write_text(VAULT_FILE.format(
        user=json.dumps(chosen.user), password=json.dumps(chosen.password)))
    # The suite checks for a capability that its own schema forgets to allow.
    schema = (SUITE / "tests/end2endtest/es_schema.yml").read_text()
    allowed, count = re.subn(r"(\n +)- snia-smis\b", r"\1- smis\1- snia-smis", schema)
    if count != 1:
        raise LookupError("the suite's schema is not the one that is expected")
    (folder / "schema.yml").write_text(allowed)


def run(checks, chosen, url):
    """Run the suite once and judge each case."""
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        prepare(folder, chosen, url)
        report = folder / "report.xml"
        command = [
            sys.executable, "-m", "pytest", "-q", "--tb=short", "-p", "no:cacheprovider",
            f"--es-file={folder / 'server.yml'}", f"--es-schema-file={folder / 'schema.yml'}",
            "--es-nickname=mine", f"--junitxml={report}",
            *[f"tests/end2endtest/{file}.py" for file in FILES],
        ]
        environment = dict(os.environ, TEST_INSTALLED="1", PYTHONDONTWRITEBYTECODE="1")
        done = subprocess.run(
            command, cwd=SUITE, env=environment, stdin=subprocess.DEVNULL, text=True,
            stdout=subprocess.PIPE, stderr=subprocess.STDOUT, timeout=900)
        if not report.exists():
            checks.that(False, "the suite runs", done.stdout[-2000:])
            return
        cases = list(ET.parse(report).iter("testcase"))
    ports = connect(chosen, url).EnumerateInstanceNames("CIM_FCPort", namespace="root/standpipe")
    skipped = judge(checks, cases, {*OFFERED, *OFFERED_WITH_FC} if ports else set(OFFERED))
    checks.that(done.returncode == 0 or any(case.find("failure") is not None for case in cases),
                "pytest ended well", done.stdout[-2000:])
    print(f"  {url}: {len(cases)} cases, {skipped} skipped for profiles that are not offered")


def judge(checks, cases, names):
    """One check per case that ran; returns how many were skipped rightly. `names` are our profiles."""
    skipped = 0
    for file in FILES:
        checks.that(any(file in (case.get("classname") or "") for case in cases),
                    f"{file} has cases")
    for case in cases:
        title = f"{(case.get('classname') or '').split('.')[-1]}::{case.get('name')}"
        skip = case.find("skipped")
        bad = case.find("failure")
        bad = case.find("error") if bad is None else bad
        if skip is not None:
            reason = skip.get("message") or ""
            match = NOT_ADVERTISED.search(reason)
            offered = match and match.group(1) == "SNIA" and match.group(2) in names
            if match and not offered:
                skipped += 1
            else:
                checks.that(False, f"{title} is not skipped", reason)
        else:
            checks.that(bad is None, title,
                        "" if bad is None else f"{bad.get('message')}\n{(bad.text or '')[-1500:]}")
    return skipped


def main():
    chosen = options(__doc__)
    checks = Checks("end2end", chosen.verbose)
    for url in chosen.urls:
        checks.section(url)
        checks.step(run, checks, chosen, url)
    return checks.finish()


if __name__ == "__main__":
    sys.exit(main())
