"""Taking over what targetcli shows: a part of the masking story, under an initiator that reads."""

import pywbem

from harness import DONE, NOT_SUPPORTED, contains, invoke

#: What the other manager has made: his target, the host that uses it, and the number that it sees.
TARGET, PORTAL = "iqn.2026-11.example.other:moved", "127.0.0.1:3262"
HOST = "iqn.2026-11.example.host:moved"
NUMBER = 6

#: The other manager's target goes, as at a restart of the machine; the rest of the kernel target stays.
LOSE = rf"""
cd /sys/kernel/config/target
group=iscsi/{TARGET}/tpgt_1
empty() {{ find "$1" -maxdepth 1 -type l -exec rm {{}} +; rmdir "$1"; }}
echo 0 > $group/enable
empty $group/acls/{HOST}/lun_{NUMBER}; rmdir $group/acls/{HOST}
store=$(readlink -f $group/lun/lun_*/*/udev_path); store=${{store%/udev_path}}
empty $group/lun/lun_0
rmdir $group/np/* $group iscsi/{TARGET} $store ${{store%/*}}
"""


class TakingOver:
    """What another manager shows becomes this array's, and its host notices nothing."""

    def page(self):
        """All that the host is told on page 0x83, and in its standard INQUIRY data."""
        place = f"-i {HOST} iscsi://{PORTAL}/{TARGET}/{NUMBER}"
        return self.run(f"iscsi-inq -e 1 -c 131 {place} | od -An -v -tx1; "
                        f"iscsi-inq {place} | grep -a -e Product -e Vendor || true")

    def found(self):
        """The path of the view that shows it, whoever's it is."""
        views = self.array.enumerate("CIM_SCSIProtocolController")
        named = [view.path for view in views if HOST in view["ElementName"]]
        return named[0] if named else None

    def moved(self):
        """The volume as the client sees it."""
        uuid = self.run("lvs --noheadings -o lv_uuid vg0/moved").strip()
        return next(v for v in self.array.enumerate("CIM_StorageVolume") if v["DeviceID"] == uuid)

    def gone(self, service, node):
        """Whether the target can be deleted: a session is seen for a moment after its end."""
        try:
            return self.connection.InvokeMethod("DeleteiSCSINode", service, iSCSINode=node)[0] == DONE
        except pywbem.CIMError:
            return False

    def take_over(self):
        """A view of another manager's is taken over under a host that reads."""
        checks, group = self.checks, f"/iscsi/{TARGET}/tpg1"
        before = self.dump()
        self.run("lvcreate -q -y -Wn -n moved -L 8M vg0 && printf '\\245%.0s' $(seq 65536) | "
                 "dd of=/dev/vg0/moved conv=notrunc status=none")
        self.targetcli(
            "/backstores/block create moved /dev/vg0/moved",
            f"/iscsi create {TARGET}",
            f"{group}/portals create {PORTAL.replace(':', ' ')}",
            f"{group} set attribute authentication=0 generate_node_acls=1",
            f"{group}/luns create /backstores/block/moved",
            f"{group}/acls create {HOST}",
            f"{group}/acls/{HOST} create {NUMBER} 0")
        reader = self.reader(HOST, NUMBER, 0xA5, TARGET, PORTAL)
        page = self.page()
        self.until(self.found, "his view is found")
        view, volume = self.found(), self.moved()
        checks.that(seen(volume["Name"]) in page.replace(" ", "").replace("\n", "").upper(),
                    "the client is told the identifier that the host reads", page)
        checks.refuses(NOT_SUPPORTED, "a target that lets everybody in is not taken over",
                       self.connection.InvokeMethod, "TakeOverView", self.array.masking,
                       ProtocolController=view)
        self.run(f"echo 0 > /sys/kernel/config/target/iscsi/{TARGET}/tpgt_1/attrib/generate_node_acls")
        rows = self.dump()
        self.call("TakeOverView", ProtocolController=view)
        reader.check("its view was taken over")
        checks.equal([line for line in self.dump() if "/tag:" not in line],
                     [line for line in rows if "/tag:" not in line], "nothing is made and nothing removed")
        checks.equal(self.page(), page, "the host is told what it was told")
        checks.equal(self.moved()["Name"], volume["Name"], "and the client, too")
        checks.that(contains(self.array.enumerate("CIM_SCSIProtocolController"), view),
                    "the view has the path that it had")
        self.restart_beside()
        reader.check("a restart of the gateway")
        reader.stop()
        self.stop()
        self.run(LOSE)
        self.serve()
        checks.equal(self.units(HOST, PORTAL), {TARGET: {NUMBER}}, "all is made again as it was")
        checks.equal(self.page(), page, "and the host is told what it was told")
        self.call("DeleteMaskingView", ProtocolController=view, DeleteWhenBecomesUnassociated=True)
        code, _ = invoke(self.connection, "ReturnToStoragePool", self.array.configuration,
                         TheElement=volume.path)
        checks.equal(code, DONE, "the volume is deleted")
        node = next(node.path for node in self.array.enumerate("CIM_SCSIProtocolController")
                    if node["Name"] == TARGET)
        (service,) = self.connection.EnumerateInstanceNames(
            "CIM_iSCSIConfigurationService", namespace=self.array.namespace)
        self.until(lambda: self.gone(service, node), "and the target")
        checks.equal(self.dump(), before, "nothing is left")


def seen(name):
    """An identifier as `iscsi-inq` shows it: up to its first zero byte, as bytes of a dump."""
    return bytes.fromhex(name).split(b"\0")[0].hex().upper()
