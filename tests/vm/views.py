"""Who sees what, judged by initiators: no change of a view cuts the I/O of anybody who stays in it.

`standpipe serve` runs in the guest beside real initiators: those of libiscsi and QEMU, and the
kernel's own. Some of them read all the time through one login, so that a session that was dropped or
a read that failed is seen, whenever it was. Beside the gateway works targetcli, as administrators
use it. pywbem on the host changes the views.
"""

import re
import time
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field

import pywbem

import machine
import scenario
import takeover
from harness import (
    ACCESS_DENIED, ALREADY_EXISTS, DONE, FAILED, INVALID_PARAMETER, MIB, NOT_FOUND, Checks, contains, invoke,
    same,
)

#: The disks of the machine in order; the last one belongs to the other manager.
DISKS = [("pool", 512), ("state", 128), ("theirs", 64)]
THEIR_DISK = "/dev/vdc"

#: The target that the configuration names. A second target of ours joins this table, with its portal.
TARGETS = {scenario.IQN: "127.0.0.1:3260"}
THEIR_TARGET, THEIR_PORTAL = "iqn.2026-11.example.other:theirs", "127.0.0.1:3261"

ONE, TWO, THREE, FOUR, LINUX, THEIRS = (
    f"iqn.2026-11.example.host:{name}" for name in ("one", "two", "three", "four", "linux", "theirs"))

#: ExposePaths: Requested logical unit number in use.
NUMBER_IN_USE = 4102
#: AddMembers: In Use, of a device number.
IN_USE = 6

#: Seconds that a masking method may take at most, and how much longer it may look from outside.
PATIENCE, MARGIN = 20, 8

#: Names that are no iSCSI names.
MALFORMED = ["", "one", "iqn", "iqn.2026-11", "iqn.2026-13.example.host:x", "iqn.26-11.example.host:x",
             "iqn.2026-11.example.host:a b", "iqn.2026-11.example.host:a/b", "../../core", "eui.0123",
             "naa.123", "iqn.2026-11.example.host:" + 220 * "x", "iqn.2026-11.example.host:\n"]

#: Everything in the kernel target that a change could leave behind: folders, links and where they
#: lead, and what is written in them. What counts traffic or sessions is left out.
DUMP = r"""
cd /sys/kernel/config/target
find . \( -type d -o -type l \) -not -path '*/statistics*' -not -path '*/fabric_statistics*' \
    -printf '%p %l\n' | sort
grep -as '' core/iblock_*/*/udev_path core/iblock_*/*/wwn/vpd_unit_serial iscsi/iqn*/tpgt_*/enable \
    iscsi/iqn*/tpgt_*/attrib/* iscsi/iqn*/tpgt_*/acls/*/tag iscsi/iqn*/tpgt_*/acls/*/lun_*/write_protect
true
"""

#: Reads again and again in one process, ten times a second, until its folder is gone.
READER = r"""
mkdir {folder} && cd {folder} || exit
mkfifo feed pace
(
    exec 8<>pace
    while [ -e feed ]; do
        echo 'read -P {byte} 0 64k'
        read -rt 0.1 <&8
    done > feed
) > /dev/null 2>&1 &
disk=driver=iscsi,transport=tcp,portal={portal},target={iqn},lun={lun},initiator-name={initiator}
setsid qemu-io --image-opts $disk < feed > reads 2>&1 &
echo $! > pid
until grep -q ^read reads || grep -q ' read ' reads; do
    kill -0 $(cat pid) || {{ cat reads >&2; exit 1; }}
    sleep 0.1
done
"""

#: The kernel's own initiator. Its daemon ends its whole process group, so it gets one of its own.
KERNEL_INITIATOR = f"""
modprobe iscsi_tcp
echo InitiatorName={LINUX} > /etc/iscsi/initiatorname.iscsi
setsid iscsid -f > /tmp/iscsid.log 2>&1 &
until iscsiadm -m session 2>&1 | grep -q 'No active'; do sleep 0.1; done
"""

#: How targetcli complains: its status is 0 whatever happens.
COMPLAINT = re.compile(r"error|not valid|No such|Cannot|already exists|Unexpected|Missing", re.IGNORECASE)

