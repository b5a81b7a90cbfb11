"""What clients ask of the array in the stories of power: each with what must be there before, what is
looked at afterwards to tell whether it is done, and what takes it away again. What concerns pools,
thin volumes and whole disks is in `pool_deeds`.
"""

import re
import time
from dataclasses import dataclass
from typing import Callable

import pywbem

import scenario
from harness import DONE, MIB

FOREIGN = "/dev/vg0/foreign"
SIZE = 8 * MIB
#: What takes a while.
MUCH = 96 * MIB
#: `JobState` of a job that has ended, and of one that ended well.
ENDED, COMPLETED = (7, 8, 9, 10), 7
JOB_STARTED = 4096
#: `ElementType` of volumes.
FULL, THIN = 2, 5
#: `SyncType`, `Operation` of Replication Services.
SNAPSHOT, CLONE = 7, 8
RESTORE = 15
#: Two snapshots of one moment.
BOTH = ["both-1", "both-2"]


@dataclass
class Deed:
    """Something that a client asks for."""

    name: str
    #: How many steps it takes.
    steps: int
    #: Brings about what must be there before.
    before: Callable
    #: Asks for it; returns the answer.
    ask: Callable
    #: Checks that all of it is done, or nothing; returns which.
    is_done: Callable
    #: Takes it away again where it was done.
    after: Callable


