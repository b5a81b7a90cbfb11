#!/usr/bin/env python3
"""What a server shows, before and after a restart: the same objects under the same paths.

    persistence.py URL --record FILE     write down everything that there is
    persistence.py URL --compare FILE    hold it against what there is now

Object paths that clients were given must work for ever after, masking views must have the same
device numbers, and finished jobs must still be there. In between the server is restarted on the
same address by whoever calls this.
"""

import datetime
import json
import sys
from pathlib import Path

from discovery import discover
from harness import Checks, connect, differences, everything, parser


# Jobs that ended longer ago may reach the end of their time between the two looks.
RECENT = datetime.timedelta(minutes=2)


def look(connection, recent):
    """Everything in both namespaces, finished jobs included, as JSON can hold it."""
    array = discover(connection)
    found = {
        uri: [list(prop) for prop in properties]
        for uri, properties in everything(connection, ["interop", array.namespace]).items()
    }
    ends = {job["InstanceID"]: job["TimeOfLastStateChange"].datetime
            for job in array.enumerate("CIM_ConcreteJob")}
    since = max(ends.values()) - RECENT if recent and ends else None
    jobs = sorted(name for name, end in ends.items() if since is None or end > since)
    return {"found": found, "jobs": jobs}


def compare(checks, before, after):
    """One check for the objects, one for the jobs."""
    changed = differences(
        {uri: tuple(map(tuple, props)) for uri, props in before["found"].items()},
        {uri: tuple(map(tuple, props)) for uri, props in after["found"].items()})
    checks.that(before["found"] and not changed,
                f"{len(before['found'])} objects are the same after a restart",
                "; ".join(changed[:5]))
    lost = sorted(set(before["jobs"]) - set(after["jobs"]))
    checks.that(before["jobs"] and not lost,
                f"{len(before['jobs'])} jobs are still known", "; ".join(lost[:5]))


def main():
    options = parser(__doc__)
    way = options.add_mutually_exclusive_group(required=True)
    way.add_argument("--record", type=Path, metavar="FILE", help="write down what there is")
    way.add_argument("--compare", type=Path, metavar="FILE", help="compare with what was")
    chosen = options.parse()
    checks = Checks("persistence", chosen.verbose)
    connection = connect(chosen)
    seen = look(connection, recent=bool(chosen.record))
    if chosen.record:
        chosen.record.write_text(json.dumps(seen))
        return 0
    compare(checks, json.loads(chosen.compare.read_text()), seen)
    checks.valid_replies(connection)
    return checks.finish()


if __name__ == "__main__":
    sys.exit(main())
