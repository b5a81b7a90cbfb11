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
from dataclasses import dataclass
from typing import Callable

import pywbem
import requests

import machine
import scenario
from harness import DONE, MIB, Checks

#: The disks of the machine in order.
DISKS = [("pool", 320), ("state", 128), ("leg0", 320)]
FOREIGN = "/dev/vg0/foreign"
SIZE = 8 * MIB
#: Seconds in which kills begin; the moments that are left out are named.
BUDGET = float(os.environ.get("STANDPIPE_KILLS", "70"))
#: How many clients act at random before all that, and for how many seconds; 64 and 300 by hand.
CROWD = os.environ.get("STANDPIPE_CROWD", "12 10").split()
#: Where the power fails: the deed, and the moment in it.
CUTS = [("create", 4), ("grow", 5)]
#: What the log says once before and once after each step.
STEP = "a step "
#: `JobState` of a job that has ended, and of one that ended well.
ENDED, COMPLETED = (7, 8, 9, 10), 7
JOB_STARTED = 4096

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


@dataclass
class Deed:
    """Something that a client asks for."""

    name: str
    #: Brings about what must be there before.
    before: Callable
    #: Asks for it; returns the answer.
    ask: Callable
    #: Checks that all of it is done, or nothing; returns which.
    is_done: Callable
    #: Takes it away again where it was done.
    after: Callable


class Power(scenario.Story):
    """An array that dies again and again."""

    def __init__(self, program):
        super().__init__(program)
        self.checks = Checks("kernel power")
        self.paths, self.sums, self.other = {}, {}, {}
        self.size = 0
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

    def sum_of(self, device):
        """The checksum of a device."""
        return self.run(f"dd if={device} bs=1M iflag=direct status=none | cksum")

    def device(self, name):
        """The device of a volume."""
        uuid = self.paths[name]["DeviceID"]
        path = self.run(f"lvs --noheadings -o lv_dm_path -S lv_uuid={uuid} vg0").strip()
        self.run(f"[ -e {path} ] || lvchange -q -ay -S lv_uuid={uuid} vg0")
        return path

    def sums_now(self):
        """Checksums of what nobody asks to change."""
        return {"foreign": self.sum_of(FOREIGN), "bystander": self.sum_of(self.device("bystander"))}

    def rows(self):
        """What the kernel shows: (initiator, number) -> UUID of the volume."""
        text = self.run(f"cd /sys/kernel/config/target/iscsi/{scenario.IQN}/tpgt_1/acls\n"
                        "for row in */lun_*; do\n"
                        "    [ ! -d $row ] || echo $row $(readlink -f $row/standpipe-*/*-*)\n"
                        "done")
        found = re.findall(r"(\S+)/lun_(\d+) \S*/standpipe\.(\S+)", text)
        return {(initiator, int(number)): uuid for initiator, number, uuid in found}

    # --- what is asked for ----------------------------------------------------------------------

    def deeds(self):
        """All of them."""
        return [
            Deed("create", self.delete_new, lambda: self.create("new"), self.is_created, self.delete_new),
            Deed("grow", self.note_size, self.grow, self.is_grown, lambda: None),
            Deed("delete", self.make_new, self.delete, lambda: self.find("new") is None, self.delete_new),
            Deed("show", self.hide_all, self.show, self.is_shown, self.hide_all),
            Deed("hide", self.make_shown, self.hide, lambda: not self.is_shown(), self.hide_all),
        ]

    def whole(self, ask, *arguments):
        """Has something done that nobody disturbs."""
        code, outputs = ask(*arguments)
        if code == JOB_STARTED:
            job = self.ended(outputs["Job"])
            code = DONE if job["JobState"] == COMPLETED else job["ErrorCode"]
        self.checks.equal(code, DONE, "what is prepared is done")

    def ended(self, path):
        """A job that has ended."""
        end = time.monotonic() + 180
        while (job := self.connection.GetInstance(path))["JobState"] not in ENDED:
            if time.monotonic() > end:
                raise TimeoutError(f"{path} does not end")
            time.sleep(0.3)
        return job

    def find(self, name):
        """The path of a volume by its name, which is noted; None while there is none."""
        found = [item.path for item in self.array.enumerate("CIM_StorageVolume")
                 if item["ElementName"] == name]
        self.paths[name] = found[0] if found else None
        return self.paths[name]

    def create(self, name):
        return self.connection.InvokeMethod(
            "CreateOrModifyElementFromStoragePool", self.array.configuration, ElementName=name,
            ElementType=pywbem.Uint16(2), InPool=self.pool(), Size=pywbem.Uint64(SIZE))

    def is_created(self):
        if self.find("new") is None:
            return False
        zeros = self.run(f"head -c {SIZE} /dev/zero | cksum")
        return self.checks.equal(self.sum_of(self.device("new")), zeros, "what was made holds nothing old")

    def make_new(self):
        if self.find("new") is None:
            self.whole(self.create, "new")
            self.find("new")

    def delete(self):
        return self.connection.InvokeMethod("ReturnToStoragePool", self.array.configuration,
                                            TheElement=self.paths["new"])

    def delete_new(self):
        if self.find("new") is not None:
            self.whole(self.delete)

    def shown_size(self):
        return self.lvs()[self.paths["shown"]["DeviceID"]]

    def note_size(self):
        self.size = self.shown_size()

    def grow(self):
        return self.connection.InvokeMethod(
            "CreateOrModifyElementFromStoragePool", self.array.configuration,
            ElementType=pywbem.Uint16(2), TheElement=self.paths["shown"],
            Size=pywbem.Uint64(self.size + 8 * MIB))

    def is_grown(self):
        now = self.shown_size()
        self.checks.that(now in (self.size, self.size + 8 * MIB), "it has the old size or the new", str(now))
        self.checks.that(self.reads(0x5A, 0, MIB), "the host reads what it wrote")
        self.checks.that(self.reads(0, MIB, now - MIB), "and zeros behind that")
        return now > self.size

    def other_view(self):
        """The path of the other host's view; None while there is none."""
        found = [item.path for item in self.array.enumerate("CIM_SCSIProtocolController")
                 if item["ElementName"] == "other"]
        return found[0] if found else None

    def show(self):
        return self.connection.InvokeMethod(
            "CreateMaskingView", self.array.masking, ElementName="other",
            InitiatorMaskingGroup=self.other[2], TargetMaskingGroup=self.groups[3],
            DeviceMaskingGroup=self.other[4])

    def hide(self):
        return self.connection.InvokeMethod("DeleteMaskingView", self.array.masking,
                                            ProtocolController=self.other_view())

    def is_shown(self):
        is_shown = any(initiator == scenario.OTHER for initiator, _ in self.rows())
        self.checks.equal(is_shown, self.other_view() is not None,
                          "the host is shown it if and only if a view says so")
        return is_shown

    def make_shown(self):
        if self.other_view() is None:
            self.whole(self.show)

    def hide_all(self):
        if self.other_view() is not None:
            self.whole(self.hide)

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
        is_done = deed.is_done()
        self.nothing_half_made()
        jobs = self.array.enumerate("CIM_ConcreteJob")
        checks.that(all(job["JobState"] in ENDED for job in jobs), "every job has ended")
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
