"""What clients ask of the array in the stories of power: each with what must be there before, what is
looked at afterwards to tell whether it is done, and what takes it away again.
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
#: `JobState` of a job that has ended, and of one that ended well.
ENDED, COMPLETED = (7, 8, 9, 10), 7
JOB_STARTED = 4096
#: `SyncType`, `Operation` of Replication Services.
SNAPSHOT, CLONE = 7, 8
RESTORE = 15


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
        path = self.run(f"lvs --noheadings -o lv_dm_path -S lv_uuid={uuid} vg0").strip()
        self.run(f"[ -e {path} ] || lvchange -q -ay -S lv_uuid={uuid} vg0")
        return path

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
        """All of them."""
        return [
            Deed("create", self.delete_new, lambda: self.create("new"), self.is_created, self.delete_new),
            Deed("grow", self.note_size, self.grow, self.is_grown, lambda: None),
            Deed("delete", self.make_new, self.delete, lambda: self.find("new") is None, self.delete_new),
            Deed("show", self.hide_all, self.show, self.is_shown, self.hide_all),
            Deed("hide", self.make_shown, self.hide, lambda: not self.is_shown(), self.hide_all),
            Deed("snapshot", lambda: self.forget("replica"),
                 lambda: self.replicate("bystander", "replica", SNAPSHOT), self.is_replicated,
                 lambda: self.forget("replica")),
            Deed("clone", lambda: self.forget("replica"),
                 lambda: self.replicate("bystander", "replica", CLONE), self.is_replicated,
                 lambda: self.forget("replica")),
            Deed("restore", self.make_changed, self.restore, self.is_restored, self.delete_changed),
            Deed("move", self.choose_other, self.move, self.is_moved, lambda: None),
            Deed("mirror", self.choose_copies, self.change_copies, self.has_copies, self.back_to_one),
            Deed("split", self.make_mirror, self.change_copies, self.has_copies, self.back_to_one),
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

    def is_replicated(self):
        """Whether there is a replica; what it holds is what its source holds."""
        if self.find("replica") is None:
            return False
        return self.checks.equal(self.sum_of(self.device("replica")), self.sum_of(self.device("bystander")),
                                 "a replica holds what its source holds")

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

    def extents(self):
        """The extents under the bystander, as paths by their identifier."""
        found = self.connection.AssociatorNames(
            self.paths["bystander"], AssocClass="CIM_BasedOn", Role="Dependent")
        return {path["DeviceID"]: path for path in found}

    def choose_other(self):
        """The extent that the bystander is to be moved to."""
        here = self.extents()
        pool = self.connection.AssociatorNames(
            self.pool(), AssocClass="CIM_AssociatedComponentExtent", Role="GroupComponent")
        self.moved_to = next(path for path in pool if path["DeviceID"] not in here)

    def move(self):
        service, = self.array.enumerate("CIM_StorageRelocationService")
        return self.connection.InvokeMethod(
            "RelocateStorageVolumeToStorageExtents", service.path,
            TheElement=self.paths["bystander"], InElements=[self.moved_to])

    def is_moved(self):
        here = self.extents()
        self.checks.equal(len(here), 1, "it lies on one disk")
        device = self.device("bystander")
        shown = self.run(f"lvs --noheadings -o devices {device}").split()
        self.checks.equal(len(shown), 1, "as LVM says, too")
        return self.moved_to["DeviceID"] in here

    def choose_copies(self):
        self.back_to_one()
        self.copies = 2

    def make_mirror(self):
        if len(self.extents()) == 1:
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
        if len(self.extents()) > 1:
            self.copies = 1
            self.whole(self.change_copies)