#: What targetcli is told before anything else: nothing happens that was not asked for.
QUIET = "set global auto_add_default_portal=false auto_add_mapped_luns=false auto_save_on_exit=false"


def disks(folder):
    """The disks' files."""
    return [machine.blank_disk(f"{folder}/{name}", size * MIB) for name, size in DISKS]


@dataclass
class Shown:
    """A view with its groups, by the type that the schema gives each kind."""

    path: pywbem.CIMInstanceName
    groups: dict = field(default_factory=dict)


class Reader:
    """An initiator that reads all the time through one login."""

    def __init__(self, story, initiator, lun, byte, iqn=scenario.IQN, portal="127.0.0.1:3260"):
        self.story, self.initiator, self.iqn = story, initiator, iqn
        self.folder = f"/tmp/reader-{initiator.rsplit(':', 1)[1]}-{lun}-{iqn.rsplit(':', 1)[1]}"
        story.run(READER.format(folder=self.folder, byte=byte, portal=portal, iqn=iqn, lun=lun,
                                initiator=initiator))
        self.session = story.session(initiator, iqn)
        self.seen = 0

    def lines(self):
        """What it has printed."""
        return self.story.run(f"cat {self.folder}/reads").splitlines()

    def count(self):
        """How often it has read what it should."""
        return sum("read 65536/65536 bytes" in line for line in self.lines())

    def check(self, when):
        """Not one read failed, others came since the last look, and the login is the same."""
        checks, host = self.story.checks, self.initiator.rsplit(":", 1)[1]
        self.story.until(lambda: self.count() > self.seen + 1, f"host {host} reads on after {when}")
        bad = [line for line in self.lines() if "fail" in line.lower() or "error" in line.lower()]
        checks.equal(bad, [], f"and no read of host {host} has failed")
        # Who looked through the same name a moment ago is told until his logout has ended.
        self.story.until(lambda: self.story.session(self.initiator, self.iqn) == self.session,
                         f"and host {host} has the same session")
        self.seen = self.count()

    def stop(self):
        """Ends it and takes its traces away."""
        self.story.run(f"cd {self.folder} && rm feed; kill $(cat pid) 2>/dev/null; "
                       f"while kill -0 $(cat pid) 2>/dev/null; do sleep 0.1; done; rm -r {self.folder}")


