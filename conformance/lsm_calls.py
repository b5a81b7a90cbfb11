#!/usr/bin/env python3
"""libstoragemgmt's SMI-S plug-in, call by call: its commands, and its traps as checks.

Its acceptance list is run here over every URL given, with deleting a source and its replicas among
it, where the plug-in could hit the wrong volume.
"""

import argparse
import re
import sys
import uuid

import pywbem

from harness import (
    MIB, NOT_FOUND, Checks, connect, differences, everything, finished_job, options,
)
from lsm_client import Plugin, Refused, md5
from lsm_old_path import OldPath

# What an array with full volumes, iSCSI, group masking and replication switches on.
CAPABILITIES = {
    "VOLUMES", "VOLUME_CREATE", "VOLUME_DELETE", "VOLUME_RESIZE", "TARGET_PORTS", "ACCESS_GROUPS",
    "GRANTED_TO_VOLUME", "ACCESSIBLE_BY", "VOLUME_MASK", "VOLUME_UNMASK", "INITIATOR_DELETE",
    "INITIATOR_ADD_ISCSI_IQN", "CREATE_ISCSI_IQN", "ACCESS_GROUP_DELETE", "DISKS",
    "VOLUME_REPLICATE", "VOLUME_REPLICATE_CLONE", "VOLUME_REPLICATE_COPY",
}