class Deeds(scenario.Story):
    """A story whose client asks for all kinds of things."""

    def __init__(self, program):
        super().__init__(program)
        self.paths, self.other = {}, {}
        self.size = 0
        self.moved_to = self.copies = None
        self.sums_of_new = {}

    # --- looking --------------------------------------------------------------------------------

    def sum_of(self, device):
        """The checksum of a device."""
        return self.run(f"dd if={device} bs=1M iflag=direct status=none | cksum")

    def device(self, name):
        """The device of a volume."""
        uuid = self.paths[name]["DeviceID"]
        path, volume = self.run(f"lvs --noheadings -o lv_dm_path,lv_full_name -S lv_uuid={uuid}").split()
        self.run(f"[ -e {path} ] || lvchange -q -ay -K {volume}")
        return path

    def pool(self):
        """The pool that was there from the beginning."""
        return self.pool_named("vg0")

    def pool_named(self, name):
        """The path of a pool; None while there is none of that name."""
        found = [item.path for item in self.array.pools() if item["ElementName"] == name]
        return found[0] if found else None

    def rows(self):
        """What the kernel shows: (initiator, number) -> UUID of the volume."""
        text = self.run(f"cd /sys/kernel/config/target/iscsi/{scenario.IQN}/tpgt_1/acls\n"
                        "for row in */lun_*; do\n"
                        "    [ ! -d $row ] || echo $row $(readlink -f $row/standpipe-*/*-*)\n"
                        "done")
        found = re.findall(r"(\S+)/lun_(\d+) \S*/standpipe\.(\S+)", text)
        return {(initiator, int(number)): uuid for initiator, number, uuid in found}

    # --- volumes and views ----------------------------------------------------------------------

    def deeds(self):
        """All of them; those by which most can be lost come first."""
        return [
            Deed("restore", 5, self.make_changed, self.restore, self.is_restored, self.delete_changed),
            Deed("clone", 6, lambda: self.forget("replica"),
                 lambda: self.replicate("bystander", "replica", CLONE), self.is_replicated,
                 lambda: self.forget("replica")),
            Deed("moment", 3, self.forget_both, lambda: self.replicate_both("bystander", "shown"),
                 lambda: self.are_both("bystander", "shown"), self.forget_both),
            Deed("move", 1, lambda: self.choose_other("bystander"), lambda: self.move("bystander"),
                 lambda: self.is_moved("bystander"), lambda: None),
            Deed("grow", 3, self.note_size, self.grow, self.is_grown, lambda: None),
            Deed("mirror", 2, self.choose_copies, self.change_copies, self.has_copies, self.back_to_one),
            Deed("split", 1, self.make_mirror, self.change_copies, self.has_copies, self.back_to_one),
            Deed("create", 3, self.delete_new, lambda: self.create("new"), self.is_created,
                 self.delete_new),
            Deed("delete", 2, self.make_plain, self.delete, lambda: self.find("new") is None,
                 self.delete_new),
            Deed("snapshot", 2, lambda: self.forget("replica"),
                 lambda: self.replicate("bystander", "replica", SNAPSHOT), self.is_replicated,
                 lambda: self.forget("replica")),
            Deed("show", 1, self.hide_all, self.show, self.is_shown, self.hide_all),
            Deed("hide", 1, self.make_shown, self.hide, lambda: not self.is_shown(), self.hide_all),
        ]

    def slow_deeds(self):
        """Those that take long enough to look how far they are."""
        return [
            Deed("clone much", 6, self.make_much, lambda: self.replicate("much", "replica", CLONE),
                 lambda: self.is_replicated("much"), lambda: self.forget("replica")),
            Deed("move much", 1, self.choose_much, lambda: self.move("much"), self.is_much_moved,
                 lambda: None),
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

    def create(self, name, pool=None, kind=FULL, size=SIZE):
        return self.connection.InvokeMethod(
            "CreateOrModifyElementFromStoragePool", self.array.configuration, ElementName=name,
            ElementType=pywbem.Uint16(kind), InPool=pool or self.pool(), Size=pywbem.Uint64(size))

    def is_created(self):
        if self.find("new") is None:
            return False
        zeros = self.run(f"head -c {SIZE} /dev/zero | cksum")
        return self.checks.equal(self.sum_of(self.device("new")), zeros, "what was made holds nothing old")

    def make_new(self):
        if self.find("new") is None:
            self.whole(self.create, "new")
            self.find("new")

    def make_plain(self):
        """A volume that is deleted as it is."""
        self.make_new()

    def delete(self):
        return self.connection.InvokeMethod("ReturnToStoragePool", self.array.configuration,
                                            TheElement=self.paths["new"])

    def delete_new(self):
        self.forget("new")

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

    # --- replicas -------------------------------------------------------------------------------

    def replicate(self, source, name, sync_type):
        return self.connection.InvokeMethod(
            "CreateElementReplica", self.array.replication, ElementName=name,
            SyncType=pywbem.Uint16(sync_type), SourceElement=self.paths[source])

    def is_replicated(self, source="bystander", name="replica"):
        """Whether there is a replica; what it holds is what its source holds."""
        if self.find(name) is None:
            return False
        return self.checks.equal(self.sum_of(self.device(name)), self.sum_of(self.device(source)),
                                 "a replica holds what its source holds")

    def replicate_both(self, *sources):
        """Snapshots of two volumes, of one moment."""
        return self.connection.InvokeMethod(
            "CreateListReplica", self.array.replication, ElementNames=BOTH,
            SyncType=pywbem.Uint16(SNAPSHOT), SourceElements=[self.paths[name] for name in sources],
            Consistency=pywbem.Uint16(3))

    def are_both(self, *sources):
        """Whether there are both, and of one moment; never one alone."""
        found = [self.is_replicated(source, name) for source, name in zip(sources, BOTH, strict=True)]
        self.checks.that(found[0] == found[1], "there are both snapshots or none", str(found))
        if all(found):
            relations = [self.connection.References(
                self.paths[name], ResultClass="CIM_StorageSynchronized", Role="SyncedElement")[0]
                for name in BOTH]
            moments = {str(relation["WhenSynced"]) for relation in relations}
            self.checks.equal(len(moments), 1, "both are of one moment")
        return all(found)

    def forget_both(self):
        for name in BOTH:
            self.forget(name)

    def forget(self, name):
        """Takes a volume away, if it is there."""
        if self.find(name) is not None:
            self.whole(lambda: self.connection.InvokeMethod(
                "ReturnToStoragePool", self.array.configuration, TheElement=self.paths[name]))

    def fill(self, name, text):
        """A host writes all over a volume that is shown to nobody."""
        self.run(f"yes '{text}' | dd of={self.device(name)} bs=1M count=8 iflag=fullblock oflag=direct "
                 "status=none")

    def make_changed(self):
        """A volume that has changed since its snapshot."""
        self.make_new()
        if self.find("then") is None:
            self.fill("new", "before")
            self.sums_of_new = {"before": self.sum_of(self.device("new"))}
            self.whole(self.replicate, "new", "then", SNAPSHOT)
            self.find("then")
        self.fill("new", "after")
        self.sums_of_new["after"] = self.sum_of(self.device("new"))

    def restore(self):
        relation, = self.connection.ReferenceNames(
            self.paths["then"], ResultClass="CIM_StorageSynchronized", Role="SyncedElement")
        return self.connection.InvokeMethod(
            "ModifyReplicaSynchronization", self.array.replication,
            Operation=pywbem.Uint16(RESTORE), Synchronization=relation)

    def is_restored(self):
        now = self.sum_of(self.device("new"))
        self.checks.that(now in self.sums_of_new.values(), "it holds what it held before, or then", now)
        self.checks.equal(self.sum_of(self.device("then")), self.sums_of_new["before"],
                          "its snapshot is what it was")
        return now == self.sums_of_new["before"]

    def delete_changed(self):
        self.forget("then")
        self.forget("new")

    # --- where a volume lies --------------------------------------------------------------------

    def extents(self, name):
        """The extents under a volume, as paths by their identifier."""
        found = self.connection.AssociatorNames(
            self.paths[name], AssocClass="CIM_BasedOn", Role="Dependent")
        return {path["DeviceID"]: path for path in found}

    def choose_other(self, name):
        """The extent that a volume is to be moved to."""
        here = self.extents(name)
        pool = self.connection.AssociatorNames(
            self.pool(), AssocClass="CIM_AssociatedComponentExtent", Role="GroupComponent")
        self.moved_to = next(path for path in pool if path["DeviceID"] not in here)

    def relocation(self):
        service, = self.connection.EnumerateInstanceNames(
            "CIM_StorageRelocationService", namespace=self.array.namespace)
        return service

    def move(self, name):
        return self.connection.InvokeMethod(
            "RelocateStorageVolumeToStorageExtents", self.relocation(),
            TheElement=self.paths[name], InElements=[self.moved_to])

    def is_moved(self, name):
        here = self.extents(name)
        self.checks.equal(len(here), 1, "it lies on one disk")
        device = self.device(name)
        shown = self.run(f"lvs --noheadings -o devices {device}").split()
        self.checks.equal(len(shown), 1, "as LVM says, too")
        return self.moved_to["DeviceID"] in here

    def make_much(self):
        """A large volume that is full of something."""
        if self.find("much") is None:
            self.whole(lambda: self.create("much", size=MUCH))
            self.find("much")
        self.run(f"seq 9999999999 | dd of={self.device('much')} bs=1M count={MUCH // MIB} "
                 "iflag=fullblock oflag=direct status=none")
        self.sums_of_new = {"much": self.sum_of(self.device("much"))}
        self.forget("replica")

    def choose_much(self):
        self.make_much()
        self.choose_other("much")
        # In percent of the time.
        self.run("echo 2 > /sys/module/dm_mirror/parameters/raid1_resync_throttle")

    def is_much_moved(self):
        self.checks.equal(self.sum_of(self.device("much")), self.sums_of_new["much"],
                          "what is moved holds what it held")
        return self.is_moved("much")

    def choose_copies(self):
        self.back_to_one()
        self.copies = 2

    def make_mirror(self):
        if len(self.extents("bystander")) == 1:
            self.copies = 2
            self.whole(self.change_copies)
        self.copies = 1

    def change_copies(self):
        goal = self.goal(self.copies)
        return self.connection.InvokeMethod(
            "CreateOrModifyElementFromStoragePool", self.array.configuration,
            ElementType=pywbem.Uint16(2), TheElement=self.paths["bystander"], Goal=goal)

    def goal(self, copies):
        """A setting that asks for so many copies."""
        abilities, = self.connection.AssociatorNames(
            self.pool(), AssocClass="CIM_ElementCapabilities", ResultClass="CIM_StorageCapabilities")
        _, outputs = self.connection.InvokeMethod(
            "CreateSetting", abilities, SettingType=pywbem.Uint16(3))
        setting = outputs["NewSetting"]
        values = {"DataRedundancyGoal": pywbem.Uint16(copies),
                  "PackageRedundancyGoal": pywbem.Uint16(copies - 1)}
        self.connection.ModifyInstance(
            pywbem.CIMInstance(setting.classname, values, path=setting), PropertyList=list(values))
        return setting

    def has_copies(self):
        volume = self.connection.GetInstance(self.paths["bystander"])
        layout = self.run(f"lvs --noheadings -o segtype {self.device('bystander')}").strip()
        self.checks.equal(layout, {1: "linear", 2: "raid1"}[volume["DataRedundancy"]],
                          "LVM says what the array says")
        return volume["DataRedundancy"] == self.copies

    def back_to_one(self):
        if len(self.extents("bystander")) > 1:
            self.copies = 1
            self.whole(self.change_copies)
