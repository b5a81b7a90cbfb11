"""What a console does about capacity, on real LVM: pools, qualities of service, thin, lost disks.

`standpipe serve` runs in the guest with nothing but disks that it may use; pywbem on the host makes
pools and volumes from them. The judges are LVM's own reports, a hand calculation, and a host that
reads and writes through iSCSI.
"""

import json

import pywbem

import machine
import scenario
import volumes
from harness import (
    DONE, FAILED, INVALID_PARAMETER, MIB, NOT_FOUND, SIZE_NOT_SUPPORTED, Checks, invoke,
)

#: The disks of the machine in order: state, six clean ones, and one that carries a file system.
DISKS = [("state", 128), *((f"disk{n}", 320) for n in range(6)), ("dirty", 64)]
CLEAN = [f"/dev/vd{letter}" for letter in "bcdefg"]
DIRTY = "/dev/vdh"

HOST = scenario.HOST
EXTENT = 4 * MIB

STORAGE = """
[storage]
volume_groups = []
disks = ["/dev/vd[b-h]"]
allow_shrink = true
"""

#: What LVM calls each layout, by (package redundancy, data redundancy, stripe length).
LEVELS = {
    (0, 1, 1): "linear",
    (0, 1, 3): "striped",
    (1, 2, 1): "raid1",
    (2, 3, 1): "raid1",
    (1, 2, 2): "raid10",
    (1, 1, 3): "raid5",
    (2, 1, 5): "raid6",
}