class Run:
    """The acceptance list over one URL."""

    def __init__(self, checks, chosen, url):
        self.checks = checks
        self.chosen = chosen
        self.url = url
        self.connection = connect(chosen, url)
        self.plugin = None
        self.tag = uuid.uuid4().hex[:8]

    def ends_in(self, name, text, call, *arguments):
        """A check that a command ends in this error of libstoragemgmt."""
        try:
            result = call(*arguments)
        except Refused as refusal:
            self.checks.that(str(refusal).startswith(name), text, f"ended in {refusal}")
        except pywbem.CIMError as error:
            self.checks.that(name == "PLUGIN_BUG" and error.status_description, text, str(error))
        else:
            self.checks.that(False, text, f"it was done: {result}")

    def same_after_job(self, answer):
        """A volume, or the volume of the job that was started."""
        if isinstance(answer, pywbem.CIMInstanceName):
            finished_job(self.connection, answer)
            self.checks.equal(self.plugin.job_status(answer["InstanceID"]), "COMPLETE", "the job")
            return self.plugin.job_volume(answer)
        return answer

    # --- registration and listings --------------------------------------------------------------

    def register(self):
        """Bad credentials, then registration and what it found."""
        checks = self.checks
        stranger = connect(self.chosen, self.url, password="not the password")
        try:
            Plugin(stranger).register()
            checks.that(False, "a wrong password is refused")
        except pywbem.AuthError:
            checks.that(True, "a wrong password is PLUGIN_AUTH_FAILED")
        stranger.close()
        if self.url.startswith("https:") and self.chosen.ca:
            doubter = connect(argparse.Namespace(**{**vars(self.chosen), "ca": None}), self.url,
                              verify=True)
            try:
                Plugin(doubter).register()
                checks.that(False, "an unknown certificate is not trusted")
            except pywbem.ConnectionError as error:
                checks.that("CERTIFICATE_VERIFY_FAILED" in str(error),
                            "an unknown certificate is not trusted", str(error))
            doubter.close()
        self.plugin = plugin = Plugin(self.connection).register()
        for name, version in (("Array", (1, 4)), ("Group Masking and Mapping", (1, 5)),
                              ("Masking and Mapping", (1, 6)), ("iSCSI Target Ports", (1, 1)),
                              ("Multiple Computer System", (1, 1)), ("Disk Drive Lite", (1, 4))):
            checks.that(plugin.has(name, version), f"{name} is advertised")
        checks.that("Replication Services" in plugin.profiles, "Replication Services is advertised")
        for name in ("Disk Sparing", "Copy Services", "FC Target Ports", "FC Target Port"):
            checks.that(name not in plugin.profiles, f"{name} is not advertised")
        checks.equal(plugin.namespace, "root/standpipe", "the array's namespace is found")

    def listings(self):
        """systems, capabilities, pools, volumes, target ports."""
        checks, plugin = self.checks, self.plugin
        systems = plugin.systems()
        checks.equal(len(systems), 1, "one system")
        self.system = systems[0]["Name"]
        checks.that(systems[0]["ElementName"], "with a name for people")
        checks.equal(list(systems[0]["OperationalStatus"]), [2], "and the one status OK")
        checks.that(not set(self.system) & set(":&=+@"), "its id is safe in URIs", self.system)
        flags = plugin.capabilities(self.system)
        checks.that(CAPABILITIES <= flags, "all capabilities of the offered profiles",
                    str(sorted(CAPABILITIES - flags)))
        pools = plugin.pools()
        checks.that(pools, "there are pools")
        for pool, types in pools:
            identifier = pool["InstanceID"]
            checks.that(" " not in identifier, f"{identifier} has no blank")
            checks.that("VOLUME" in types and types & {"FULL", "THIN"},
                        f"{identifier} holds volumes", str(types))
            checks.that(list(pool["OperationalStatus"]) == [2] and pool["Usage"] == 2
                        and pool["ElementName"] and pool["TotalManagedSpace"] > 0
                        and pool["RemainingManagedSpace"] is not None,
                        f"{identifier} is complete", str(dict(pool.items())))
            for value in pool.path.keybindings.values():
                checks.that(isinstance(value, str), "pool keys are plain values")
        full = [pool for pool, types in pools if "FULL" in types
                and pool["RemainingManagedSpace"] > 512 * MIB]
        self.pool = full[0].path
        self.thin_pool = next((pool.path for pool, types in pools if types == {"VOLUME", "THIN"}),
                              None)
        seen = [md5(volume["SystemName"] + volume["DeviceID"]) for _, volume in plugin.volumes()]
        checks.equal(len(seen), len(set(seen)), "each volume hangs off one pool")
        ports = plugin.target_ports()
        checks.that(ports, "there are target ports")
        checks.equal(len(ports), len(set(ports)), "each is met once, whichever system hosts it")
        leaves = plugin.leaves(plugin.root()[0].path)
        checks.that(leaves and all(leaf["Name"] != self.system for leaf in leaves),
                    "the array has component systems besides itself", str(leaves))
        for name, address, port, mac in ports:
            checks.that(name.startswith("iqn.") and port > 0 and address
                        and re.fullmatch(r"(?:[0-9A-Fa-f]{12})?", mac or ""),
                        f"port {name} {address}:{port}", mac)

    def drives(self):
        """disks."""
        checks, plugin = self.checks, self.plugin
        found = plugin.disks()
        checks.that(found, "there are disks")
        seen = [md5(drive["SystemName"] + drive["DeviceID"]) for drive, _, _, _ in found]
        checks.equal(len(seen), len(set(seen)), "each has an id of its own")
        for drive, kind, size, spare in found:
            name = drive["Name"]
            checks.that(name and drive["SystemName"] == self.system, f"{name} is the system's")
            checks.that(kind is not None and drive["InterconnectType"] is not None,
                        f"{name} has a type", str(kind))
            checks.that(size > 0 and not spare, f"{name} has a size and is no spare", str(size))
            checks.equal(list(drive["OperationalStatus"]), [2], f"{name} is OK")
            checks.that("EMCInUse" not in drive, f"{name} claims nothing of other makers")

    # --- volumes --------------------------------------------------------------------------------

    def volumes(self):
        """Create, list, name conflict, resize, delete."""
        checks, plugin = self.checks, self.plugin
        volume = self.same_after_job(
            plugin.volume_create(self.pool, f"lsm-{self.tag}", 64 * MIB, self.system))
        checks.equal(volume["ElementName"], f"lsm-{self.tag}", "a full volume is created")
        checks.that(volume["SystemName"] == self.system, "of that system")
        serial = volume["Name"].lower()
        checks.that((volume["NameFormat"], volume["NameNamespace"]) == (9, 2)
                    and re.fullmatch(r"6[0-9a-f]{31}", serial), "its VPD 83 id is bare hex", serial)
        where = [pool for pool, item in plugin.volumes() if item["DeviceID"] == volume["DeviceID"]]
        checks.that(len(where) == 1 and where[0]["InstanceID"] == self.pool["InstanceID"],
                    "it is listed at once, in its pool, once")
        self.volume = volume.path
        self.ends_in("NAME_CONFLICT", "the same name again", plugin.volume_create, self.pool,
                     f"lsm-{self.tag}", 64 * MIB, self.system)
        same_name = [item for _, item in plugin.volumes()
                     if item["ElementName"] == f"lsm-{self.tag}"]
        checks.equal(len(same_name), 1, "and there is still one")

        larger = self.same_after_job(
            plugin.volume_resize(self.volume, 128 * MIB, self.system))
        checks.that(larger["BlockSize"] * larger["NumberOfBlocks"] >= 128 * MIB, "it is resized")
        checks.equal((larger["DeviceID"], larger["ElementName"], larger["Name"]),
                     (volume["DeviceID"], volume["ElementName"], volume["Name"]),
                     "resizing keeps id and name")
        if self.thin_pool is not None:
            self.thin()

    def thin(self):
        """A thin volume; resizing it arrives with ElementType 2."""
        checks, plugin = self.checks, self.plugin
        volume = self.same_after_job(plugin.volume_create(
            self.thin_pool, f"thin-{self.tag}", 64 * MIB, self.system, kind=5))
        checks.equal(volume["ElementName"], f"thin-{self.tag}", "a thin volume is created")
        larger = self.same_after_job(plugin.volume_resize(volume.path, 128 * MIB, self.system))
        checks.equal(larger["DeviceID"], volume["DeviceID"], "and resized")
        self.delete(volume.path)

    def delete(self, volume):
        """Delete a volume and see that it is gone: an unknown class would make this a no-op."""
        job = self.plugin.volume_delete(volume, self.system)
        if job is not None:
            finished_job(self.connection, job)
        self.checks.refuses(NOT_FOUND, "a deleted volume is really gone",
                            self.connection.GetInstance, volume)
        left = [item for _, item in self.plugin.volumes() if item["DeviceID"] == volume["DeviceID"]]
        self.checks.equal(left, [], "and not listed")

    # --- replication ----------------------------------------------------------------------------

    def source(self, name, pool, kind):
        """A volume to be replicated."""
        return self.same_after_job(self.plugin.volume_create(
            pool, f"{name}-{self.tag}", 64 * MIB, self.system, kind=kind)).path

    def replica(self, source, name, copy, pool=None):
        """A replica of it, which is another volume of that name and size."""
        checks = self.checks
        made = self.same_after_job(self.plugin.volume_replicate(
            source, f"{name}-{self.tag}", self.system, copy, pool))
        checks.equal(made["ElementName"], f"{name}-{self.tag}", f"{name} has its name")
        checks.that(made["DeviceID"] != source["DeviceID"], f"{name} is a volume of its own")
        size = self.connection.GetInstance(source)
        checks.equal(made["BlockSize"] * made["NumberOfBlocks"],
                     size["BlockSize"] * size["NumberOfBlocks"], f"{name} is as large")
        checks.that([item for _, item in self.plugin.volumes()
                     if item["DeviceID"] == made["DeviceID"]], f"{name} is listed")
        return made.path

    def replication(self):
        """CLONE and COPY; deleting a source or a replica never hits the other one."""
        checks, plugin, connection = self.checks, self.plugin, self.connection
        pools = [(self.pool, 2)] + ([(self.thin_pool, 5)] if self.thin_pool is not None else [])
        for pool, kind in pools:
            thin = kind == 5
            source = self.source("source", pool, kind)
            snapshot = self.replica(source, "snapshot", copy=False)
            clone = self.replica(source, "clone", copy=True)
            other = self.replica(source, "elsewhere", copy=True,
                                 pool=self.pool if thin else self.thin_pool or self.pool)
            self.ends_in("NAME_CONFLICT", "a replica of a name that is taken",
                         plugin.volume_replicate, source, f"clone-{self.tag}", self.system, True)
            for relation in connection.References(source, ResultClass="CIM_StorageSynchronized"):
                checks.that("SyncState" not in relation and "CopyType" not in relation,
                            "no relation has what the plug-in acts on")
            self.delete(clone)
            checks.that(connection.GetInstance(source), "deleting a clone leaves its source")
            if thin:
                self.delete(source)
                checks.that(connection.GetInstance(snapshot),
                            "deleting a thin source leaves its snapshot")
                self.delete(snapshot)
            else:
                self.ends_in("PLUGIN_BUG rc=6", "deleting a source that a snapshot needs",
                             plugin.volume_delete, source, self.system)
                checks.that(connection.GetInstance(source) and connection.GetInstance(snapshot),
                            "leaves both")
                self.delete(snapshot)
                checks.that(connection.GetInstance(source),
                            "deleting a snapshot leaves its source")
                self.delete(source)
            checks.that(connection.GetInstance(other), "a clone outlives its source")
            self.delete(other)

    # --- access groups --------------------------------------------------------------------------

    def iqn(self, host):
        """An initiator name of this run; case and punctuation must survive."""
        return f"iqn.2024-01.example.LSM.{self.tag}:{host}.x-1"

    def access_groups(self):
        """Create, conflicts, initiators, and that a group's id is stable."""
        checks, plugin = self.checks, self.plugin
        group = plugin.group_create(f"ag-{self.tag}", self.iqn("a"), self.system)
        self.group = group.path
        identifier = md5(group["InstanceID"])
        checks.equal(plugin.members(self.group), [self.iqn("a")], "a group with its initiator")
        listed = [item for item, _ in plugin.access_groups()
                  if md5(item["InstanceID"]) == identifier]
        checks.equal(len(listed), 1, "it is listed once")
        self.ends_in("NAME_CONFLICT", "a group of the same name", plugin.group_create,
                     f"ag-{self.tag}", self.iqn("b"), self.system)
        self.ends_in("EXISTS_INITIATOR", "an initiator that has a group", plugin.group_create,
                     f"other-{self.tag}", self.iqn("a"), self.system)
        again = plugin.initiator_add(self.group, self.iqn("c"), self.system)
        checks.equal(md5(again["InstanceID"]), identifier, "adding an initiator keeps the id")
        checks.equal(sorted(plugin.members(self.group)), [self.iqn("a"), self.iqn("c")],
                     "both are members")
        plugin.initiator_add(self.group, self.iqn("c"), self.system)
        plugin.initiator_delete(self.group, self.iqn("c"), self.system)
        checks.equal(plugin.members(self.group), [self.iqn("a")], "one is removed")
        self.ends_in("NO_STATE_CHANGE", "removing it twice", plugin.initiator_delete, self.group,
                     self.iqn("c"), self.system)
        self.ends_in("LAST_INIT_IN_ACCESS_GROUP", "removing the last", plugin.initiator_delete,
                     self.group, self.iqn("a"), self.system)

    def masking(self):
        """Mask, double mask, unmask, double unmask, mask again, and what is refused meanwhile."""
        checks, plugin = self.checks, self.plugin
        for turn in ("first", "again"):
            plugin.mask(self.group, self.volume, self.system)
            reached = plugin.volumes_accessible(self.group)
            checks.equal([item["DeviceID"] for item in reached], [self.volume["DeviceID"]],
                         f"{turn} masked: the group reaches the volume, once")
            granted = plugin.groups_granted(self.volume)
            checks.equal([item["InstanceID"] for item in granted], [self.group["InstanceID"]],
                         f"{turn} masked: the volume is granted to the group, once")
            self.ends_in("NO_STATE_CHANGE", f"{turn} masked twice", plugin.mask, self.group,
                         self.volume, self.system)
            self.ends_in("IS_MASKED", "deleting a masked volume", plugin.volume_delete,
                         self.volume, self.system)
            self.ends_in("IS_MASKED", "deleting a group that reaches volumes",
                         plugin.group_delete, self.group, self.system)
            plugin.unmask(self.group, self.volume, self.system)
            checks.equal(plugin.volumes_accessible(self.group), [], f"{turn} unmasked")
            self.ends_in("NO_STATE_CHANGE", f"{turn} unmasked twice", plugin.unmask, self.group,
                         self.volume, self.system)

    def second_volume(self):
        """A volume joins an existing view; the numbers differ and stay."""
        checks, plugin = self.checks, self.plugin
        second = self.same_after_job(
            plugin.volume_create(self.pool, f"two-{self.tag}", 64 * MIB, self.system))
        plugin.mask(self.group, self.volume, self.system)
        plugin.mask(self.group, second.path, self.system)
        units = {
            unit["Dependent"]["DeviceID"]: unit["DeviceNumber"]
            for view in plugin.names(self.group, "CIM_AssociatedInitiatorMaskingGroup",
                                     "CIM_SCSIProtocolController")
            for unit in self.connection.References(
                view, ResultClass="CIM_ProtocolControllerForUnit")
        }
        checks.that(len(units) == 2 and len(set(units.values())) == 2,
                    "two volumes have two numbers", str(units))
        plugin.unmask(self.group, second.path, self.system)
        plugin.unmask(self.group, self.volume, self.system)
        self.delete(second.path)

    def old_path(self):
        """Without masking groups: a view is an access group; the plug-in cannot make one."""
        checks, plugin, system = self.checks, self.plugin, self.system
        old = OldPath(plugin)
        endpoint = plugin.iscsi_endpoints()[0][0]
        service = plugin.service("CIM_ControllerConfigurationService", system)
        code, outputs = self.connection.InvokeMethod(
            "ExposePaths", service, InitiatorPortIDs=[self.iqn("old")],
            TargetPortIDs=[endpoint["Name"]])
        checks.equal(code, 0, "an administrator makes a view")
        (view,) = outputs["ProtocolControllers"]
        identifier = self.connection.GetInstance(view)["DeviceID"]
        listed = [names for item, names in old.access_groups(system)
                  if item["DeviceID"] == identifier and item["ElementName"]]
        checks.equal(listed, [[self.iqn("old")]], "old path: the view is an access group, once")
        for turn in ("first", "again"):
            old.mask(view, self.volume, system)
            checks.equal([item["DeviceID"] for item in old.volumes_accessible(view)],
                         [self.volume["DeviceID"]], f"old path: {turn} masked")
            checks.equal([item["DeviceID"] for item in old.groups_granted(self.volume)],
                         [identifier], f"old path: {turn} granted")
            self.ends_in("NO_STATE_CHANGE", f"old path: {turn} masked twice", old.mask, view,
                         self.volume, system)
            groups = plugin.groups_granted(self.volume)
            checks.that(len(groups) == 1
                        and plugin.members(groups[0].path) == [self.iqn("old")],
                        "the group path tells the same")
            old.unmask(view, self.volume, system)
            checks.equal(old.volumes_accessible(view), [], f"old path: {turn} unmasked")
            self.ends_in("NO_STATE_CHANGE", f"old path: {turn} unmasked twice", old.unmask, view,
                         self.volume, system)
        back = old.initiator_add(view, self.iqn("older"), system)
        checks.equal(back["DeviceID"], identifier, "old path: adding an initiator keeps the id")
        both = [self.iqn("old"), self.iqn("older")]
        checks.equal(old.initiators(view), both, "old path: both are in it")
        checks.equal(old.initiators_by_privileges(view), both, "and by privileges")
        old.initiator_delete(view, self.iqn("older"), system)
        old.initiator_delete(view, self.iqn("old"), system)
        checks.equal(old.initiators(view), [], "old path: the view outlives its initiators")
        self.ends_in("EMPTY_ACCESS_GROUP", "old path: masking for nobody", old.mask, view,
                     self.volume, system)
        self.connection.DeleteInstance(view)

    def group_gone(self):
        """Deleting a group takes its empty view along."""
        checks, plugin = self.checks, self.plugin
        views = plugin.names(self.group, "CIM_AssociatedInitiatorMaskingGroup",
                             "CIM_SCSIProtocolController")
        plugin.group_delete(self.group, self.system)
        for view in views:
            checks.refuses(NOT_FOUND, "the group's view is gone", self.connection.GetInstance, view)
        checks.equal([item for item, _ in plugin.access_groups()
                      if item["InstanceID"] == self.group["InstanceID"]], [], "the group is gone")
        self.delete(self.volume)

    # --- traps ----------------------------------------------------------------------------------

    def traps(self):
        """What would break the plug-in without any command failing."""
        checks, plugin, connection = self.checks, self.plugin, self.connection
        service = plugin.service("CIM_StorageHardwareIDManagementService", self.system)
        for turn in ("a new", "the same"):
            try:
                code, _ = connection.InvokeMethod(
                    "CreateStorageHardwareID", service, StorageID=self.iqn("trap"),
                    IDType=pywbem.Uint16(5))
            except pywbem.CIMError:
                code = None
            checks.that(code != 4096, f"CreateStorageHardwareID of {turn} id never says 4096")
        stored = [item["StorageID"] for item in
                  plugin.enumerate("CIM_StorageHardwareID", ["StorageID", "IDType"])]
        checks.that(self.iqn("trap") in stored and None not in stored,
                    "every StorageHardwareID has its StorageID, byte for byte")
        for classname in ("CIM_StorageSynchronized", "CIM_IsSpare", "CIM_StorageRedundancySet"):
            checks.equal(connection.EnumerateInstances(classname, namespace=plugin.namespace), [],
                         f"{classname} is known and empty")
        group_service = plugin.service("CIM_GroupMaskingMappingService", self.system)
        _, outputs = connection.InvokeMethod(
            "CreateGroup", group_service,
            Params=[pywbem.CIMParameter("GroupName", "string", value=f"empty-{self.tag}"),
                    ("Type", pywbem.Uint16(3)), ("Members", [])])
        checks.that(outputs["MaskingGroup"] is not None, "an empty, untyped Members is accepted")
        connection.InvokeMethod("DeleteGroup", group_service, Force=True,
                                MaskingGroup=outputs["MaskingGroup"])
        for job in plugin.enumerate("CIM_ConcreteJob", ["InstanceID", "ElementName"]):
            if self.tag not in job["ElementName"]:
                continue  # an older one may reach the end of its time just now
            checks.equal(plugin.job_status(job["InstanceID"]), "COMPLETE",
                         f"job {job['InstanceID']} reads as complete")
        named = plugin.enumerate("CIM_ComputerSystem", ["Name"])
        checks.that(all("EMCAdapterRole" not in item for item in
                        plugin.enumerate("CIM_SCSIProtocolController",
                                         ["DeviceID", "EMCAdapterRole", "SystemName"])) and named,
                    "a property that the class does not have is ignored")
        anonymous = plugin.root_profile.copy()
        anonymous.host = "some.other.host:1234"
        checks.that(plugin.names(anonymous, "CIM_ElementConformsToProfile", "CIM_ComputerSystem"),
                    "the host in a path is not checked")

    def run(self):
        """All of it in order."""
        checks = self.checks
        checks.section(self.url)
        checks.step(self.register)
        if self.plugin is None:
            return
        namespaces = ["interop", self.plugin.namespace]
        before = everything(self.connection, namespaces)
        for part in (self.listings, self.drives, self.volumes, self.replication,
                     self.access_groups, self.masking, self.second_volume, self.old_path, self.group_gone, self.traps):
            checks.step(part)
        left = [
            line for line in differences(before, everything(self.connection, namespaces))
            if self.tag not in line and "Group" not in line and "HardwareID" not in line
        ]
        checks.that(not left, "nothing is left but ids and groups, which the client never deletes",
                    "; ".join(left[:5]))
        checks.valid_replies(self.connection)


def main():
    chosen = options(__doc__)
    checks = Checks("lsm_calls", chosen.verbose)
    for url in chosen.urls:
        Run(checks, chosen, url).run()
    return checks.finish()


if __name__ == "__main__":
    sys.exit(main())
