#!/usr/bin/env python3
"""What showing a volume to a host costs through the gateway, beside the kernel's calls by hand.

    benches/masking.py [--times N] [--views N]        or: make bench-masking

All run in one boot of the test kernel (tests/vm). How to read the first table, of milliseconds, each
the median of N; `map` shows a volume that nobody sees, `one more` shows it to another host, too, `unmap`
hides it from its last host:

* `gateway`: a method call (ExposePaths, DeleteProtocolController) of pywbem on the host, with few views.
* `many`: the same when there are as many views as asked for; each of its own host.
* `configfs`: the folders, links and writes that the work consists of, made by Python in the guest: the
  floor. `rtslib`: the same by the library; `targetcli`: by that program, started for each work.
* the ratios: `many` over `gateway`, then `gateway` over each of the others.

The second table is of single requests over a raw HTTP connection, with few views and with many: the list
of all views, and the step from a volume that one view shows to that view. `at rest` is the milliseconds of
processor time that the gateway takes in a second in which nobody asks it anything: it looks every two
seconds whether somebody else has changed the target.

The machine is emulated, so the times mean nothing; the ratios do. Nothing here passes or fails.
"""

import argparse
import base64
import http.client
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
import views  # noqa: E402
from harness import DONE, MIB  # noqa: E402

WORKS = ("map", "one more", "unmap")
WAYS = ("configfs", "rtslib", "targetcli")
FEW = 10

#: The volumes that all the views show; the last one is left to the measured works.
VOLUMES = 16

#: A host for each view, and the hosts of the measured works.
HOST = "iqn.2026-11.example.host:{:05}"
FIRST, MORE = 90_000, 90_001

#: Runs in the guest: the same works without the gateway.
BY_HAND = Path(__file__).resolve().parent / "masking_by_hand.py"


class Bench(views.Views):
    """A gateway with volumes, and clients that measure."""

    def start(self, vm):
        """The gateway, its volumes, and the connections."""
        self.vm = vm
        self.run("vgcreate -q vg0 /dev/vda; mkdir -p /run/dbus && dbus-daemon --system --fork")
        self.configure()
        self.serve()
        for number in range(VOLUMES):
            self.create(f"v{number}", 4 * MIB)
        self.ports = [self.connection.GetInstance(p)["Name"] for p in self.array.target_endpoints()]
        url = f"http://127.0.0.1:{vm.port[scenario.PORT]}"
        # Unlike the story's, this one does not validate what it receives.
        self.client = pywbem.WBEMConnection(url, ("admin", self.password), self.array.namespace,
                                            timeout=180)
        self.made = 0

    def call(self, method, **words):
        """A method of the masking service; milliseconds and outputs."""
        began = time.monotonic()
        code, outputs = self.client.InvokeMethod(method, self.array.masking, **words)
        taken = (time.monotonic() - began) * 1e3
        if code != DONE:
            sys.exit(f"{method} answered {code}")
        return taken, outputs

    def expose(self, volume, host):
        """Shows a volume to a host in a view of its own; milliseconds and the view."""
        taken, outputs = self.call(
            "ExposePaths", LUNames=[self.names[f"v{volume}"]], InitiatorPortIDs=[HOST.format(host)],
            TargetPortIDs=self.ports, DeviceAccesses=[pywbem.Uint16(2)])
        return taken, outputs["ProtocolControllers"][0]

    def fill(self, count):
        """Makes views until there are that many; tells the time of each hundred."""
        while self.made < count:
            goal = min(count, self.made + 100)
            taken = [self.expose(number % (VOLUMES - 1) if number else VOLUMES - 1, number)[0]
                     for number in range(self.made, goal)]
            print(f"views {self.made} to {goal}: {statistics.median(taken):.0f} ms each", flush=True)
            self.made = goal

    def works(self, times):
        """Milliseconds of each work: the median."""
        taken = {work: [] for work in WORKS}
        spare = f"v{VOLUMES}"
        if spare not in self.volumes:
            self.create(spare, 4 * MIB)
        for _ in range(times):
            spent, view = self.expose(VOLUMES, FIRST)
            taken["map"].append(spent)
            more = dict(InitiatorPortIDs=[HOST.format(MORE)], ProtocolControllers=[view])
            taken["one more"].append(self.call("ExposePaths", **more)[0])
            self.call("HidePaths", **more)
            taken["unmap"].append(self.call("DeleteProtocolController", ProtocolController=view)[0])
        return {work: statistics.median(values) for work, values in taken.items()}

    def raw(self, times, operation, *arguments, **words):
        """Milliseconds of a request over a raw connection, and the bytes of its answer."""
        getattr(self.client, operation)(*arguments, **words)
        request = self.client.last_raw_request.encode()
        user = base64.b64encode(f"admin:{self.password}".encode()).decode()
        headers = {"Authorization": f"Basic {user}", "Content-Type": "application/xml; charset=utf-8",
                   "CIMOperation": "MethodCall", "CIMMethod": operation, "CIMObject": self.array.namespace}
        line = http.client.HTTPConnection("127.0.0.1", self.vm.port[scenario.PORT], timeout=180)
        taken = []
        # The first one opens the connection and is not counted.
        for _ in range(times + 1):
            began = time.monotonic()
            line.request("POST", "/cimom", request, headers)
            answer = line.getresponse().read()
            taken.append((time.monotonic() - began) * 1e3)
        line.close()
        return statistics.median(taken[1:]), len(answer)

    def lists(self, times):
        """The list of the views, and the step from a volume to its only view."""
        # Only the view of the first host shows that volume.
        volume = self.volumes[f"v{VOLUMES - 1}"]
        return {
            "EnumerateInstances": self.raw(times, "EnumerateInstances", "CIM_SCSIProtocolController"),
            "AssociatorNames": self.raw(times, "AssociatorNames", volume,
                                        AssocClass="CIM_ProtocolControllerForUnit"),
        }

    def all(self, times):
        """Everything that is measured with few views and with many."""
        return self.works(times), self.lists(times), self.at_rest()

    def at_rest(self):
        """Milliseconds of processor time in a second of rest."""
        ticks = ("awk '{print $14 + $15}' /proc/$(cat " + f"{scenario.STATE}/pid)/stat; ")
        spent = self.run(f"{ticks} sleep 20; {ticks} getconf CLK_TCK").split()
        return (int(spent[1]) - int(spent[0])) * 1e3 / int(spent[2]) / 20

    def by_hand(self, times, way):
        """Milliseconds of each work without the gateway, on a volume of its own."""
        self.run("[ -e /dev/vg0/by-hand ] || lvcreate -q -y -L 4M -n by-hand vg0")
        return json.loads(self.run(f"python3 {BY_HAND} {way} {times} /dev/vg0/by-hand", timeout=900))