def disks(folder):
    """The disks' files; the clean ones are full of an earlier tenant's data."""
    made = []
    for name, size in DISKS:
        # No signature of anything, and no zeros.
        old = b"left by an earlier tenant\n" * (MIB // 26 + 1) if name.startswith("disk") else None
        path = machine.blank_disk(f"{folder}/{name}", size * MIB)
        if old:
            with open(path, "r+b") as disk:
                for _ in range(size):
                    disk.write(old[:MIB])
        made.append(path)
    return made


class Storage(scenario.Story):
    """The array's capacity, from bare disks to volumes on the rest of them."""

    def __init__(self, program):
        super().__init__(program)
        self.checks = Checks("kernel storage")
        self.group = self.thin = None

    # --- the guest ------------------------------------------------------------------------------

    def prepare(self):
        """A file system for the gateway's state, its configuration, and one for the dirty disk."""
        self.run(f"mkfs.ext4 -q /dev/vda && mkdir -p {scenario.STATE} && mount /dev/vda {scenario.STATE}")
        hashed = self.run(f"echo {self.password} | {self.program} user hash").strip()
        text = scenario.CONFIGURATION.format(
            port=scenario.PORT, state=scenario.STATE, hash=hashed, iqn=scenario.IQN)
        start, end = text.index("[storage]"), text.index("[target]")
        text = text[:start] + STORAGE.strip() + "\n\n" + text[end:]
        self.run(f"cat > {scenario.STATE}/standpipe.toml <<'END'\n{text}\nEND")
        self.run(f"mkfs.ext4 -q {DIRTY}")

    def report(self, command):
        """Rows of an LVM report."""
        text = self.run(f"{command} --reportformat json --units b --nosuffix")
        return list(json.loads(text)["report"][0].values())[0]

    def lv(self, volume):
        """What LVM says of a volume, with the disks that its parts lie on."""
        uuid = volume["DeviceID"]
        rows = self.report("lvs -a -o lv_uuid,lv_name,segtype,lv_size,devices")
        top = next(row for row in rows if row["lv_uuid"] == uuid)
        parts = [row for row in rows if row["lv_name"].startswith(f"[{top['lv_name']}_rimage")]
        disks = [{device.split("(")[0] for device in row["devices"].split(",")}
                 for row in parts or [top]]
        return top, disks

    def volume_groups(self):
        """Names of the volume groups that LVM has."""
        return sorted(row["vg_name"] for row in self.report("vgs -o vg_name"))

    # --- the client -----------------------------------------------------------------------------

    def extents(self):
        """Primordial extents by device."""
        found = self.array.enumerate("CIM_StorageExtent")
        return {item["ElementName"]: item for item in found if item["Primordial"]}

    def goal(self, pool, package, copies, stripes):
        """A setting that asks for a layout."""
        capabilities = self.connection.AssociatorNames(
            pool, AssocClass="CIM_ElementCapabilities", ResultClass="CIM_StorageCapabilities")
        code, outputs = self.connection.InvokeMethod(
            "CreateSetting", capabilities[0], SettingType=pywbem.Uint16(3))
        self.checks.equal(code, DONE, "a setting is made")
        setting = self.connection.GetInstance(outputs["NewSetting"])
        for name, value in [("PackageRedundancyGoal", package), ("DataRedundancyGoal", copies),
                            ("ExtentStripeLength", stripes)]:
            setting[name] = pywbem.Uint16(value)
        self.connection.ModifyInstance(setting, PropertyList=[
            "PackageRedundancyGoal", "DataRedundancyGoal", "ExtentStripeLength"])
        return setting.path

    def create(self, name, size, pool=None, goal=None, kind=2):
        """Creates a volume; returns code and instance."""
        words = dict(ElementName=name, ElementType=pywbem.Uint16(kind), InPool=pool or self.group,
                     Size=pywbem.Uint64(size))
        if goal is not None:
            words["Goal"] = goal
        code, outputs = invoke(self.connection, "CreateOrModifyElementFromStoragePool",
                               self.array.configuration, **words)
        found = [item for item in self.array.enumerate("CIM_StorageVolume")
                 if item["ElementName"] == name]
        return code, found[0] if found else outputs

    def delete(self, volume):
        code, _ = invoke(self.connection, "ReturnToStoragePool", self.array.configuration,
                         TheElement=volume.path)
        self.checks.equal(code, DONE, f"{volume['ElementName']} is deleted")

    def grow(self, volume, size):
        """Grows a volume; returns its instance."""
        code, _ = invoke(
            self.connection, "CreateOrModifyElementFromStoragePool", self.array.configuration,
            ElementType=pywbem.Uint16(2), TheElement=volume.path, Size=pywbem.Uint64(size))
        self.checks.equal(code, DONE, f"{volume['ElementName']} grows")
        return self.connection.GetInstance(volume.path)

    def fresh(self, instance):
        return self.connection.GetInstance(instance if isinstance(instance, pywbem.CIMInstanceName)
                                           else instance.path)

    def show(self, volume):
        """Shows a volume to the host."""
        self.hide()
        self.volume = volume.path
        self.mask()
        self.name = volume["Name"]

    def hide(self):
        """Takes the view and its groups away, if there are any."""
        if not self.groups:
            return
        for method, path, words in [
            ("DeleteMaskingView", self.array.masking, {"ProtocolController": self.view}),
            *(("DeleteGroup", self.array.masking, {"MaskingGroup": group, "Force": True})
              for group in self.groups.values()),
            ("DeleteStorageHardwareID", self.array.hardware_ids, {"HardwareID": self.hardware_id}),
        ]:
            code, _ = self.connection.InvokeMethod(method, path, **words)
            self.checks.equal(code, DONE, f"{method} succeeds")
        self.groups = {}

    # --- the story ------------------------------------------------------------------------------

    def disks(self):
        """Every allowed disk is there with its extent; what carries something is refused."""
        checks, extents = self.checks, self.extents()
        checks.equal(sorted(extents), sorted([*CLEAN, DIRTY]), "each disk has a primordial extent")
        sizes = {disk: int(self.run(f"blockdev --getsize64 {disk}")) for disk in extents}
        shown = {disk: item["BlockSize"] * item["NumberOfBlocks"] for disk, item in extents.items()}
        checks.equal(shown, sizes, "with its size")
        before = self.run(f"sha256sum < {DIRTY}")
        checks.refuses([FAILED, INVALID_PARAMETER], "a disk with a file system makes no pool",
                       self.connection.InvokeMethod, "CreateOrModifyStoragePool",
                       self.array.configuration, ElementName="bad",
                       InExtents=[extents[DIRTY].path.to_wbem_uri()])
        checks.equal(self.run(f"sha256sum < {DIRTY}"), before, "and is not touched")
        allowed = extents[CLEAN[0]].path.copy()
        allowed["DeviceID"] = "serial.state"
        checks.refuses([FAILED, NOT_FOUND, pywbem.CIM_ERR_ACCESS_DENIED],
                       "a disk outside the configuration makes none", self.connection.InvokeMethod,
                       "CreateOrModifyStoragePool", self.array.configuration, ElementName="bad",
                       InExtents=[extents[CLEAN[0]].path.to_wbem_uri(), allowed.to_wbem_uri()])
        checks.equal(self.volume_groups(), [], "no volume group is there")
        checks.equal(self.report("pvs -o pv_name"), [], "and no physical volume")

    def make_pool(self):
        """A pool of five disks; the sixth joins later."""
        checks, extents = self.checks, self.extents()
        primordial = self.array.pools(primordial=True)[0].path
        code, sizes = self.connection.InvokeMethod(
            "GetSupportedSizeRange", primordial, ElementType=pywbem.Uint16(2))
        least, most = int(sizes["MinimumVolumeSize"]), int(sizes["MaximumVolumeSize"])
        checks.equal((code, most, int(sizes["VolumeSizeDivisor"])), (DONE, 6 * least, EXTENT),
                     "the sizes of a pool are told")
        code, outputs = invoke(
            self.connection, "CreateOrModifyStoragePool", self.array.configuration,
            ElementName="gold", Size=pywbem.Uint64(4 * least),
            InExtents=[extents[disk].path.to_wbem_uri() for disk in CLEAN[:4]])
        checks.equal(code, DONE, "a pool is made from four disks")
        self.group = next(p for p in self.array.pools() if p["ElementName"] == "gold").path
        checks.equal(self.volume_groups(), ["gold"], "vgs shows it")
        members = sorted(row["pv_name"] for row in self.report("pvs -o pv_name"))
        checks.equal(members, CLEAN[:4], "on these disks and no others")
        code, _ = invoke(
            self.connection, "CreateOrModifyStoragePool", self.array.configuration, Pool=self.group,
            InExtents=[extents[disk].path.to_wbem_uri() for disk in CLEAN[4:5]])
        checks.equal(code, DONE, "a fifth disk joins it")
        row = self.report("vgs -o vg_size,vg_free,vg_uuid,pv_count")[0]
        pool = self.fresh(self.group)
        checks.equal(row["pv_count"], "5", "vgs shows five")
        checks.equal(int(row["vg_size"]), 5 * least, "each disk gives what was told")
        checks.equal((pool["TotalManagedSpace"], pool["RemainingManagedSpace"]),
                     (int(row["vg_size"]), int(row["vg_free"])), "sizes are those of vgs")
        checks.refuses([FAILED, pywbem.CIM_ERR_ALREADY_EXISTS], "a second pool of the name is refused",
                       self.connection.InvokeMethod, "CreateOrModifyStoragePool",
                       self.array.configuration, ElementName="gold",
                       InExtents=[extents[CLEAN[5]].path.to_wbem_uri()])

    def levels(self):
        """Each quality of service is made as promised, on disks of its own, and holds zeros."""
        checks = self.checks
        for (package, copies, stripes), segtype in LEVELS.items():
            name = f"{segtype}-{package}-{copies}"
            goal = self.goal(self.group, package, copies, stripes)
            code, volume = self.create(name, 10 * MIB, goal=goal)
            if not checks.equal(code, DONE, f"{name} is made"):
                continue
            top, disks = self.lv(volume)
            checks.equal(top["segtype"], segtype, f"{name} is what lvs says")
            checks.equal(int(top["lv_size"]), volume["BlockSize"] * volume["NumberOfBlocks"],
                         f"{name} has the size that lvs says")
            flat = [disk for leg in disks for disk in leg]
            if segtype.startswith("raid"):
                checks.that(all(len(leg) == 1 for leg in disks) and len(set(flat)) == len(flat),
                            f"{name} has each leg on a disk of its own", str(disks))
            checks.equal((volume["PackageRedundancy"], volume["DataRedundancy"],
                          volume["NoSinglePointOfFailure"]), (package, copies, package > 0),
                         f"{name} reports what it has")
            device = f"/dev/gold/{top['lv_name']}"
            zero = self.vm.run(f"lvchange -ay gold/{top['lv_name']} && cmp -n {top['lv_size']} {device} /dev/zero",
                               check=False)
            checks.equal(zero.status, 0, f"{name} holds zeros on disks full of old data")
            volume = self.grow(volume, int(top["lv_size"]) * 2)
            top, grown = self.lv(volume)
            checks.equal(grown, disks, f"{name} has grown on its own disks")
            zero = self.vm.run(f"cmp -n {top['lv_size']} {device} /dev/zero", check=False)
            checks.equal(zero.status, 0, f"{name} holds zeros where it has grown")
            based = self.connection.AssociatorNames(
                volume.path, AssocClass="CIM_BasedOn", ResultClass="CIM_StorageExtent",
                Role="Dependent")
            under = {self.fresh(path)["ElementName"] for path in based}
            checks.equal(under, set(d for leg in grown for d in leg), f"{name} is based on these disks")
            # What the next ones are made of holds something again.
            self.run(f"yes 'left by {name}' | dd of={device} bs=1M count={int(top['lv_size']) // MIB} "
                     "iflag=fullblock oflag=direct status=none && udevadm settle")
            self.delete(volume)
            self.connection.DeleteInstance(goal)
        checks.equal(self.report("lvs -a -o lv_name"), [], "lvs is empty again")

    def largest(self):
        """The largest size that is named can be made, and one step more cannot."""
        checks = self.checks
        for (package, copies, stripes), segtype in LEVELS.items():
            goal = self.goal(self.group, package, copies, stripes)
            words = dict(ElementType=pywbem.Uint16(3), Goal=goal)
            code, sizes = self.connection.InvokeMethod("GetSupportedSizeRange", self.group, **words)
            checks.equal(code, DONE, f"{segtype}: a range of sizes is told")
            most, step = int(sizes["MaximumVolumeSize"]), int(sizes["VolumeSizeDivisor"])
            code, outputs = self.create("too-large", most + step, goal=goal)
            checks.equal((code, outputs.get("Size")), (SIZE_NOT_SUPPORTED, most),
                         f"{segtype}: one step more is refused with the largest")
            code, volume = self.create("largest", most, goal=goal)
            if checks.equal(code, DONE, f"{segtype}: the largest is made"):
                checks.equal(int(self.lv(volume)[0]["lv_size"]), most, f"{segtype}: and is as large")
                self.delete(volume)
            self.connection.DeleteInstance(goal)
        checks.step(self.largest_growth)
        checks.step(self.largest_thin_pool)

    def largest_growth(self):
        """What is told when a volume cannot grow so far is how far it can."""
        checks = self.checks
        for layout in ((1, 2, 1), (1, 1, 3)):
            name, goal = LEVELS[layout], self.goal(self.group, *layout)
            _, volume = self.create(f"grows-{name}", 12 * MIB, goal=goal)
            words = dict(ElementType=pywbem.Uint16(2), TheElement=volume.path)
            grow = (self.connection, "CreateOrModifyElementFromStoragePool", self.array.configuration)
            code, outputs = invoke(*grow, Size=pywbem.Uint64(1 << 40), **words)
            most = int(outputs.get("Size") or 0)
            checks.that(code == SIZE_NOT_SUPPORTED and most > 12 * MIB,
                        f"{name}: growth beyond the pool is refused with a size", f"{code} {most}")
            code, _ = invoke(*grow, Size=pywbem.Uint64(most), **words)
            checks.equal((code, int(self.lv(volume)[0]["lv_size"])), (DONE, most),
                         f"{name}: so far it grows, lvs says")
            checks.refuses(FAILED, f"{name}: and no further, with the reason", self.connection.InvokeMethod,
                           *grow[1:], Size=pywbem.Uint64(most + EXTENT), **words)
            self.delete(volume)
            self.connection.DeleteInstance(goal)

    def sizes(self, pool, kind, **more):
        """Largest size and step that a pool tells."""
        code, sizes = self.connection.InvokeMethod(
            "GetSupportedSizeRange", pool, ElementType=pywbem.Uint16(kind), **more)
        self.checks.equal(code, DONE, "a range of sizes is told")
        return int(sizes["MaximumVolumeSize"]), int(sizes["VolumeSizeDivisor"])

    def largest_thin_pool(self):
        """Beside its data a thin pool takes metadata, and a spare of that."""
        checks = self.checks
        goal = self.goal(self.group, 0, 1, 1)
        setting = self.connection.GetInstance(goal)
        setting["ThinProvisionedPoolType"] = pywbem.Uint16(7)
        self.connection.ModifyInstance(setting, PropertyList=["ThinProvisionedPoolType"])
        most, step = self.sizes(self.group, 2, Goal=goal)
        make = dict(ElementName="all", InPools=[self.group.to_wbem_uri()], Goal=goal)
        code, outputs = invoke(self.connection, "CreateOrModifyStoragePool", self.array.configuration,
                               Size=pywbem.Uint64(most + step), **make)
        checks.equal((code, outputs.get("Size")), (SIZE_NOT_SUPPORTED, most),
                     "a thin pool one step too large is refused with the largest")
        checks.equal(self.report("lvs -a -o lv_name gold"), [], "lvs shows nothing of it")
        code, _ = invoke(self.connection, "CreateOrModifyStoragePool", self.array.configuration,
                         Size=pywbem.Uint64(most), **make)
        if not checks.equal(code, DONE, "the largest thin pool is made"):
            return
        rows = self.report("lvs -o lv_size -S segtype=thin-pool gold")
        free = int(self.report("vgs -o vg_free gold")[0]["vg_free"])
        checks.equal([int(row["lv_size"]) for row in rows], [most], "lvs shows it")
        checks.that(free < step, "and vgs that nothing is left", str(free))
        pool = next(p for p in self.array.pools() if p["ElementName"] == "all").path
        code, _ = invoke(self.connection, "DeleteStoragePool", self.array.configuration, Pool=pool)
        checks.equal((code, self.report("lvs -a -o lv_name gold")), (DONE, []),
                     "it goes, with the spare of its metadata")
        self.connection.DeleteInstance(goal)

    def thin_pool(self):
        """A thin pool: exact usage, full, degraded, healed by growth."""
        checks = self.checks
        code, _ = invoke(self.connection, "CreateOrModifyStoragePool", self.array.configuration,
                         ElementName="thin", InPools=[self.group.to_wbem_uri()],
                         Size=pywbem.Uint64(32 * MIB))
        checks.equal(code, DONE, "a thin pool is made")
        self.thin = next(p for p in self.array.pools() if p["ElementName"] == "thin").path
        rows = [row for row in self.report("lvs -o lv_name,segtype,lv_size gold") if row["segtype"] == "thin-pool"]
        checks.equal([int(row["lv_size"]) for row in rows], [32 * MIB], "lvs shows it")
        metadata = self.report("lvs -o lv_metadata_size -S segtype=thin-pool gold")[0]["lv_metadata_size"]
        checks.equal(self.fresh(self.thin)["ThinProvisionMetaDataSpace"], int(metadata),
                     "its metadata is as large as lvs says")
        most, step = self.sizes(self.thin, 5)
        checks.equal(most, 10 * 32 * MIB, "it promises ten times what it has, as is the default")
        code, outputs = self.create("too-much", most + step, pool=self.thin, kind=5)
        checks.equal((code, outputs.get("Size")), (SIZE_NOT_SUPPORTED, most),
                     "more than that is refused with that")
        code, volume = self.create("most", most, pool=self.thin, kind=5)
        checks.equal((code, int(self.lv(volume)[0]["lv_size"])), (DONE, most), "as much is made")
        checks.refuses(FAILED, "and nothing beside it", self.create, "beside", step, pool=self.thin, kind=5)
        self.delete(volume)
        code, volume = self.create("thin-data", 128 * MIB, pool=self.thin, kind=5)
        checks.equal((code, volume["ThinlyProvisioned"]), (DONE, True), "a thin volume is made")
        self.show(volume)
        checks.that(self.reads(0, 0, 4 * MIB), "the host reads zeros")
        checks.that(self.disk(f"write -P 0x77 0 {16 * MIB}"), "the host writes half of the pool")
        self.until(lambda: self.fresh(self.thin)["RemainingManagedSpace"] == 16 * MIB,
                   "the pool shows that exactly half is used")
        used = self.connection.References(volume.path, ResultClass="CIM_AllocatedFromStoragePool",
                                          Role="Dependent")
        checks.equal([item["SpaceConsumed"] for item in used], [16 * MIB],
                     "and the volume that it uses it")
        self.low_space()
        self.disk(f"write -P 0x78 {16 * MIB} {32 * MIB}")
        self.until(self.is_full, "a pool that takes no more shows that nothing is left")
        checks.equal(self.fresh(self.thin)["OperationalStatus"], [3], "a full pool is degraded")
        checks.equal(self.fresh(volume)["OperationalStatus"], [3], "and so is its volume")
        checks.that(self.reads(0x77, 0, 16 * MIB), "what was written is there")
        checks.refuses(FAILED, "a full pool takes no more volumes, with the reason", self.create,
                       "no-more", 16 * MIB, pool=self.thin, kind=5)
        code, _ = invoke(self.connection, "CreateOrModifyStoragePool", self.array.configuration,
                         Pool=self.thin, Size=pywbem.Uint64(96 * MIB))
        checks.equal(code, DONE, "the pool grows")
        self.until(lambda: self.fresh(self.thin)["OperationalStatus"] == [2], "and is well again")
        checks.that(self.disk(f"write -P 0x79 {16 * MIB} {16 * MIB}"), "the host writes on")
        grow = (self.connection, "CreateOrModifyStoragePool", self.array.configuration)
        code, outputs = invoke(*grow, Pool=self.thin, Size=pywbem.Uint64(1 << 40))
        checks.equal(code, SIZE_NOT_SUPPORTED, "more than the group has is refused with a size")
        most = int(outputs["Size"])
        code, _ = invoke(*grow, Pool=self.thin, Size=pywbem.Uint64(most))
        rows = self.report("lvs -o lv_size -S segtype=thin-pool gold")
        checks.equal((code, [int(row["lv_size"]) for row in rows]), (DONE, [most]),
                     "so far it grows, lvs says")
        checks.refuses(FAILED, "a pool with volumes is not removed", self.connection.InvokeMethod,
                       "DeleteStoragePool", self.array.configuration, Pool=self.thin)
        self.hide()
        self.delete(volume)
        code, _ = invoke(self.connection, "DeleteStoragePool", self.array.configuration, Pool=self.thin)
        checks.equal(code, DONE, "an empty one is")
        rows = [row["lv_name"] for row in self.report("lvs -o lv_name,segtype gold")]
        checks.equal(rows, [], "lvs shows nothing of it")

    def low_space(self):
        """A pool says that it fills up before it is full: as far as its warning threshold tells."""
        checks = self.checks
        threshold = self.fresh(self.thin)["LowSpaceWarningThreshold"]
        checks.equal(threshold, 20, "the threshold is a fifth of the pool, as is the default")
        checks.equal(self.fresh(self.thin)["OperationalStatus"], [2], "a half full pool is well")

        def fill(percent):
            end = 32 * MIB * percent // 100 // MIB * MIB
            checks.that(self.disk(f"write -P 0x76 {16 * MIB} {end - 16 * MIB}"), "the host writes on")
            self.until(lambda: self.fresh(self.thin)["RemainingManagedSpace"] == 32 * MIB - end,
                       "the pool shows that")
            used = self.report("lvs -o data_percent -S segtype=thin-pool gold")[0]["data_percent"]
            checks.equal(float(used), end / (32 * MIB) * 100, "lvs says the same")
            return self.fresh(self.thin)

        pool = fill(100 - threshold - 2)
        checks.equal(pool["OperationalStatus"], [2], "above the threshold it is well")
        pool = fill(100 - threshold + 2)
        checks.equal(pool["OperationalStatus"], [3], "below the threshold it is degraded")
        checks.that("81 %" in pool["StatusDescriptions"][0] and "grow" in pool["StatusDescriptions"][0],
                    "and says how full it is and what to do", str(pool["StatusDescriptions"]))
        ailing = self.connection.AssociatorNames(self.array.system, AssocClass="CIM_RelatedElementCausingError")
        checks.that(any(path.keybindings == self.thin.keybindings for path in ailing),
                    "it is among what ails the array", str(ailing))

    def is_full(self):
        """Whether the thin pool says that nothing is left."""
        return self.fresh(self.thin)["RemainingManagedSpace"] == 0

    def lost_disk(self):
        """A disk is taken away under a mirror that a host uses: degraded, repaired, data intact."""
        checks = self.checks
        goal = self.goal(self.group, 1, 2, 1)
        code, mirror = self.create("mirror", 32 * MIB, goal=goal)
        checks.equal(code, DONE, "a mirror is made")
        _, legs = self.lv(mirror)
        lost = next(iter(legs[1]))
        code, other = self.create("other", 16 * MIB, goal=self.goal(self.group, 1, 2, 1))
        self.show(mirror)
        checks.that(self.disk(f"write -P 0x42 0 {32 * MIB}"), "the host writes")
        _, others = self.lv(other)
        touched = any(lost in leg for leg in others)
        self.run(f"echo 1 > /sys/block/{lost.removeprefix('/dev/')}/device/../remove")
        self.disk(f"write -P 0x43 0 {MIB}")
        self.until(lambda: self.fresh(mirror)["OperationalStatus"] == [3], "the mirror is degraded")
        checks.equal(self.fresh(other)["OperationalStatus"], [3] if touched else [2],
                     "another volume only if it lies on that disk")
        checks.that(self.fresh(self.group)["OperationalStatus"] != [2], "the pool is not well")
        checks.that(self.reads(0x42, MIB, 31 * MIB) and self.reads(0x43, 0, MIB),
                    "the host reads on")
        service = self.connection.EnumerateInstanceNames(
            "CIM_SpareConfigurationService", namespace=self.array.namespace)[0]
        volumes = [mirror, other] if touched else [mirror]
        for volume in volumes:
            code, _ = invoke(self.connection, "RebuildStorageExtent", service, Target=volume.path)
            checks.equal(code, DONE, f"{volume['ElementName']} is repaired")
        top, legs = self.lv(mirror)
        checks.that(lost not in {disk for leg in legs for disk in leg}, "no leg lies on the lost disk",
                    str(legs))
        self.until(lambda: self.fresh(mirror)["OperationalStatus"] == [2], "the mirror is well again")
        checks.that(self.reads(0x42, MIB, 31 * MIB) and self.reads(0x43, 0, MIB), "its data is intact")
        self.hide()
        for volume in (mirror, other):
            self.delete(volume)

    def beside_us(self):
        """Somebody uses LVM himself: seen, shown as his, and left alone."""
        checks = self.checks
        self.run("lvcreate -q -y -n theirs -L 16M gold")
        self.until(lambda: any(v["ElementName"] == "theirs" for v in
                               self.array.enumerate("CIM_StorageVolume")), "a foreign volume is seen")
        theirs = next(v for v in self.array.enumerate("CIM_StorageVolume")
                      if v["ElementName"] == "theirs")
        checks.refuses([FAILED, pywbem.CIM_ERR_ACCESS_DENIED], "and not deleted",
                       self.connection.InvokeMethod, "ReturnToStoragePool",
                       self.array.configuration, TheElement=theirs.path)
        checks.refuses(FAILED, "nor is its pool", self.connection.InvokeMethod,
                       "DeleteStoragePool", self.array.configuration, Pool=self.group)
        self.run("lvremove -q -y gold/theirs")

        spare = self.extents()[CLEAN[5]]
        self.run(f"vgcreate -q -y silver {CLEAN[5]} && lvcreate -q -y -n data -L 8M silver && "
                 "udevadm settle")
        self.until(lambda: not self.is_free(spare.path), "a disk that somebody takes is free no more")
        names = {item["ElementName"] for name in ("CIM_StoragePool", "CIM_StorageVolume")
                 for item in self.array.enumerate(name)}
        checks.that(not names & {"silver", "data"}, "his volume group is none of the array's", str(names))
        def his():
            return self.report("vgs -o pv_count,lv_count,vg_seqno silver")

        before = his()
        for words in ({"ElementName": "bad"}, {"Pool": self.group}):
            checks.refuses(FAILED, "no pool is made or grown with his disk", self.connection.InvokeMethod,
                           "CreateOrModifyStoragePool", self.array.configuration,
                           InExtents=[spare.path.to_wbem_uri()], **words)
        checks.equal(his(), before, "vgs shows that nobody touched it")
        self.run(f"vgremove -q -y silver && pvremove -q {CLEAN[5]} && udevadm settle")
        self.until(lambda: self.is_free(spare.path), "and free again when he is done")

    def is_free(self, extent):
        """Whether pools can be made from an extent."""
        primordial = self.array.pools(primordial=True)[0].path
        _, outputs = self.connection.InvokeMethod("GetAvailableExtents", primordial)
        found = outputs["AvailableExtents"] or []
        return any(path.keybindings == extent.keybindings for path in found)

    def restart(self):
        """The pool is known after a restart, by UUID and tag; then it goes, and its disks are free."""
        checks = self.checks
        self.stop()
        self.serve()
        pools = [p for p in self.array.pools() if p["ElementName"] == "gold"]
        checks.equal([p.path.keybindings for p in pools], [self.group.keybindings],
                     "the pool is there after a restart, under the same path")
        def empty():
            return not any(v for v in self.array.enumerate("CIM_StorageVolume"))
        self.until(empty, "nothing lies in it")
        code, _ = invoke(self.connection, "DeleteStoragePool", self.array.configuration,
                         Pool=self.group)
        checks.equal(code, DONE, "the empty pool is removed")
        checks.equal(self.volume_groups(), [], "vgs shows nothing")
        checks.equal(self.report("pvs -o pv_name"), [], "and pvs neither")

    def whole(self, vm):
        """The whole story on one machine."""
        self.vm = vm
        self.prepare()
        self.serve()
        for part in (Storage.disks, Storage.make_pool, Storage.levels, Storage.largest, volumes.several,
                     volumes.names, volumes.shrinking, Storage.thin_pool, Storage.beside_us,
                     Storage.lost_disk, Storage.restart):
            self.checks.section(part.__doc__.splitlines()[0])
            self.checks.step(part, self)
        log = self.stop()
        self.checks.that("panicked" not in log, "nothing panicked", log[-2000:])
        self.checks.valid_replies(self.connection)
        return self.checks.finish()
