"""Nothing half-made, whatever comes: a crowd of clients, the death of the gateway in the middle of its
work, or that of the machine's power.

A client asks for something. When the gateway's log tells of the step that the story waits for, the
gateway is killed there and then, or the machine loses its power; then it starts again on the same
disks. The judges are LVM, configfs, checksums of what nobody asked to change, and the jobs.
"""

import itertools
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
from deeds import COMPLETED, ENDED, FOREIGN
from harness import MIB, Checks
from pool_deeds import CALM, FREE, KEPT, THIN_ONES, PoolDeeds

#: The disks of the machine in order; pools are made from the bare ones.
DISKS = [("pool", 384), ("state", 128), ("leg0", 384), *((f"bare{n}", 80) for n in range(4))]
STORAGE = f"""volume_groups = ["vg0"]
disks = {[*KEPT, *FREE]}
erase = "none"
""".replace("'", '"')
#: Seconds in which kills begin; the moments that are left out are named.
BUDGET = float(os.environ.get("STANDPIPE_KILLS", "40"))
#: With so many all moments are reached, and the steps are counted, too.
WHOLE = 600
#: How many clients act at random before all that, and for how many seconds; 64 and 300 by hand.
CROWD = os.environ.get("STANDPIPE_CROWD", "10 8").split()
#: Where the power fails: the deed, the moment in it, and how many percent of its job are done then.
CUTS = [("clone much", 5, 10), ("move much", 1, 10), ("snapshot", 2, 0), ("grow", 5, 0),
        ("create", 4, 0), ("evacuate", 5, 0), ("erase", 3, 0)]
#: In how many of these, from the first one on.
POWER = int(os.environ.get("STANDPIPE_CUTS", "3"))
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


