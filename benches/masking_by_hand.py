"""Shows volumes to hosts without the gateway, as `masking.py` has it beside the gateway.

    masking_by_hand.py configfs|rtslib|targetcli TIMES DEVICE

`configfs` makes the folders, links and writes that the work consists of, `rtslib` calls the library that
targetcli and others use, `targetcli` starts that program for each work, as an administrator does. Prints
the median milliseconds of each work. Runs as root, in a target of its own.
"""

import json
import os
import statistics
import subprocess
import sys
import time

ROOT = "/sys/kernel/config/target"
IQN = "iqn.2026-11.example.array:by-hand"
PORTAL = "127.0.0.1:3270"
HOST = "iqn.2026-11.example.by-hand:{}"
SERIAL = "0b0c0d0e-0000-4000-8000-00000000000f"


class Configfs:
    """The calls alone, with what the gateway writes and nothing else."""

    group = f"{ROOT}/iscsi/{IQN}/tpgt_1"
    hba = f"{ROOT}/core/iblock_90000"
    device = f"{hba}/by-hand"
    unit = f"{group}/lun/lun_0"

    def __init__(self, device):
        self.path = device
        os.makedirs(f"{self.group}/np/{PORTAL}")
        write(f"{self.group}/attrib/authentication", "0")
        write(f"{self.group}/enable", "1")

    def export(self):
        os.mkdir(self.hba)
        os.mkdir(self.device)
        for name, text in [("control", f"udev_path={self.path}"), ("udev_path", self.path),
                           ("wwn/vpd_unit_serial", SERIAL), ("enable", "1"), ("attrib/emulate_tpu", "0"),
                           ("attrib/emulate_tpws", "0")]:
            write(f"{self.device}/{name}", text)
        os.mkdir(self.unit)
        os.symlink(self.device, f"{self.unit}/by-hand")

    def show(self, host):
        acl = f"{self.group}/acls/{host}"
        os.mkdir(acl)
        write(f"{acl}/tag", f"by-hand-{host[-20:]}")
        os.mkdir(f"{acl}/lun_1")
        os.symlink(self.unit, f"{acl}/lun_1/by-hand")
        write(f"{acl}/lun_1/write_protect", "0")

    def hide(self, host):
        acl = f"{self.group}/acls/{host}"
        os.unlink(f"{acl}/lun_1/by-hand")
        os.rmdir(f"{acl}/lun_1")
        os.rmdir(acl)

    def withdraw(self):
        os.unlink(f"{self.unit}/by-hand")
        os.rmdir(self.unit)
        os.rmdir(self.device)
        os.rmdir(self.hba)

    def end(self):
        write(f"{self.group}/enable", "0")
        os.rmdir(f"{self.group}/np/{PORTAL}")
        os.rmdir(self.group)
        os.rmdir(os.path.dirname(self.group))


class Rtslib:
    """The library, in one process that stays."""

    def __init__(self, device):
        import rtslib_fb
        self.lib, self.path = rtslib_fb, device
        self.target = rtslib_fb.Target(rtslib_fb.FabricModule("iscsi"), IQN)
        self.group = rtslib_fb.TPG(self.target, 1)
        rtslib_fb.NetworkPortal(self.group, *PORTAL.split(":"))
        self.group.set_attribute("authentication", "0")
        self.group.enable = True
        self.hosts = {}

    def export(self):
        self.store = self.lib.BlockStorageObject("by-hand", dev=self.path, wwn=SERIAL)
        self.unit = self.lib.LUN(self.group, 0, self.store)

    def show(self, host):
        self.hosts[host] = self.lib.NodeACL(self.group, host)
        self.lib.MappedLUN(self.hosts[host], 1, 0, False)

    def hide(self, host):
        self.hosts.pop(host).delete()

    def withdraw(self):
        self.unit.delete()
        self.store.delete()

    def end(self):
        self.target.delete()


class Targetcli:
    """The program, started for each work with the commands of that work."""

    tpg = f"/iscsi/{IQN}/tpg1"

    def __init__(self, device):
        self.path = device
        self.run(f"/iscsi create {IQN}", f"{self.tpg}/portals create {PORTAL.replace(':', ' ')}")

    def run(self, *lines):
        quiet = "set global auto_add_default_portal=false auto_add_mapped_luns=false auto_save_on_exit=false"
        subprocess.run(["targetcli"], input="\n".join([quiet, *lines, ""]), text=True, check=True,
                       stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)

    def export(self):
        # The host comes with it, in the same start.
        self.begun = [f"/backstores/block create by-hand {self.path}",
                      f"{self.tpg}/luns create /backstores/block/by-hand 0"]

    def show(self, host):
        self.run(*getattr(self, "begun", []), f"{self.tpg}/acls create {host}",
                 f"{self.tpg}/acls/{host} create 1 0")
        self.begun = []
        if not os.path.exists(f"{ROOT}/iscsi/{IQN}/tpgt_1/acls/{host}/lun_1"):
            sys.exit("targetcli did not do its work")

    def hide(self, host):
        self.ended = [f"{self.tpg}/acls delete {host}"]

    def withdraw(self):
        self.run(*self.ended, "/backstores/block delete by-hand")

    def end(self):
        self.run(f"/iscsi delete {IQN}")


def write(path, text):
    """One attribute, in one write."""
    handle = os.open(path, os.O_WRONLY)
    try:
        os.write(handle, text.encode())
    finally:
        os.close(handle)


def main():
    how, times, device = sys.argv[1], int(sys.argv[2]), sys.argv[3]
    ways = {"configfs": Configfs, "rtslib": Rtslib, "targetcli": Targetcli}
    way = ways[how](device)
    first, more = HOST.format("first"), HOST.format("more")
    taken = {"map": [], "one more": [], "unmap": []}

    def timed(work, *calls):
        began = time.monotonic()
        for call, *words in calls:
            call(*words)
        taken[work].append((time.monotonic() - began) * 1e3)

    for _ in range(times):
        timed("map", (way.export,), (way.show, first))
        timed("one more", (way.show, more))
        way.hide(more)
        timed("unmap", (way.hide, first), (way.withdraw,))
    way.end()
    print(json.dumps({work: statistics.median(values) for work, values in taken.items()}))


if __name__ == "__main__":
    main()
