"""Nothing half-made, whatever comes: a crowd of clients, the death of the gateway in the middle of its
work, or that of the machine's power.

A client asks for something. When the gateway's log tells of the step that the story waits for, the
gateway is killed there and then, or the machine loses its power; then it starts again on the same
disks. The judges are LVM, configfs, checksums of what nobody asked to change, and the jobs.
"""

import os
import random
import re
import subprocess
import sys
import threading
import time

import pywbem
import requests

import machine
import scenario
from deeds import COMPLETED, ENDED, FOREIGN, Deeds
from harness import MIB, Checks

#: The disks of the machine in order.
DISKS = [("pool", 320), ("state", 128), ("leg0", 320)]
#: Seconds in which kills begin; the moments that are left out are named.
BUDGET = float(os.environ.get("STANDPIPE_KILLS", "40"))
#: How many clients act at random before all that, and for how many seconds; 64 and 300 by hand.
CROWD = os.environ.get("STANDPIPE_CROWD", "10 8").split()
#: Where the power fails: the deed, and the moment in it.
CUTS = [("create", 4), ("grow", 5)]
#: What the log says once before and once after each step.
STEP = "a step "

#: Starts the gateway. Its log goes to a folder of the host's, through a loop that kills it at the
#: step whose number lies in the file `armed`, counted from when that is there.
SERVE = """
cd {state}
rm -f lines out armed
mkfifo lines
STANDPIPE_LOG=info,standpipe::array::work=debug {program} serve --config standpipe.toml > out 2> lines &
pid=$!
echo $pid > pid
(
    seen=0
    while IFS= read -r line; do
        printf '%s\\n' "$line"
        case $line in *"{step}"*)
            if [ -e armed ]; then
                seen=$((seen + 1))
                [ $seen != $(< armed) ] || kill -KILL $pid
            fi
        esac
    done < lines > {log}
) &
until grep -q ^ready out; do
    kill -0 $pid || {{ cat {log} >&2; exit 1; }}
    sleep 0.1
done
"""


def disks(folder):
    """The disks' files."""
    return [machine.blank_disk(f"{folder}/{name}", size * MIB) for name, size in DISKS]