def main():
    options = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    options.add_argument("--times", type=int, default=8, help="works of each kind (default: 8)")
    options.add_argument("--views", type=int, default=1000, help="how many are many (default: 1000)")
    chosen = options.parse_args()
    program = programs.built()["program", "bin", "standpipe"]
    with tempfile.TemporaryDirectory(prefix="standpipe-disks-") as folder:
        with machine.Machine(views.disks(folder), ports=scenario.PORTS, limit=7200) as vm:
            bench = Bench(program)
            bench.start(vm)
            bench.fill(FEW)
            few, few_lists, few_rest = bench.all(chosen.times)
            hand = {way: bench.by_hand(chosen.times if way != "targetcli" else 2, way) for way in WAYS}
            bench.fill(chosen.views)
            many, many_lists, many_rest = bench.all(chosen.times)
            bench.stop()
    titles = ["gateway", "many", *WAYS, "many/few", *(f"/{way}" for way in WAYS)]
    print(f"{'milliseconds':14}" + "".join(f"{title:>11}" for title in titles))
    for work in WORKS:
        values = [few[work], many[work], *(hand[way][work] for way in WAYS)]
        ratios = [many[work] / few[work], *(few[work] / hand[way][work] for way in WAYS)]
        print(f"{work:14}" + "".join(f"{value:>11.1f}" for value in values)
              + "".join(f"{ratio:>11.2f}" for ratio in ratios))
    few_title, many_title = f"{FEW} views", f"{chosen.views} views"
    print(f"\n{'milliseconds':20}{few_title:>14}{many_title:>14}{'ratio':>9}{'ratio of bytes':>16}")
    for request, (taken, size) in few_lists.items():
        later, larger = many_lists[request]
        print(f"{request:20}{taken:>14.1f}{later:>14.1f}{later / taken:>9.2f}{larger / size:>16.2f}")
    print(f"{'at rest':20}{few_rest:>14.1f}{many_rest:>14.1f}{many_rest / max(few_rest, 0.1):>9.2f}")


if __name__ == "__main__":
    main()
