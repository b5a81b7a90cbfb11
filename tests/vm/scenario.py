"""The whole way: a client on the host provisions a real volume for a real initiator in the machine.

`standpipe serve` runs in the guest on LVM and LIO, pywbem on the host through a forwarded port.
What the client is told is compared with what LVM, configfs and initiators show. In two parts,
because between them the machine is restarted with a volume mapped.
"""

import json
import secrets
import sys
import types
from pathlib import Path

HERE = Path(__file__).resolve().parent
sys.path.insert(0, str(HERE.parent.parent / "conformance"))

import pywbem  # noqa: E402

import discovery  # noqa: E402
from harness import (  # noqa: E402
    DONE, MIB, NOT_FOUND, SIZE_NOT_SUPPORTED, Checks, connect, contains, invoke, same,
)

#: Ports of the guest that the host can reach.
PORT = 5988
PORTS = [PORT]

IQN = "iqn.2026-11.example.array:scenario"
HOST = "iqn.2026-11.example.host:one"
OTHER = "iqn.2026-11.example.host:two"
STATE = "/var/lib/standpipe"

#: `OperationalStatus`.
OK, DEGRADED = 2, 3
#: How often something that is about to come is looked for.
LOOKS = 120

CONFIGURATION = """
[server]
listen = ["http://0.0.0.0:{port}"]
allow_plain_http = true
state_dir = "{state}"

[[user]]
name = "admin"
password_hash = "{hash}"
role = "administrator"

[storage]
volume_groups = ["vg0"]

[target]
iqn = "{iqn}"
portals = ["127.0.0.1:3260"]
"""

#: Everything that the kernel target holds besides its fixed parts, one line each.
TARGET = """
cd /sys/kernel/config/target
for d in iscsi/iqn* core/iblock_*/* iscsi/iqn*/tpgt_*/lun/lun_* iscsi/iqn*/tpgt_*/acls/*; do
    [ ! -d "$d" ] || echo "$d"
done
"""