class Views(takeover.TakingOver, scenario.Story):
    """Views that change under living initiators."""

    def __init__(self, program):
        super().__init__(program)
        self.checks = Checks("kernel masking")
        self.volumes, self.known, self.names = {}, {}, {}
        self.main = self.side = None

    # --- what initiators and the kernel tell ----------------------------------------------------

    def units(self, initiator, portal="127.0.0.1:3260"):
        """The numbers that an initiator is told of, by target; empty where it finds no target."""
        # The first look of a host after a change is answered with a unit attention, which ends it.
        looks = (self.vm.run(f"iscsi-ls -s -i {initiator} iscsi://{portal}", check=False) for _ in range(8))
        look = next(look for look in looks if "UNIT_ATTENTION" not in look.err)
        found, numbers = {}, set()
        for line in look.out.splitlines():
            if target := re.match(r"Target:(\S+)", line):
                numbers = found.setdefault(target[1], set())
            elif unit := re.match(r"Lun:(\d+) +Type:DIRECT_ACCESS", line):
                numbers.add(int(unit[1]))
        return found

    def sees(self, initiator, numbers, when):
        """One check that an initiator finds exactly these volumes (number -> name), under the
        identifiers that the client was told."""
        host = initiator.rsplit(":", 1)[-1]
        wanted = {target: set(numbers) for target in TARGETS} if numbers else {}
        if not self.checks.equal(self.units(initiator), wanted, f"host {host} sees {numbers} {when}"):
            return
        for number, name in numbers.items():
            if name in self.names:
                self.number = f"{number:x}"
                self.checks.equal(self.identifier(initiator), seen(self.names[name]),
                                  f"unit {number} of host {host} is {name} {when}")

    def session(self, initiator, iqn=scenario.IQN):
        """What the kernel knows the initiator's session by; None while there is none."""
        info = self.run(f"cat {acl(initiator, iqn)}/info 2>&1 || true")
        found = re.search(r"LIO Session ID: (\d+) +ISID: ([0-9a-fx ]+?) +TSIH: (\d+)", info)
        return found.groups() if found else None

    def dump(self):
        """All that a change could leave behind in the kernel target."""
        return self.run(DUMP).splitlines()

    # --- what the client does -------------------------------------------------------------------

    def create(self, name, size):
        """Makes a volume and remembers its path and identifier."""
        code, _ = invoke(
            self.connection, "CreateOrModifyElementFromStoragePool", self.array.configuration,
            ElementName=name, ElementType=pywbem.Uint16(2), InPool=self.pool(),
            Size=pywbem.Uint64(size))
        self.checks.equal(code, DONE, f"volume {name} is made")
        found = next(v for v in self.array.enumerate("CIM_StorageVolume") if v["ElementName"] == name)
        self.volumes[name], self.names[name] = found.path, found["Name"]

    def reader(self, *words):
        """An initiator that begins to read."""
        return Reader(self, *words)

    def call(self, method, **words):
        """A method of the masking service that must succeed; its outputs."""
        code, outputs = self.connection.InvokeMethod(method, self.array.masking, **words)
        self.checks.equal(code, DONE, f"{method} succeeds")
        return outputs

    def host(self, initiator):
        """The path of an initiator, which is introduced where it is not known yet."""
        if initiator not in self.known:
            code, outputs = self.connection.InvokeMethod(
                "CreateStorageHardwareID", self.array.hardware_ids, StorageID=initiator,
                IDType=pywbem.Uint16(5))
            self.checks.equal(code, DONE, "a hardware id is created")
            self.known[initiator] = outputs["HardwareID"]
        return self.known[initiator]

    def show(self, name, initiators, volumes):
        """Shows volumes (number -> name) to initiators through every port."""
        groups = {}
        for kind, members in {2: [self.host(i) for i in initiators], 3: self.array.target_endpoints(),
                              4: [self.volumes[volume] for volume in volumes.values()]}.items():
            groups[kind] = self.call("CreateGroup", GroupName=name, Type=pywbem.Uint16(kind),
                                     Members=members)["MaskingGroup"]
        made = self.call(
            "CreateMaskingView", ElementName=name, InitiatorMaskingGroup=groups[2],
            TargetMaskingGroup=groups[3], DeviceMaskingGroup=groups[4],
            DeviceNumbers=[f"{number:x}" for number in volumes])
        return Shown(made["ProtocolController"], groups)

    def delete(self, shown):
        """Deletes a view and its groups."""
        self.call("DeleteMaskingView", ProtocolController=shown.path)
        for group in shown.groups.values():
            self.call("DeleteGroup", MaskingGroup=group)

    def add(self, shown, kind, *members, **words):
        """Adds members to a group of a view."""
        self.call("AddMembers", MaskingGroup=shown.groups[kind], Members=list(members), **words)

    def remove(self, shown, kind, *members):
        """Removes members from a group of a view."""
        self.call("RemoveMembers", MaskingGroup=shown.groups[kind], Members=list(members))

    def prepare(self):
        """The gateway's state and configuration, and what lies on the other manager's disk."""
        self.configure()
        self.run(f"yes 'of somebody else' | dd of={THEIR_DISK} bs=1M iflag=fullblock status=none; "
                 f"printf '\\245%.0s' $(seq 65536) | dd of={THEIR_DISK} conv=notrunc status=none")

    # --- the story ------------------------------------------------------------------------------

    def live(self):
        """A host reads on through one login whatever changes around it."""
        for name, size in [("live", 32), ("second", 16), ("third", 16), ("linux", 32)]:
            self.create(name, size * MIB)
        self.main = self.show("main", [ONE], {1: "live"})
        self.sees(ONE, {1: "live"}, "at first")
        self.volume, self.number = self.volumes["live"], "1"
        self.checks.that(self.disk(f"write -P 0xa5 0 {MIB}"), "the host writes")
        reader = Reader(self, ONE, 1, 0xA5)
        self.readers = [reader]
        for when, change in {
            "a volume joins its view": self.volume_joins,
            "a host joins its view": self.host_joins,
            "another view is made": self.view_is_made,
            "a host leaves its view": self.host_leaves,
            "a third view is made and deleted": self.view_comes_and_goes,
            "its volume has grown": self.volume_grows,
            "the gateway was restarted": self.restart,
            "the gateway was killed": self.kill,
            "a volume leaves its view": self.volume_leaves,
        }.items():
            self.checks.section(f"- {when}")
            change()
            for reader in self.readers:
                reader.check(when)

    def volume_joins(self):
        self.add(self.main, 4, self.volumes["second"], DeviceNumbers=["2"])
        self.sees(ONE, {1: "live", 2: "second"}, "with a second volume")

    def host_joins(self):
        self.add(self.main, 2, self.host(TWO))
        self.sees(TWO, {1: "live", 2: "second"}, "as the other one")
        self.readers.append(Reader(self, TWO, 2, 0))

    def view_is_made(self):
        """The kernel's initiator finds its disk by the identifier that the client was told."""
        self.side = self.show("side", [LINUX], {7: "linux"})
        self.run(KERNEL_INITIATOR, timeout=60)
        self.run("iscsiadm -m discovery -t st -p 127.0.0.1:3260 && iscsiadm -m node --login && "
                 "udevadm settle")
        self.device = f"/dev/disk/by-id/wwn-0x{self.names['linux'].lower()}"
        self.checks.equal(self.vm.run(f"mkfs.ext4 -q {self.device} && mkdir -p /mnt/linux && "
                                      f"mount {self.device} /mnt/linux", check=False).status, 0,
                          "the kernel's initiator has the disk by its name, and makes a file system")
        self.linux = self.session(LINUX)
        self.checks.that(self.linux, "and its session is seen")

    def host_leaves(self):
        """Removing one member touches no other member."""
        reader = self.readers.pop()
        reader.check("before it leaves")
        self.remove(self.main, 2, self.known[TWO])
        self.until(lambda: self.session(TWO) is None, "its session ends")
        last = reader.count()
        self.sees(TWO, {}, "after it was removed")
        self.checks.equal(reader.count(), last, "and it reads no more")
        reader.stop()
        self.sees(ONE, {1: "live", 2: "second"}, "as before")
        self.kernel_works("after another host was removed")

    def view_comes_and_goes(self):
        other = self.show("other", [THREE, FOUR], {3: "third"})
        self.sees(FOUR, {3: "third"}, "through a view of its own")
        self.delete(other)
        self.sees(THREE, {}, "after its view is gone")
        self.kernel_works("after another view is gone")

    def volume_grows(self):
        code, _ = invoke(
            self.connection, "CreateOrModifyElementFromStoragePool", self.array.configuration,
            ElementType=pywbem.Uint16(2), TheElement=self.volumes["live"], Size=pywbem.Uint64(48 * MIB))
        self.checks.equal(code, DONE, "the volume that is read grows")
        size = self.run(f"iscsi-readcapacity16 -i {ONE} iscsi://127.0.0.1/{scenario.IQN}/1")
        self.checks.that(re.search(rf"Total size:{48 * MIB}\b", size), "the host sees that", size)

    def restart(self):
        self.stop()
        self.serve()
        self.sees(ONE, {1: "live", 2: "second"}, "after a restart")
        self.kernel_works("after a restart")

    def kill(self):
        self.run(f"kill -KILL $(cat {scenario.STATE}/pid); "
                 f"while kill -0 $(cat {scenario.STATE}/pid) 2>/dev/null; do sleep 0.1; done")
        self.serve()
        self.sees(ONE, {1: "live", 2: "second"}, "after a kill")
        self.kernel_works("after a kill")

    def volume_leaves(self):
        self.remove(self.main, 4, self.volumes["second"])
        self.sees(ONE, {1: "live"}, "with one volume again")
        self.kernel_works("after another volume was removed")

    def kernel_works(self, when):
        """The kernel's initiator writes and reads on, in the session that it had."""
        done = self.vm.run("date +%N > /mnt/linux/mark && sync -f /mnt/linux && "
                           f"dd if={self.device} of=/dev/null bs=1M count=8 iflag=direct status=none",
                           check=False)
        self.checks.equal((done.status, done.err), (0, ""), f"the kernel's initiator works {when}")
        self.checks.equal(self.session(LINUX), self.linux, "in the same session")

    def rescan(self):
        """The kernel's initiator finds a new disk, and a disk that grew, when it looks again."""
        self.add(self.side, 4, self.volumes["second"], DeviceNumbers=["8"])
        code, _ = invoke(
            self.connection, "CreateOrModifyElementFromStoragePool", self.array.configuration,
            ElementType=pywbem.Uint16(2), TheElement=self.volumes["linux"], Size=pywbem.Uint64(40 * MIB))
        self.checks.equal(code, DONE, "its volume grows")
        self.run("iscsiadm -m session --rescan && udevadm settle")
        new = f"/dev/disk/by-id/wwn-0x{self.names['second'].lower()}"
        sizes = self.run(f"blockdev --getsize64 {new} {self.device}").split()
        self.checks.equal(sizes, [str(16 * MIB), str(40 * MIB)], "both are there in their sizes")
        self.kernel_works("after a rescan")
        self.remove(self.side, 4, self.volumes["second"])
        gone = self.vm.run(f"dd if={new} of=/dev/null bs=4k count=1 iflag=direct", check=False)
        self.checks.that(gone.status != 0, "a disk that was taken away is not read any more")
        self.kernel_works("after a disk was taken away")

    def ports(self):
        """A view shows the same through each of its ports."""
        ports = self.array.target_endpoints()
        names = sorted(port["Name"].split(",")[0] for port in ports)
        self.checks.equal(names, sorted(TARGETS), "each target of the configuration is a port")
        seen_ports = self.connection.AssociatorNames(
            self.main.path, AssocClass="CIM_SAPAvailableForElement", ResultClass="CIM_ProtocolEndpoint")
        self.checks.equal(sorted(port["Name"].split(",")[0] for port in seen_ports), names,
                          "the view is at each of them")
        # A second target: make it (by `[[target]]` or CreateiSCSINode), add its portal to TARGETS, and
        # take its port from the view's group and give it back here, with reader `ONE` at the first.

    def denial(self):
        """Who is not named sees nothing; a name is the same name in capitals."""
        for stranger in (TWO, ONE + "x", ONE[:-1], "iqn.2026-11.example.host:", THEIRS):
            self.sees(stranger, {}, "as a stranger")
            self.number = "1"
            self.checks.that(self.identifier(stranger) is None, f"nor does {stranger} get in by itself")
        # Names are compared after folding (RFC 7143, 4.2.7.2), by the kernel and by the array.
        capitals = ONE.upper()
        self.checks.equal(self.identifier(capitals), seen(self.names["live"]),
                          "the host is the same in capitals")
        code, outputs = self.connection.InvokeMethod(
            "CreateStorageHardwareID", self.array.hardware_ids, StorageID=capitals,
            IDType=pywbem.Uint16(5))
        self.checks.that(code == DONE and same(outputs["HardwareID"], self.known[ONE]),
                         "and the same hardware id", str(outputs))

    def refusals(self):
        """Wrong wishes are refused, with nothing changed."""
        self.create("gone", 4 * MIB)
        gone = self.volumes.pop("gone")
        code, _ = invoke(self.connection, "ReturnToStoragePool", self.array.configuration, TheElement=gone)
        self.checks.equal(code, DONE, "a volume is deleted")
        three = self.host(THREE)
        spare = self.call("CreateGroup", GroupName="spare", Type=pywbem.Uint16(4),
                          Members=[self.volumes["third"]])["MaskingGroup"]
        before = self.dump()
        refused = [FAILED, INVALID_PARAMETER, NOT_FOUND, ALREADY_EXISTS, ACCESS_DENIED]

        def wrong(what, method, service=None, **words):
            self.checks.refuses(refused, f"{what} is refused", self.connection.InvokeMethod, method,
                                service or self.array.masking, **words)
            self.checks.equal(self.dump(), before, f"{what} changes nothing")

        for name in MALFORMED:
            self.checks.refuses(INVALID_PARAMETER, f"the name {name!r:.60} is refused",
                                self.connection.InvokeMethod, "CreateStorageHardwareID",
                                self.array.hardware_ids, StorageID=name, IDType=pywbem.Uint16(5))
            self.checks.refuses(INVALID_PARAMETER, f"and by ExposePaths: {name!r:.60}",
                                self.connection.InvokeMethod, "ExposePaths", self.array.masking,
                                LUNames=[self.names["third"]], InitiatorPortIDs=[name],
                                TargetPortIDs=[self.array.target_endpoints()[0]["Name"]],
                                DeviceAccesses=[pywbem.Uint16(2)])
        self.checks.equal(self.dump(), before, "malformed names change nothing")
        groups = self.main.groups
        code, _ = self.connection.InvokeMethod(
            "AddMembers", self.array.masking, MaskingGroup=groups[4], DeviceNumbers=["1"],
            Members=[self.volumes["third"]])
        self.checks.equal(code, IN_USE, "a number in use is refused")
        self.checks.equal(self.dump(), before, "a number in use changes nothing")
        code, _ = self.connection.InvokeMethod(
            "ExposePaths", self.array.masking, LUNames=[self.names["third"]], DeviceNumbers=["1"],
            DeviceAccesses=[pywbem.Uint16(2)], ProtocolControllers=[self.main.path])
        self.checks.equal(code, NUMBER_IN_USE, "ExposePaths has a code for it")
        wrong("a number beyond all numbers", "AddMembers", MaskingGroup=groups[4],
              DeviceNumbers=["10000"], Members=[self.volumes["third"]])
        wrong("a host of another group", "CreateGroup", GroupName="mine", Type=pywbem.Uint16(2),
              Members=[self.known[ONE], three])
        wrong("a group in use", "DeleteGroup", MaskingGroup=groups[2])
        wrong("a hardware id in use", "DeleteStorageHardwareID", self.array.hardware_ids,
              HardwareID=self.known[ONE])
        wrong("a volume that is gone", "AddMembers", MaskingGroup=groups[4], Members=[gone])
        wrong("a volume that is shown already", "AddMembers", MaskingGroup=groups[4],
              Members=[self.volumes["live"]])
        wrong("a second view for a host and port", "CreateMaskingView", ElementName="twice",
              InitiatorMaskingGroup=groups[2], TargetMaskingGroup=groups[3], DeviceMaskingGroup=spare)
        wrong("deleting a volume that is shown", "ReturnToStoragePool", self.array.configuration,
              TheElement=self.volumes["live"])
        self.call("DeleteGroup", MaskingGroup=spare)
        self.readers[0].check("all refusals")

    # --- beside another manager -----------------------------------------------------------------

    def targetcli(self, *lines):
        """What an administrator types; a failed line ends it, and is printed."""
        script = "\n".join([QUIET, *lines])
        done = self.vm.run(f"targetcli <<'END'\n{script}\nEND", timeout=180, check=False)
        said = [line for line in (done.out + done.err).splitlines() if "dbroot" not in line]
        self.checks.equal((done.status, [l for l in said if COMPLAINT.search(l)]), (0, []),
                          f"targetcli works beside us: {lines[0]}")
        return done.out

    def unit(self, initiator, number):
        """The number of the target's unit behind a number of an initiator's."""
        return self.run(f"readlink {acl(initiator)}/lun_{number}/standpipe-*").rsplit("lun_", 1)[1].strip()

    def entry(self, initiator):
        """Under which name targetcli has an ACL of ours: its tag, which it takes for a group."""
        return self.run(f"cat {acl(initiator)}/tag").strip("\0\n")

    def beside_us(self):
        """Another manager's target, and a unit of his in an ACL of ours, are left alone."""
        checks, ours = self.checks, f"/iscsi/{scenario.IQN}/tpg1"
        theirs = f"/iscsi/{THEIR_TARGET}/tpg1"
        self.run("mkdir -p /run/dbus && dbus-daemon --system --fork")
        self.targetcli(
            f"/backstores/block create theirs {THEIR_DISK}",
            f"/iscsi create {THEIR_TARGET}",
            f"{theirs}/portals create {THEIR_PORTAL.replace(':', ' ')}",
            f"{theirs} set attribute authentication=0 generate_node_acls=0 demo_mode_discovery=0",
            f"{theirs}/luns create /backstores/block/theirs",
            f"{theirs}/acls create {THEIRS}",
            f"{theirs}/acls/{THEIRS} create 5 0",
            f"{ours}/luns create /backstores/block/theirs 77",
            f"{ours}/acls/{self.entry(ONE)} create 200 77",
            # An ACL of his in our target, for a host that we are to serve, too; it shows a unit of ours.
            f"{ours}/acls create {FOUR}",
            f"{ours}/acls/{FOUR} create 9 {self.unit(ONE, 1)}")
        checks.equal(self.units(THEIRS, THEIR_PORTAL), {THEIR_TARGET: {5}}, "his host sees his unit")
        self.sees(ONE, {1: "live", 200: "his"}, "with a unit of his")
        self.readers += [Reader(self, THEIRS, 5, 0xA5, THEIR_TARGET, THEIR_PORTAL),
                         Reader(self, ONE, 200, 0xA5)]
        # Several sessions of one initiator: the kernel tells of the latest alone.
        self.readers[0].session = self.readers[-1].session
        their_part = [line for line in self.dump() if self.is_theirs(line)]

        def left_alone(when):
            checks.equal([line for line in self.dump() if self.is_theirs(line)], their_part,
                         f"all that is his is as it was after {when}")
            for reader in self.readers:
                reader.check(when)

        self.add(self.main, 2, self.host(FOUR))
        self.sees(FOUR, {1: "live", 9: "live"}, "in an ACL of his")
        self.remove(self.main, 2, self.known[FOUR])
        left_alone("a host with an ACL of his came and went")
        self.sees(FOUR, {9: "live"}, "when it has his row alone")
        self.restart_beside()
        left_alone("a restart of the gateway")
        self.readers[0].stop()
        self.readers.pop(0)
        self.remove(self.main, 2, self.known[ONE])
        left_alone("our last unit left the ACL")
        self.sees(ONE, {200: "his"}, "when ours is gone")
        self.sees(FOUR, {9: "live"}, "although nobody sees the volume through us")
        self.add(self.main, 2, self.known[ONE])
        self.sees(ONE, {1: "live", 200: "his"}, "when ours is back")
        left_alone("ours came back")
        # An ACL that he would take for a group of several hosts he would also change for all of them.
        listed = self.targetcli(f"ls {ours}/acls")
        checks.that("mapped_lun200" in listed and "mapped_lun1 " in listed and "mapped_lun7 " in listed,
                    "targetcli lists each of our hosts by itself", listed)
        for reader in self.readers:
            reader.stop()
        self.readers = []
        self.targetcli(f"{ours}/acls/{self.entry(ONE)} delete 200", f"{ours}/luns delete 77",
                       f"{ours}/acls delete {FOUR}",
                       f"/iscsi delete {THEIR_TARGET}",
                       "/backstores/block delete theirs")
        self.sees(ONE, {1: "live"}, "after he has cleared his things away")

    def is_theirs(self, line):
        """Whether a line of the dump is about something that the other manager has made."""
        return any(mark in line for mark in (THEIR_TARGET, "/theirs", "lun_200", "lun_77", FOUR)) \
            and f"{FOUR}/lun_1" not in line

    def restart_beside(self):
        self.stop()
        self.serve()

    # --- a kernel that hangs --------------------------------------------------------------------

    def hang(self):
        """A device hangs: its call ends in an error in time, and other hosts go on."""
        checks = self.checks
        stuck = self.show("stuck", [THREE], {3: "third"})
        reader = Reader(self, THREE, 3, 0)
        mine = Reader(self, ONE, 1, 0xA5)
        device = self.run("lvs --noheadings -o lv_dm_path -S "
                          f"lv_uuid={self.volumes['third']['DeviceID']} vg0").strip()
        # Its read hangs in the kernel, and its session cannot be ended before the read has.
        self.run(f"dmsetup suspend --nolockfs --noflush {device}")
        try:
            self.while_it_hangs(stuck, mine)
        finally:
            self.run(f"dmsetup resume {device}")
        self.until(lambda: self.works("AddMembers", MaskingGroup=self.main.groups[2],
                                      Members=[self.host(TWO)]), "views can be changed again")
        self.sees(TWO, {1: "live"}, "after the device is back")
        self.remove(self.main, 2, self.known[TWO])
        mine.check("the device is back")
        # What was given up went on, as a job: it is done or taken back, depending on how long that took.
        self.until(self.agreed(stuck), "the array and the host agree on whether the view is there")
        if contains(self.array.enumerate("CIM_SCSIProtocolController"), stuck.path):
            self.delete(stuck)
        else:
            for group in stuck.groups.values():
                self.call("DeleteGroup", MaskingGroup=group)
        self.sees(THREE, {}, "when the view is deleted")
        for each in (reader, mine):
            each.stop()

    def agreed(self, shown):
        """Whether a job that was given up has ended, and its view is there for the client if and only
        if it is for the host."""
        def holds():
            jobs = self.array.enumerate("CIM_ConcreteJob")
            views = self.array.enumerate("CIM_SCSIProtocolController")
            wanted = {scenario.IQN: {3}} if contains(views, shown.path) else {}
            return all(job["JobState"] > 6 for job in jobs) and self.units(THREE) == wanted
        return holds

    def while_it_hangs(self, stuck, mine):
        """One call is given up; everything that does not need it goes on."""
        checks, began = self.checks, time.monotonic()
        with ThreadPoolExecutor(1) as pool:
            call = pool.submit(self.connection.InvokeMethod, "DeleteMaskingView", self.array.masking,
                               ProtocolController=stuck.path)
            mine.check("another host's device hangs")
            checks.refuses(FAILED, "a call that hangs ends in an error", call.result)
        taken = time.monotonic() - began
        checks.that(taken < PATIENCE + MARGIN, "in time", f"{taken:.0f} s")
        began = time.monotonic()
        checks.refuses(FAILED, "another view cannot be changed meanwhile", self.connection.InvokeMethod,
                       "AddMembers", self.array.masking, MaskingGroup=self.main.groups[2],
                       Members=[self.known[FOUR]])
        taken = time.monotonic() - began
        checks.that(taken < PATIENCE + MARGIN, "and says so in time", f"{taken:.0f} s")
        self.create("meanwhile", 4 * MIB)
        mine.check("the call was given up")

    def works(self, method, **words):
        """Whether a method of the masking service succeeds now."""
        try:
            return self.connection.InvokeMethod(method, self.array.masking, **words)[0] == DONE
        except pywbem.CIMError:
            return False

    def finish(self):
        """Everything is taken down, and nothing is left."""
        self.run("umount /mnt/linux && iscsiadm -m node --logout")
        for shown in (self.main, self.side):
            self.delete(shown)
        for path in self.volumes.values():
            code, _ = invoke(self.connection, "ReturnToStoragePool", self.array.configuration,
                             TheElement=path)
            self.checks.equal(code, DONE, "a volume is deleted")
        self.checks.equal(self.lvs(), {}, "lvs is empty")
        self.checks.equal(sorted(self.target()), sorted(f"iscsi/{iqn}" for iqn in TARGETS),
                          "configfs holds the configured targets and nothing else")

    def whole(self, vm):
        """The whole story on one machine."""
        self.vm = vm
        self.run("vgcreate -q vg0 /dev/vda")
        self.prepare()
        self.serve()
        for part in (self.live, self.rescan, self.ports, self.denial, self.refusals, self.beside_us,
                     self.take_over, self.hang, self.finish):
            self.checks.section(part.__doc__.splitlines()[0])
            self.checks.step(part)
        log = self.stop()
        self.checks.that("panicked" not in log, "nothing panicked", log[-2000:])
        self.checks.valid_replies(self.connection)
        return self.checks.finish()


def acl(initiator, iqn=scenario.IQN):
    """The folder of an initiator's ACL."""
    return f"/sys/kernel/config/target/iscsi/{iqn}/tpgt_1/acls/{initiator}"


def seen(name):
    """An identifier as `iscsi-inq` shows it: up to its first zero byte."""
    return bytes.fromhex(name).split(b"\0")[0].hex().upper()
