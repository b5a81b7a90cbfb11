#!/usr/bin/env python3
"""What creating, growing and deleting a volume costs through the gateway, beside LVM by hand.

    benches/storage.py [--times N]        or: make bench-storage

Both run in one boot of the test kernel (tests/vm), on the same volume group. How to read a line:

* `gateway`: milliseconds of a method call of a client on the host, the median of N.
* `shell`: milliseconds of the LVM commands and the zeroing that the work consists of, given to one
  `lvm` shell that stays (with asynchronous reads off): the floor.
* `started`: the same with a process started for each command and the host's own configuration: what
  an administrator does.
* the ratios: gateway over each of them.

The machine is emulated, so the times mean nothing; the ratios do. Nothing here passes or fails.
"""

import argparse
import json
import statistics
import sys
import tempfile
import time
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
sys.path[:0] = [str(ROOT / "tests/vm"), str(ROOT / "conformance")]

import programs  # noqa: E402  it finds the environment that has the client

import machine  # noqa: E402
import pywbem  # noqa: E402
import scenario  # noqa: E402
from harness import DONE, MIB, invoke  # noqa: E402

SIZE, GROWN = 32 * MIB, 64 * MIB
WORKS = ("create", "grow", "delete")

#: Runs in the guest: the commands that the works consist of, and the zeroing, by hand.
BY_HAND = Path(__file__).resolve().parent / "by_hand.py"


def by_hand(vm, times, how):
    """Milliseconds of each work by hand: the median."""
    return json.loads(vm.run(f"python3 {BY_HAND} {how} {times} {SIZE} {GROWN}").out)


def through_gateway(story, times):
    """Milliseconds of each work through the gateway: the median."""
    taken = {work: [] for work in WORKS}
    service, pool = story.array.configuration, story.pool()

    def timed(work, method, **words):
        began = time.monotonic()
        code, outputs = invoke(story.connection, method, service, **words)
        taken[work].append((time.monotonic() - began) * 1e3)
        if code != DONE:
            sys.exit(f"{method} answered {code}")
        return outputs

    for number in range(times):
        made = timed("create", "CreateOrModifyElementFromStoragePool", ElementName=f"bench {number}",
                     ElementType=pywbem.Uint16(2), InPool=pool, Size=pywbem.Uint64(SIZE))
        volume = made["TheElement"]
        timed("grow", "CreateOrModifyElementFromStoragePool", TheElement=volume,
              ElementType=pywbem.Uint16(2), Size=pywbem.Uint64(GROWN))
        timed("delete", "ReturnToStoragePool", TheElement=volume)
    return {work: statistics.median(values) for work, values in taken.items()}


def main():
    options = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    options.add_argument("--times", type=int, default=8, help="volumes of each kind (default: 8)")
    times = options.parse_args().times
    program = programs.built()["program", "bin", "standpipe"]
    with tempfile.TemporaryDirectory(prefix="standpipe-disks-") as work:
        disks = [machine.blank_disk(f"{work}/pool", 1 << 30), machine.blank_disk(f"{work}/state", 128 << 20)]
        with machine.Machine(disks, ports=scenario.PORTS) as vm:
            # Written once all over, so that no run pays for the first use of the disk's file.
            vm.run("dd if=/dev/zero of=/dev/vda bs=1M status=none; vgcreate -q vg0 /dev/vda")
            story = scenario.Story(program)
            story.vm = vm
            story.prepare()
            story.serve()
            gateway = through_gateway(story, times)
            shell = by_hand(vm, times, "shell")
            started = by_hand(vm, times, "started")
            story.stop()
    print(f"{'milliseconds':14}{'gateway':>10}{'shell':>10}{'started':>10}{'ratio':>8}{'ratio':>8}")
    for name in WORKS:
        print(f"{name:14}{gateway[name]:>10.0f}{shell[name]:>10.0f}{started[name]:>10.0f}"
              f"{gateway[name] / shell[name]:>8.2f}{gateway[name] / started[name]:>8.2f}")


if __name__ == "__main__":
    main()