class Story:
    """What is known of the array, across the restart."""

    def __init__(self, program):
        self.program = program
        self.checks = Checks("kernel scenario")
        self.password = secrets.token_hex(12)
        self.vm = None
        self.connection = self.array = None
        self.volume = self.view = self.number = self.name = None
        self.groups, self.hardware_id = {}, None

    # --- the guest ------------------------------------------------------------------------------

    def run(self, script, **options):
        """Output of a script in the guest."""
        return self.vm.run(script, **options).out

    def prepare(self):
        """The gateway's state and configuration, and old data in the pool."""
        self.configure()
        self.run("lvcreate -q -y -L 256M -n old vg0 && "
                 "yes 'left by an earlier tenant' | dd of=/dev/vg0/old bs=1M count=256 "
                 "iflag=fullblock status=none && udevadm settle && lvremove -q -y vg0/old")

    def configure(self):
        """A file system for the gateway's state, and its configuration."""
        self.run(f"mkfs.ext4 -q /dev/vdb && mkdir -p {STATE} && mount /dev/vdb {STATE}")
        hashed = self.run(f"echo {self.password} | {self.program} user hash").strip()
        text = CONFIGURATION.format(port=PORT, state=STATE, hash=hashed, iqn=IQN)
        self.run(f"cat > {STATE}/standpipe.toml <<'END'\n{text}\nEND")

    def serve(self):
        """Starts the gateway and finds the array through it."""
        self.run(f"""
            cd {STATE}
            {self.program} serve --config standpipe.toml > out 2> log & echo $! > pid
            until grep -q ^ready out; do
                kill -0 $(cat pid) || {{ cat log >&2; exit 1; }}
                sleep 0.2
            done""", timeout=120)
        self.connect()

    def connect(self):
        """Finds the array through the gateway that runs."""
        chosen = types.SimpleNamespace(user="admin", password=self.password, ca=None,
                                       url=f"http://127.0.0.1:{self.vm.port[PORT]}")
        self.connection = connect(chosen)
        # Emulation is slow, and the first request waits for the password's hash.
        self.connection.timeout = 180
        self.array = discovery.discover(self.connection)

    def stop(self):
        """Ends the gateway; returns what it complained of."""
        self.run(f"pid=$(cat {STATE}/pid); kill $pid; while kill -0 $pid 2>/dev/null; do sleep 0.1; done")
        return self.run(f"cat {STATE}/log")

    def until(self, holds, text):
        """Waits for what comes by itself, or is seen after it changed outside."""
        return self.checks.until(text, holds, within=60)

    def lvs(self):
        """Logical volumes as LVM lists them: UUID -> bytes."""
        text = self.run("lvs --reportformat json --units b --nosuffix -o lv_uuid,lv_size vg0")
        rows = json.loads(text)["report"][0]["lv"]
        return {row["lv_uuid"]: int(row["lv_size"]) for row in rows}

    def target(self):
        """What configfs holds."""
        return self.run(TARGET).split()

    def identifier(self, initiator):
        """The NAA identifier that an initiator reads, or None.

        `iscsi-inq` prints it raw, and only up to its first zero byte.
        """
        result = self.vm.run(
            f"set -o pipefail; iscsi-inq -e 1 -c 131 -i {initiator} "
            f"iscsi://127.0.0.1/{IQN}/{int(self.number, 16)} | od -An -v -tx1 | tr -d ' \\n'",
            check=False)
        marker = b"Designator Type:(3) NAA\nDesignator:[".hex()
        if result.status != 0 or marker not in result.out:
            return None
        return result.out.split(marker, 1)[1].split(b"]\n".hex())[0].upper()

    def reads(self, byte, start, length):
        """Whether the host reads that byte all over the range, through iSCSI."""
        return self.disk(f"read -P {byte} {start} {length}")

    def disk(self, command):
        """Whether a command of QEMU's initiator succeeds on the volume."""
        result = self.vm.run(
            "qemu-io --image-opts driver=iscsi,transport=tcp,portal=127.0.0.1:3260,"
            f"target={IQN},lun={int(self.number, 16)},initiator-name={HOST} -c '{command}'",
            check=False)
        return result.status == 0 and "failed" not in result.out

    # --- the client -----------------------------------------------------------------------------

    def profiles(self):
        """The profile tree, from SMI-S down."""
        checks, connection = self.checks, self.connection
        registered = discovery.profiles(connection)
        tops = registered.get((discovery.SNIA, "SMI-S"), [])
        if not checks.that(tops, "the SMI-S specification is registered"):
            return
        starts = discovery.conforming(connection, tops[0].path, "CIM_RegisteredProfile")
        below = [path for start in starts for path in discovery.profile_tree(connection, start)]
        for name in discovery.OFFERED:
            known = registered.get((discovery.SNIA, name), [])
            checks.that(known and contains(below, known[0].path), f"{name} is in the profile tree")

    def make(self, name, size):
        """Creates a volume."""
        code, outputs = invoke(
            self.connection, "CreateOrModifyElementFromStoragePool", self.array.configuration,
            ElementName=name, ElementType=pywbem.Uint16(2), InPool=self.pool(),
            Size=pywbem.Uint64(size))
        self.checks.equal(code, DONE, "a volume is created")
        # With a job the path may come from the job alone; the volume is then found by its name.
        volumes = self.array.enumerate("CIM_StorageVolume")
        self.volume = next(item.path for item in volumes if item["ElementName"] == name)
        self.checks.that(outputs.get("TheElement") is None or same(outputs["TheElement"], self.volume),
                         "the method tells its path")
        self.name = self.connection.GetInstance(self.volume)["Name"]
        self.checks.equal(self.lvs(), {self.volume["DeviceID"]: size}, "and lvs shows it")

    def pool(self):
        """The only concrete pool."""
        return self.array.pools()[0].path

    def grow(self, size):
        """Grows the volume."""
        code, _ = invoke(
            self.connection, "CreateOrModifyElementFromStoragePool", self.array.configuration,
            ElementType=pywbem.Uint16(2), TheElement=self.volume, Size=pywbem.Uint64(size))
        self.checks.equal(code, DONE, "the volume grows")
        self.checks.equal(self.lvs(), {self.volume["DeviceID"]: size}, "and lvs shows that")
        self.checks.equal(self.connection.GetInstance(self.volume)["Name"], self.name,
                          "its identifier stays")

    def refusals(self):
        """Wrong wishes end in an error or a listed code, and change nothing."""
        checks, service = self.checks, self.array.configuration
        before = (self.lvs(), self.target())
        make = dict(ElementType=pywbem.Uint16(2), InPool=self.pool())
        code, outputs = self.connection.InvokeMethod(
            "CreateOrModifyElementFromStoragePool", service, ElementName="huge",
            Size=pywbem.Uint64(1 << 40), **make)
        checks.equal(code, SIZE_NOT_SUPPORTED, "a volume that is too big has a code of its own")
        checks.that(0 < (outputs.get("Size") or 0) < 512 * MIB, "which tells what would fit",
                    str(outputs))
        refused = [pywbem.CIM_ERR_FAILED, pywbem.CIM_ERR_INVALID_PARAMETER, NOT_FOUND,
                   pywbem.CIM_ERR_ALREADY_EXISTS]
        for what, wish in {
            "a volume of no size": dict(make, ElementName="none", Size=pywbem.Uint64(0)),
            "a second volume of the name": dict(make, ElementName="data", Size=pywbem.Uint64(MIB)),
        }.items():
            checks.refuses(refused, f"{what} is refused", self.connection.InvokeMethod,
                           "CreateOrModifyElementFromStoragePool", service, **wish)
        checks.refuses(refused, "a mapped volume is not deleted", self.connection.InvokeMethod,
                       "ReturnToStoragePool", service, TheElement=self.volume)
        checks.equal((self.lvs(), self.target()), before, "and nothing has changed")

    def mask(self):
        """Shows the volume to one initiator."""
        checks, masking = self.checks, self.array.masking
        code, outputs = self.connection.InvokeMethod(
            "CreateStorageHardwareID", self.array.hardware_ids, ElementName="one", StorageID=HOST,
            IDType=pywbem.Uint16(5))
        checks.equal(code, DONE, "a hardware id is created")
        self.hardware_id = outputs["HardwareID"]
        for kind, members in {2: [self.hardware_id], 3: self.array.target_endpoints(),
                              4: [self.volume]}.items():
            code, outputs = self.connection.InvokeMethod(
                "CreateGroup", masking, GroupName="one", Type=pywbem.Uint16(kind), Members=members)
            checks.equal(code, DONE, f"a group of kind {kind} is created")
            self.groups[kind] = outputs["MaskingGroup"]
        code, outputs = self.connection.InvokeMethod(
            "CreateMaskingView", masking, ElementName="one", InitiatorMaskingGroup=self.groups[2],
            TargetMaskingGroup=self.groups[3], DeviceMaskingGroup=self.groups[4])
        checks.equal(code, DONE, "a masking view is created")
        self.view = outputs["ProtocolController"]
        self.number = self.device_number()

    def device_number(self):
        """The number under which the view shows the volume."""
        units = self.connection.References(self.volume, Role="Dependent",
                                           ResultClass="CIM_ProtocolControllerForUnit")
        self.checks.equal(len(units), 1, "the volume is one unit")
        return units[0]["DeviceNumber"]

    def seen_by_host(self):
        """The initiator reads the identifier that CIM promised; another one sees nothing."""
        seen = self.identifier(HOST) or ""
        wanted = bytes.fromhex(self.name).split(b"\0")[0].hex().upper()
        self.checks.equal(seen, wanted, f"the host reads the identifier {self.name}")
        self.checks.that(self.identifier(OTHER) is None, "another initiator sees nothing")

    def unmask_and_delete(self):
        """Everything is undone, and nothing is left."""
        checks = self.checks
        for method, path, words in [
            ("DeleteMaskingView", self.array.masking, {"ProtocolController": self.view}),
            *(("DeleteGroup", self.array.masking, {"MaskingGroup": group, "Force": True})
              for group in self.groups.values()),
            ("DeleteStorageHardwareID", self.array.hardware_ids, {"HardwareID": self.hardware_id}),
        ]:
            code, _ = self.connection.InvokeMethod(method, path, **words)
            checks.equal(code, DONE, f"{method} succeeds")
        self.groups = {}
        checks.that(self.identifier(HOST) is None, "the host sees nothing any more")
        code, _ = invoke(self.connection, "ReturnToStoragePool", self.array.configuration,
                         TheElement=self.volume)
        checks.equal(code, DONE, "the volume is deleted")
        checks.refuses(NOT_FOUND, "it is gone", self.connection.GetInstance, self.volume)
        checks.equal(self.lvs(), {}, "lvs is empty again")
        checks.equal(self.target(), [f"iscsi/{IQN}"],
                     "configfs holds the configured target and nothing else")

    def same_as_before(self, when):
        """Paths, number, identifier and data are what they were."""
        checks = self.checks
        checks.equal(self.connection.GetInstance(self.volume)["Name"], self.name,
                     f"the volume's path and identifier are the same after {when}")
        checks.that(same(self.connection.GetInstance(self.view).path, self.view),
                    f"so is the view's path after {when}")
        checks.equal(self.device_number(), self.number, f"and its number after {when}")
        self.seen_by_host()
        checks.that(self.reads(0x5A, 0, MIB), f"the data is the same after {when}")

    # --- the two parts --------------------------------------------------------------------------

    def before(self, vm):
        """A volume's whole life; then one that the restart finds mapped."""
        self.vm = vm
        for part in (self.prepare, self.serve):
            part()
        for part in (self.profiles, self.first_life, self.second_life):
            self.checks.step(part)
        self.checks.valid_replies(self.connection)
        self.checks.that("panicked" not in self.run(f"cat {STATE}/log"), "nothing panicked")

    def first_life(self):
        """Created, grown, masked, written, unmasked, deleted."""
        self.make("data", 64 * MIB)
        self.grow(96 * MIB)
        self.mask()
        self.refusals()
        self.seen_by_host()
        self.checks.that(self.reads(0, 0, 96 * MIB), "the host reads zeros where old data was")
        for start in (0, 63 * MIB, 95 * MIB):
            self.checks.that(self.disk(f"write -P {0xA5} {start} {MIB}"), "the host writes")
            self.checks.that(self.reads(0xA5, start, MIB), "and reads what it wrote")
        self.checks.that(self.reads(0, MIB, 62 * MIB), "beside it there are zeros still")
        self.unmask_and_delete()

    def second_life(self):
        """Mapped, written to, and there after the gateway's restart."""
        self.make("stays", 64 * MIB)
        self.mask()
        self.checks.that(self.disk(f"write -P {0x5A} 0 {MIB}"), "the host writes")
        self.stop()
        self.checks.that(self.reads(0x5A, 0, MIB), "the host reads on without the gateway")
        self.serve()
        self.same_as_before("the gateway's restart")
        self.meddling()
        self.stop()

    def view_until(self, status):
        """The view as soon as it has that operational status; as it is when that does not come."""
        for _ in range(LOOKS):
            view = self.connection.GetInstance(self.view)
            if view["OperationalStatus"] == [status]:
                break
            self.run("sleep 0.5")
        return view

    def meddling(self):
        """Somebody removes a map by hand, and then the whole target, while the gateway runs."""
        checks, number = self.checks, int(self.number, 16)
        row = f"/sys/kernel/config/target/iscsi/{IQN}/tpgt_1/acls/{HOST}/lun_{number}"
        self.run(f"rm {row}/standpipe-* && rmdir {row}")
        view = self.view_until(DEGRADED)
        checks.equal(view["OperationalStatus"], [DEGRADED], "a view that lost a path is degraded")
        checks.that(HOST in view["StatusDescriptions"][0], "and names who lacks it")
        checks.that(self.identifier(HOST) is None, "the host sees nothing, as somebody wanted")
        # In one moment for the gateway, which would already make again what is half taken down.
        self.run(f"kill -STOP $(cat {STATE}/pid); sh {HERE}/guest/clear; done=$?; "
                 f"kill -CONT $(cat {STATE}/pid); exit $done")
        view = self.view_until(OK)
        checks.equal(view["OperationalStatus"], [OK], "a target that was taken down is made again")
        self.same_as_before("somebody took the target down")

    def after(self, vm):
        """The machine was restarted."""
        self.vm = vm
        self.run(f"mkdir -p {STATE} && mount /dev/vdb {STATE}")
        self.checks.equal(self.target(), [], "a restarted kernel exports nothing")
        self.serve()
        for part in (self.after_boot, self.unmask_and_delete):
            self.checks.step(part)
        log = self.stop()
        self.checks.that("panicked" not in log, "nothing panicked")
        self.checks.valid_replies(self.connection)

    def after_boot(self):
        """What was mapped is mapped."""
        self.same_as_before("the machine's restart")