class Power(Deeds):
    """An array that dies again and again."""

    def __init__(self, program):
        super().__init__(program)
        self.checks = Checks("kernel power")
        self.sums = {}
        self.killed, self.left_out = 0, []

    # --- the machine ----------------------------------------------------------------------------

    @property
    def log(self):
        """The log of the gateway that runs, as the host sees it."""
        return self.vm.folder / "log"

    def serve(self):
        """Starts the gateway, and finds the array through it."""
        self.run(SERVE.format(state=scenario.STATE, program=self.program, step=STEP, log=self.log),
                 timeout=120)
        self.connect()

    def steps(self):
        """How many beginnings and ends of steps the log tells of."""
        return sum(STEP in line for line in self.log.read_text(errors="replace").splitlines())

    def wait_for_death(self):
        self.run(f"pid=$(cat {scenario.STATE}/pid); for wait in $(seq 600); do "
                 "kill -0 $pid 2>/dev/null || exit 0; sleep 0.2; done; exit 1", timeout=150)

    def sums_now(self):
        """Checksums of what nobody asks to change."""
        return {"foreign": self.sum_of(FOREIGN), "bystander": self.sum_of(self.device("bystander"))}

    # --- the story ------------------------------------------------------------------------------

    def crowd(self):
        """Many clients at once, and nothing half-made when they are gone."""
        clients, seconds = CROWD
        script = scenario.HERE.parent.parent / "conformance" / "crowd.py"
        url = f"http://127.0.0.1:{self.vm.port[scenario.PORT]}"
        ended = subprocess.run(
            [sys.executable, "-B", script, url, "--clients", clients, "--seconds", seconds],
            env={**os.environ, "STANDPIPE_PASSWORD": self.password}, text=True,
            stdout=subprocess.PIPE, stderr=subprocess.STDOUT)
        print(ended.stdout, end="", flush=True)
        self.checks.equal(ended.returncode, 0, "a crowd of clients leaves what its answers said")
        self.nothing_half_made()

    def start(self, vm):
        """The array, with a volume that a host uses, one that nobody sees, and one of somebody else."""
        self.vm = vm
        self.run("vgcreate -q vg0 /dev/vda /dev/vdc && lvcreate -q -y -L 8M -n foreign vg0 && "
                 f"yes 'of somebody else' | dd of={FOREIGN} bs=1M count=8 iflag=fullblock status=none")
        self.configure()
        self.serve()
        for name in ("shown", "bystander"):
            self.whole(self.create, name)
            self.find(name)
        self.run(f"yes 'a bystander' | dd of={self.device('bystander')} bs=1M count=8 "
                 "iflag=fullblock oflag=direct status=none")
        self.sums = self.sums_now()
        self.volume = self.paths["shown"]
        self.mask()
        self.checks.that(self.disk(f"write -P {0x5A} 0 {MIB}"), "the host writes")
        _, outputs = self.connection.InvokeMethod(
            "CreateStorageHardwareID", self.array.hardware_ids, ElementName="two",
            StorageID=scenario.OTHER, IDType=pywbem.Uint16(5))
        for kind, members in {2: [outputs["HardwareID"]], 4: [self.paths["bystander"]]}.items():
            _, outputs = self.connection.InvokeMethod(
                "CreateGroup", self.array.masking, GroupName="other", Type=pywbem.Uint16(kind),
                Members=members)
            self.other[kind] = outputs["MaskingGroup"]

    def moments(self):
        """Every moment of every deed, which is done whole for that; mixed, but always alike."""
        found = []
        for deed in self.deeds():
            deed.before()
            before = self.steps()
            self.whole(deed.ask)
            # The answer may be faster than the log.
            end = time.monotonic() + 30
            while (count := self.steps() - before) % 2 and time.monotonic() < end:
                time.sleep(0.1)
            self.checks.that(count >= 2 and count % 2 == 0, f"to {deed.name} takes steps", str(count))
            self.checks.that(deed.is_done(), f"to {deed.name} is possible")
            deed.after()
            found += [(moment, deed) for moment in range(1, count + 1)]
        random.Random(1).shuffle(found)
        return found

    def kills(self):
        """The gateway is killed before and after every step of everything that is asked for."""
        moments, began = self.moments(), time.monotonic()
        for moment, deed in moments:
            if time.monotonic() - began > BUDGET:
                self.left_out.append(f"{deed.name} {moment}")
                continue
            deed.before()
            self.run(f"echo {moment} > {scenario.STATE}/armed")
            self.die(deed, self.wait_for_death)
            self.serve()
            self.rise(deed, f"the gateway was killed at moment {moment} of {deed.name}")
            self.killed += 1
        self.checks.section(f"killed at {self.killed} of {len(moments)} moments, in "
                            f"{time.monotonic() - began:.0f} s")
        if self.left_out:
            self.checks.section(f"left out: {', '.join(self.left_out)}")

    def cut(self, name, moment):
        """The power fails while something is done."""
        deed = next(deed for deed in self.deeds() if deed.name == name)
        deed.before()
        last = self.steps() + moment

        def fail():
            end = time.monotonic() + 150
            while self.steps() < last and time.monotonic() < end:
                time.sleep(0.005)
            self.vm.power_cut()
        self.die(deed, fail)

    def boot(self, vm, name, moment):
        """The machine starts again on its disks."""
        self.vm = vm
        self.run(f"mkdir -p {scenario.STATE} && mount /dev/vdb {scenario.STATE} && "
                 "lvchange -q -ay vg0/foreign")
        self.serve()
        deed = next(deed for deed in self.deeds() if deed.name == name)
        self.rise(deed, f"the power failed at moment {moment} of {name}")

    def die(self, deed, wait):
        """Asks for something and waits until that was too much."""
        def ask():
            try:
                deed.ask()
            except (pywbem.Error, requests.RequestException):
                pass  # Nobody lives to answer.
        asking = threading.Thread(target=ask, daemon=True)
        asking.start()
        wait()
        asking.join(240)
        self.checks.that(not asking.is_alive(), "the client does not wait for ever")

    def rise(self, deed, when):
        """All of it is done or nothing, nothing else has changed, and the job says which."""
        checks = self.checks
        failed = checks.failed
        # What takes long goes on in the started array.
        for job in self.array.enumerate("CIM_ConcreteJob"):
            if job["JobState"] not in ENDED:
                self.ended(job.path)
        is_done = deed.is_done()
        self.nothing_half_made()
        jobs = self.array.enumerate("CIM_ConcreteJob")
        last = max(jobs, key=lambda job: str(job["TimeSubmitted"]))
        checks.equal(last["JobState"] == COMPLETED, is_done, f"the job tells the truth: {last['JobStatus']}")
        checks.equal(checks.failed, failed, f"nothing is half-made after {when}")
        deed.after()

    def nothing_half_made(self):
        """LVM, the kernel and the array agree, and nobody else was touched."""
        checks = self.checks
        text = self.run("lvs --noheadings -o lv_uuid,lv_tags vg0")
        ours = {line.split()[0] for line in text.splitlines() if "standpipe.v1" in line}
        mine = {item["DeviceID"] for item in self.array.enumerate("CIM_StorageVolume")
                if item["ElementName"] != "foreign"}
        checks.equal(ours, mine, "every LV of ours is a volume")
        checks.that("standpipe.job" not in text, "no LV bears the mark of a job", text)
        hidden = self.run("lvs -a --noheadings -o lv_name vg0")
        checks.that("pvmove" not in hidden, "nothing is being moved", hidden)
        rows = self.rows()
        checks.equal(len(rows), len(self.array.enumerate("CIM_ProtocolControllerForUnit")),
                     "hosts see what views show")
        stores = set(re.findall(r"standpipe\.(\S+)", self.run("ls -d /sys/kernel/config/target/core/*/*")))
        checks.equal(stores, set(rows.values()), "every backstore is shown to somebody")
        checks.equal(self.sums_now(), self.sums, "nobody else's data has changed")
        suspended = self.run("dmsetup info -c --noheadings -o name,suspended | grep -v Active || true")
        checks.equal(suspended.strip(), "", "no device is suspended")


def whole(program, folder):
    """The whole story; how many checks failed."""
    power, files = Power(program), disks(folder)
    with machine.Machine(files, ports=scenario.PORTS) as vm:
        power.start(vm)
        power.checks.section("Many clients at once.")
        power.checks.step(power.crowd)
        power.checks.section("The gateway is killed before and after each step of its work.")
        power.checks.step(power.kills)
        power.checks.section("The power fails.")
        power.checks.step(power.cut, *CUTS[0])
    for number, cut in enumerate(CUTS):
        with machine.Machine(files, ports=scenario.PORTS) as vm:
            power.checks.step(power.boot, vm, *cut)
            if number + 1 < len(CUTS):
                power.checks.step(power.cut, *CUTS[number + 1])
    return power.checks.finish()
