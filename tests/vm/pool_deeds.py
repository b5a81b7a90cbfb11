"""What clients ask that concerns pools, thin volumes, whole disks, and what a volume held.

Beside the group that all volumes of `deeds` lie in there is pool `kept`, which has one of two disks to
itself and is emptied from one onto the other: a volume, a thin pool and what lies in that.
"""

import pywbem

import scenario
from deeds import FULL, SIZE, THIN, Deed, Deeds
from harness import MIB

#: The disks that pools are made from, which begin empty: those of `kept`, and two more.
KEPT, FREE = ["/dev/vdd", "/dev/vde"], ["/dev/vdf", "/dev/vdg"]
#: What lies in `kept`, on its disk and in its thin pool.
CALM, THIN_ONES = "calm", ["thin-1", "thin-2"]
EXTENT = 4 * MIB


class PoolDeeds(Deeds):
    """A story whose client makes pools, too."""

    def __init__(self, program):
        super().__init__(program)
        self.emptied = self.place = self.leaving = None
        self.erases = "none"

    def deeds(self):
        return [
            Deed("thin moment", 3, self.forget_both, lambda: self.replicate_both(*THIN_ONES),
                 lambda: self.are_both(*THIN_ONES), self.forget_both),
            Deed("erase", 3, self.make_old, self.delete, self.is_erased, self.delete_new),
            Deed("pool", 2, self.delete_made, self.make_made, self.is_made, self.delete_made),
            Deed("unpool", 2, self.prepare_made, self.ask_delete_made, lambda: not self.is_made(),
                 self.delete_made),
            Deed("thin pool", 2, self.delete_thin, self.make_thin, self.is_thin_made, self.delete_thin),
            Deed("relocate", 6, self.make_leaving, self.relocate, self.is_relocated, self.delete_new),
            Deed("relocate old", 7, self.make_leaving_old, self.relocate, self.is_relocated_whole,
                 self.delete_new),
            Deed("thin volume", 2, self.delete_new, self.create_thin, self.is_created, self.delete_new),
            *super().deeds(),
            # The longest one.
            Deed("evacuate", 6, self.choose_emptied, self.evacuate, self.is_evacuated, lambda: None),
        ]

    # --- what is there from the beginning -------------------------------------------------------

    def make_kept(self):
        """Pool `kept` and what lies in it, full of something."""
        self.whole(self.make_pool, "kept", KEPT[:1])
        self.whole(self.make_thin_pool, "shared", self.pool_named("kept"))
        self.whole(self.create, CALM, self.pool_named("kept"), FULL)
        for name in THIN_ONES:
            self.whole(self.create, name, self.pool_named("shared"), THIN)
        for name in (CALM, *THIN_ONES):
            self.find(name)
            self.fill(name, f"what {name} holds")

    def make_pool(self, name, devices):
        """Asks for a pool of these disks."""
        return self.connection.InvokeMethod(
            "CreateOrModifyStoragePool", self.array.configuration, ElementName=name,
            InExtents=[self.extent(device).to_wbem_uri() for device in devices])

    def make_thin_pool(self, name, group):
        """Asks for a thin pool in a group."""
        return self.connection.InvokeMethod(
            "CreateOrModifyStoragePool", self.array.configuration, ElementName=name,
            InPools=[group.to_wbem_uri()], Size=pywbem.Uint64(4 * SIZE))

    def delete_pool(self, name):
        """Has a pool deleted, if it is there."""
        if self.pool_named(name) is not None:
            self.whole(self.ask_delete, name)

    def ask_delete(self, name):
        return self.connection.InvokeMethod(
            "DeleteStoragePool", self.array.configuration, Pool=self.pool_named(name))

    def extent(self, device):
        """The extent on the medium of a disk."""
        found = self.array.enumerate("CIM_StorageExtent")
        return next(item.path for item in found if item["Primordial"] and item["ElementName"] == device)

    def members(self, group):
        """The disks that LVM counts to a group."""
        text = self.run(f"pvs --noheadings -o pv_name -S vg_name={group}")
        return sorted(text.split())

    # --- pools ----------------------------------------------------------------------------------

    def delete_made(self):
        self.delete_pool("made")

    def make_made(self):
        return self.make_pool("made", FREE)

    def prepare_made(self):
        if self.pool_named("made") is None:
            self.whole(self.make_made)

    def ask_delete_made(self):
        return self.ask_delete("made")

    def is_made(self):
        is_there = self.pool_named("made") is not None
        self.checks.equal(self.members("made"), FREE if is_there else [],
                          "a pool is what LVM says: all of its disks or none")
        primordial, = self.array.pools(primordial=True)
        _, outputs = self.connection.InvokeMethod("GetAvailableExtents", primordial.path)
        free = {self.connection.GetInstance(path)["ElementName"] for path in outputs["AvailableExtents"]}
        self.checks.equal(not free.isdisjoint(FREE), not is_there, "its disks are free if it is not there")
        return is_there

    def delete_thin(self):
        self.delete_pool("thin")

    def make_thin(self):
        return self.make_thin_pool("thin", self.pool())

    def create_thin(self):
        return self.create("new", self.pool_named("shared"), THIN)

    def is_thin_made(self):
        is_there = self.pool_named("thin") is not None
        text = self.run("lvs --noheadings -o lv_size --units b --nosuffix -S segtype=thin-pool vg0")
        self.checks.equal(text.split(), [str(4 * SIZE)] if is_there else [],
                          "a thin pool is what LVM says")
        return is_there

    # --- another pool ---------------------------------------------------------------------------

    def make_leaving(self):
        """A volume on disks, full of something, that is to go into the thin pool of another group."""
        self.make_plain()
        self.fill("new", "what leaves")
        self.leaving = self.name_and_sum()

    def make_leaving_old(self):
        """The same, where what it was is erased."""
        self.make_old()
        self.leaving = self.name_and_sum()

    def is_relocated_whole(self):
        if not self.is_relocated():
            return False
        self.nothing_left()
        return True

    def name_and_sum(self):
        """What hosts know a volume by, and what they read."""
        return self.connection.GetInstance(self.find("new"))["Name"], self.sum_of(self.device("new"))

    def relocate(self):
        return self.connection.InvokeMethod(
            "RelocateStorageVolumesToStoragePool", self.relocation(), TheElements=[self.paths["new"]],
            TargetPool=self.pool_named("shared"))

    def is_relocated(self):
        self.checks.equal(self.name_and_sum(), self.leaving, "hosts know it as before, and read the same")
        row = self.run(f"lvs --noheadings -o vg_name,segtype {self.device('new')}").split()
        is_there = row == ["kept", "thin"]
        self.checks.that(is_there or row == ["vg0", "linear"], "it lies in one pool or the other", str(row))
        return is_there

    # --- emptying a disk ------------------------------------------------------------------------

    def choose_emptied(self):
        """The disk that is to be empty: the one that `kept` lies on."""
        self.emptied, = self.members("kept")

    def evacuate(self):
        onto, = (device for device in KEPT if device != self.emptied)
        return self.connection.InvokeMethod(
            "RelocateStoragePoolToStorageExtents", self.relocation(),
            TheElement=self.pool_named("kept"), InElements=[self.extent(onto)])

    def is_evacuated(self):
        members = self.members("kept")
        self.checks.equal(len(members), 1, "the pool lies on one disk")
        text = self.run("lvs -a --noheadings -o devices kept")
        under = {device for device in KEPT if device in text}
        self.checks.equal(under, set(members), "and so does all that is in it")
        return members != [self.emptied]

    # --- erasing --------------------------------------------------------------------------------

    def erasing(self, how):
        """Has the gateway erase what it removes, or not."""
        if self.erases != how:
            self.erases = how
            self.stop()
            self.run(f"sed -i 's/^erase = .*/erase = \"{how}\"/' {scenario.STATE}/standpipe.toml")
            self.serve()

    def make_plain(self):
        self.erasing("none")
        super().make_plain()

    def make_old(self):
        """A volume that holds something, where everything is erased before it goes."""
        self.erasing("zero")
        self.make_new()
        self.fill("new", "not for everybody")
        device = self.device("new")
        self.sums_of_new = {"before": self.sum_of(device)}
        ranges = self.run(f"lvs --noheadings -o seg_pe_ranges {device}").split()
        self.place = [self.on_disk(*part.replace(":", "-").split("-")) for part in ranges]

    def on_disk(self, device, first, last):
        """A command that reads what lies in these extents of a disk."""
        start = int(self.run(f"pvs --noheadings -o pe_start --units b --nosuffix {device}"))
        first, last = int(first), int(last)
        return (f"dd if={device} bs=1M iflag=direct,skip_bytes,count_bytes status=none "
                f"skip={start + first * EXTENT} count={(last - first + 1) * EXTENT}")

    def is_erased(self):
        """Nothing is left of what a removed volume held; or the volume is there, and whole."""
        if self.find("new") is not None:
            self.checks.equal(self.sum_of(self.device("new")), self.sums_of_new["before"],
                              "a volume that is there still holds what it held")
            return False
        self.nothing_left()
        return True

    def nothing_left(self):
        held = self.run(f"({'; '.join(self.place)}) | tr -d '\\0' | wc -c")
        self.checks.equal(held.strip(), "0", "on the disk there are zeros where it lay")