class Power(PoolDeeds):
    """An array that dies again and again."""

    def __init__(self, program):
        super().__init__(program)
        self.checks = Checks("kernel power")
        self.sums = {}
        self.killed = 0

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

    def stop(self):
        """Ends it in order."""
        self.run(f"kill $(cat {scenario.STATE}/pid)")
        self.wait_for_death()

    def steps(self):
        """How many beginnings and ends of steps the log tells of."""
        return sum(STEP in line for line in self.log.read_text(errors="replace").splitlines())

    def wait_for_death(self):
        self.run(f"pid=$(cat {scenario.STATE}/pid); for wait in $(seq 600); do "
                 "kill -0 $pid 2>/dev/null || exit 0; sleep 0.2; done; exit 1", timeout=150)

    def sums_now(self):
        """Checksums of what nobody asks to change."""
        names = ["bystander", CALM, *THIN_ONES]
        rows = self.run("lvs --noheadings -o lv_uuid,lv_dm_path,lv_full_name").splitlines()
        rows = {row.split()[0]: row.split()[1:] for row in rows if len(row.split()) == 3}
        ours = [rows[self.paths[name]["DeviceID"]] for name in names]
        text = self.run("\n".join(
            [f"[ -e {path} ] || lvchange -q -ay -K {volume}" for path, volume in ours]
            + [f"dd if={path} bs=1M iflag=direct status=none | cksum"
               for path in (FOREIGN, *(path for path, _ in ours))]))
        return dict(zip(["foreign", *names], text.splitlines(), strict=True))

    def configure(self):
        super().configure()
        self.run(f"cat > /run/storage <<'END'\n{STORAGE}\nEND\n"
                 f"sed -i -e '/^volume_groups/r /run/storage' -e '/^volume_groups/d' "
                 f"{scenario.STATE}/standpipe.toml")

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
        self.make_kept()
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

    def count(self):
        """Every deed is done whole, to see that it takes as many steps as it is said to."""
        for deed in self.deeds():
            deed.before()
            before = self.steps()
            self.whole(deed.ask)
            # The answer may be faster than the log.
            end = time.monotonic() + 30
            while self.steps() - before < 2 * deed.steps and time.monotonic() < end:
                time.sleep(0.1)
            self.checks.equal(self.steps() - before, 2 * deed.steps, f"the steps to {deed.name}")
            self.checks.that(deed.is_done(), f"to {deed.name} is possible")
            deed.after()

    def moments(self):
        """Every moment of every deed, a moment of each deed in turn; mixed, but always alike."""
        order = random.Random(1)
        each = [[(moment, deed) for moment in range(1, 2 * deed.steps + 1)] for deed in self.deeds()]
        for of_one in each:
            order.shuffle(of_one)
        turns = itertools.chain(*itertools.zip_longest(*each))
        return [entry for entry in turns if entry is not None]

    def kills(self):
        """The gateway is killed before and after every step of everything that is asked for."""
        moments, began, left_out = self.moments(), time.monotonic(), []
        for moment, deed in moments:
            if time.monotonic() - began > BUDGET:
                left_out.append(f"{deed.name} {moment}")
                continue
            self.checks.step(self.kill, deed, moment)
        self.checks.section(f"killed at {self.killed} of {len(moments)} moments, in "
                            f"{time.monotonic() - began:.0f} s")
        if left_out:
            self.checks.section(f"left out: {', '.join(left_out)}")

    def kill(self, deed, moment):
        """The gateway is killed at a moment of a deed, and starts again."""
        deed.before()
        self.run(f"echo {moment} > {scenario.STATE}/armed")
        self.die(deed, self.wait_for_death)
        self.serve()
        self.killed += 1
        self.rise(deed, f"the gateway was killed at moment {moment} of {deed.name}")

    def deed(self, name):
        return next(deed for deed in [*self.deeds(), *self.slow_deeds()] if deed.name == name)

    def cut(self, name, moment, percent):
        """The power fails while something is done."""
        deed = self.deed(name)
        deed.before()
        last = self.steps() + moment
        looks = self.connection.copy()

        def fail():
            end = time.monotonic() + 150
            while self.steps() < last and time.monotonic() < end:
                time.sleep(0.005)
            done = 0
            while done < percent and time.monotonic() < end:
                jobs = looks.EnumerateInstances("CIM_ConcreteJob", namespace=self.array.namespace)
                done = max(jobs, key=lambda job: str(job["TimeSubmitted"]))["PercentComplete"]
            self.vm.power_cut()
            self.checks.that(done < 100, f"the power fails while it is on its way to {name}")
            self.checks.section(f"the power fails at moment {moment} of {name}, after {done} %")
        self.die(deed, fail)

    def boot(self, vm, name, moment, percent):
        """The machine starts again on its disks."""
        self.vm = vm
        self.run(f"mkdir -p {scenario.STATE} && mount /dev/vdb {scenario.STATE} && "
                 "lvchange -q -ay vg0/foreign")
        self.serve()
        self.rise(self.deed(name), f"the power failed at moment {moment} of {name}, after {percent} %")

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
        text, hidden, disks = self.run(
            "lvs --noheadings -o lv_uuid,lv_tags; vgs --noheadings -o vg_uuid,vg_tags; echo ---\n"
            "lvs -a --noheadings -o lv_name; echo ---\n"
            "pvs --noheadings -o pv_name,vg_name,pv_attr").split("---\n")
        ours = {line.split()[0] for line in text.splitlines() if "standpipe.v1" in line}
        mine = {item["DeviceID"] for item in self.array.enumerate("CIM_StorageVolume")
                if item["ElementName"] != "foreign"}
        mine |= {item["InstanceID"].split(":")[-1] for item in self.array.pools()
                 if item["ElementName"] != "vg0"}
        checks.equal(ours, mine, "every LV and volume group of ours is a volume or pool")
        checks.that("standpipe.job" not in text, "none bears the mark of a job", text)
        checks.that("pvmove" not in hidden, "nothing is being moved", hidden)
        rows = [line.split() for line in disks.splitlines()]
        are_open = all(len(row) == 3 and row[2][0] == "a" for row in rows)
        checks.that(are_open, "each disk that LVM knows belongs to a group and takes volumes", disks)
        rows = self.rows()
        checks.equal(len(rows), len(self.array.enumerate("CIM_ProtocolControllerForUnit")),
                     "hosts see what views show")
        stores = set(re.findall(r"standpipe\.(\S+)", self.run("ls -d /sys/kernel/config/target/core/*/*")))
        checks.equal(stores, set(rows.values()), "every backstore is shown to somebody")
        checks.equal(self.sums_now(), self.sums, "nobody else's data has changed")
        checks.that("unfinished" not in self.log.read_text(errors="replace"), "nothing is left to be ended")
        suspended = self.run("dmsetup info -c --noheadings -o name,suspended | grep -v Active || true")
        checks.equal(suspended.strip(), "", "no device is suspended")


def whole(program, folder):
    """The whole story; how many checks failed."""
    power, files = Power(program), disks(folder)
    cuts = CUTS[:POWER]
    with machine.Machine(files, ports=scenario.PORTS, limit=1800 + 2 * BUDGET) as vm:
        power.start(vm)
        power.checks.section("Many clients at once.")
        power.checks.step(power.crowd)
        power.checks.section("The gateway is killed before and after each step of its work.")
        power.checks.step(power.kills)
        if BUDGET > WHOLE:
            power.checks.section("The steps are counted.")
            power.checks.step(power.count)
        power.checks.section("The power fails.")
        power.checks.step(power.cut, *cuts[0])
    for number, cut in enumerate(cuts):
        with machine.Machine(files, ports=scenario.PORTS) as vm:
            power.checks.step(power.boot, vm, *cut)
            if number + 1 < len(cuts):
                power.checks.step(power.cut, *cuts[number + 1])
    return power.checks.finish()
