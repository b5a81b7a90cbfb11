#!/usr/bin/env python3
"""Masking and Mapping beside Group Masking and Mapping: two ways of working on the same views.

Views are made and changed by ExposePaths and HidePaths, looked at and changed as groups, and the
other way round; what is wrong is refused with nothing changed; the server is left as it was found.
Another manager of the simulated machine shows something, too, as the file of events says, whose name is
in the environment as STANDPIPE_EVENTS.
"""

import os
import sys
import time
import uuid

import pywbem

from discovery import discover
from harness import (
    ACCESS_DENIED, ALREADY_EXISTS, DONE, FAILED, INVALID_PARAMETER, METHOD_NOT_AVAILABLE, MIB, NOT_FOUND,
    NOT_SUPPORTED, Checks, connect, contains, differences, everything, invoke, options, same,
)
from refusals import altered

U16, U64 = pywbem.Uint16, pywbem.Uint64

# Seconds in which what happened past the array is seen.
WITHIN = 60

# Return codes of ExposePaths and HidePaths; 4100 means something else in each.
ALREADY_EXPOSED, NUMBER_IN_USE, NOT_EXPOSED = 4101, 4102, 4100
# "In Use" in the methods of groups.
IN_USE = 6

CAPABILITIES = {
    "ValidHardwareIdTypes": [5], "PortsPerView": 3, "ClientSelectableDeviceNumbers": True,
    "OneHardwareIDPerView": False, "UniqueUnitNumbersPerPort": False,
    "PrivilegeDeniedSupported": False, "ProtocolControllerRequiresAuthorizedIdentity": False,
    "ProtocolControllerSupportsCollections": False, "MaximumMapCount": 0, "SPCAllowsNoLUs": True,
    "SPCAllowsNoTargets": True, "SPCAllowsNoInitiators": True, "SPCSupportsDefaultViews": False,
    "ExposePathsSupported": True, "CreateProtocolControllerSupported": True,
    "ExposePathsWithNameAndHostTypeSupported": False, "AttachDeviceSupported": False,
    "SupportedAsynchronousActions": [],
}


class Masking:
    """One run over one connection."""

    def __init__(self, checks, connection, events):
        self.checks = checks
        self.connection = connection
        self.events = events
        self.array = discover(connection)
        self.tag = uuid.uuid4().hex[:8]
        self.volumes = []
        self.names = []
        self.view = None

    def iqn(self, host):
        """An initiator name of this run."""
        return f"iqn.2024-01.example.Paths.{self.tag}:{host}"

    # --- calling and looking --------------------------------------------------------------------

    def call(self, method, **parameters):
        """A method of the service, as (return code, outputs)."""
        return self.connection.InvokeMethod(method, self.array.masking, **parameters)

    def expose(self, text, view=None, **parameters):
        """An ExposePaths that must succeed; the view that it answers with."""
        if view is not None:
            parameters["ProtocolControllers"] = [view]
        if "LUNames" in parameters:
            parameters.setdefault("DeviceAccesses", [U16(2)] * len(parameters["LUNames"]))
        code, outputs = self.call("ExposePaths", **parameters)
        self.checks.equal(code, DONE, text)
        (back,) = outputs["ProtocolControllers"]
        self.checks.that(view is None or same(back, view), f"{text}: the same view comes back")
        return back

    def hide(self, text, view, **parameters):
        """A HidePaths that must succeed."""
        code, outputs = self.call("HidePaths", ProtocolControllers=[view], **parameters)
        self.checks.equal(code, DONE, text)
        (back,) = outputs["ProtocolControllers"]
        self.checks.that(same(back, view), f"{text}: the same view comes back")

    def shows(self, text, view, hosts, numbers, ports=None):
        """A check of all that a view shows, along every way that leads there."""
        checks, connection = self.checks, self.connection
        units = {
            unit["Dependent"]["DeviceID"]: (unit["DeviceNumber"], unit["DeviceAccess"])
            for unit in connection.References(
                view, ResultClass="CIM_ProtocolControllerForUnit", Role="Antecedent")
        }
        wanted = {self.volumes[at]["DeviceID"]: (number, 2) for at, number in numbers.items()}
        checks.equal(units, wanted, f"{text}: volumes and numbers")
        named = sorted(self.iqn(host) for host in hosts)
        direct = connection.Associators(
            view, AssocClass="CIM_AssociatedPrivilege", Role="Target", ResultRole="Subject",
            ResultClass="CIM_StorageHardwareID")
        checks.equal(sorted(item["StorageID"] for item in direct), named, f"{text}: initiators")
        privileges = connection.Associators(
            view, AssocClass="CIM_AuthorizedTarget", ResultClass="CIM_AuthorizedPrivilege")
        checks.that(privileges and all(
            item["PrivilegeGranted"] is True and list(item["Activities"]) == [5, 6]
            for item in privileges), f"{text}: privileges to read and write")
        subjects = [
            subject["StorageID"] for privilege in privileges
            for subject in connection.Associators(
                privilege.path, AssocClass="CIM_AuthorizedSubject",
                ResultClass="CIM_StorageHardwareID")
        ]
        checks.equal(sorted(subjects), named, f"{text}: initiators by privileges")
        seen = connection.AssociatorNames(
            view, AssocClass="CIM_SAPAvailableForElement",
            ResultClass="CIM_iSCSIProtocolEndpoint")
        ports = self.array.target_endpoints() if ports is None else ports
        checks.that(len(seen) == len(ports) and all(contains(seen, port) for port in ports),
                    f"{text}: ports", str(seen))

    def group(self, view, kind):
        """The one group of a kind that a view has."""
        groups = self.connection.AssociatorNames(
            view, AssocClass="CIM_AssociatedMaskingGroup", ResultClass=f"CIM_{kind}MaskingGroup")
        self.checks.equal(len(groups), 1, f"the view has one {kind} group")
        return groups[0]

    def members(self, group):
        """The members of a group."""
        return self.connection.AssociatorNames(
            group, AssocClass="CIM_MemberOfCollection", Role="Collection", ResultRole="Member")

    def views(self):
        """The views as clients find them: from the service."""
        return self.connection.Associators(
            self.array.masking, AssocClass="CIM_ConcreteDependency",
            ResultClass="CIM_SCSIProtocolController")

    # --- parts ----------------------------------------------------------------------------------

    def service(self):
        """One service for both profiles, and capabilities that say what works."""
        checks, connection, array = self.checks, self.connection, self.array
        found = connection.EnumerateInstanceNames(
            "CIM_ControllerConfigurationService", namespace=array.namespace)
        checks.that(len(found) == 1 and same(found[0], array.masking),
                    "there is one ControllerConfigurationService, the one for groups", str(found))
        for start in (array.system, array.masking):
            (abilities,) = connection.Associators(
                start, AssocClass="CIM_ElementCapabilities",
                ResultClass="CIM_ProtocolControllerMaskingCapabilities")
            for name, value in CAPABILITIES.items():
                actual = abilities[name]
                actual = list(actual) if isinstance(value, list) else actual
                checks.equal(actual, value, f"{start.classname}: {name}")
            actions = set(abilities["SupportedSynchronousActions"])
            checks.that({2, 3, 4, 11, 12, 17, 18} <= actions and not actions & {13, 14, 15, 16},
                        f"{start.classname}: actions", str(sorted(actions)))

    def make_volumes(self):
        """Three volumes to show."""
        pool = self.array.thick_pool(512 * MIB)
        for number in range(3):
            code, outputs = invoke(
                self.connection, "CreateOrModifyElementFromStoragePool",
                self.array.configuration, ElementName=f"paths-{self.tag}-{number}",
                ElementType=U16(2), InPool=pool, Size=U64(16 * MIB))
            self.checks.equal(code, DONE, f"volume {number} is created")
            self.volumes.append(outputs["TheElement"])
            self.names.append(self.connection.GetInstance(outputs["TheElement"])["Name"])
        self.ports = [
            self.connection.GetInstance(path)["Name"] for path in self.array.target_endpoints()
        ]

    def paths(self):
        """A view made by ExposePaths; it has groups, and an unknown initiator becomes known."""
        checks, connection = self.checks, self.connection
        self.view = view = self.expose(
            "a view is made", LUNames=self.names[:2], InitiatorPortIDs=[self.iqn("a")],
            TargetPortIDs=self.ports, DeviceNumbers=["0A", "0x1f"])
        self.shows("new view", view, "a", {0: "000A", 1: "001F"})
        known = [item for item in self.array.enumerate("CIM_StorageHardwareID")
                 if item["StorageID"] == self.iqn("a")]
        checks.that(len(known) == 1 and known[0]["IDType"] == 5, "the initiator was introduced")
        views = self.views()
        checks.that(contains(views, view), "the service leads to the view")
        checks.that(views and all(item["NameFormat"] != 3 for item in views),
                    "and to no iSCSI node")
        checks.that(contains(connection.AssociatorNames(
            known[0].path, AssocClass="CIM_ConcreteDependency"), self.array.hardware_ids),
            "the initiator depends on its service")
        (link,) = connection.References(view, ResultClass="CIM_AssociatedPrivilege")
        checks.that(connection.GetInstance(link.path)["PrivilegeGranted"] is True,
                    "an AssociatedPrivilege can be got by its path")
        other = link.path.copy()
        other.keybindings["UseKey"] = "another"
        checks.refuses(NOT_FOUND, "and by no other key", connection.GetInstance, other)

        self.expose("a volume is added, by its DeviceID", view,
                    LUNames=[self.volumes[2]["DeviceID"]])
        self.expose("an initiator is added", view, InitiatorPortIDs=[self.iqn("b")])
        self.shows("grown view", view, "ab", {0: "000A", 1: "001F", 2: "0001"})
        self.hide("a volume is hidden", view, LUNames=[self.names[0].lower()])
        self.hide("an initiator is hidden", view, InitiatorPortIDs=[self.iqn("a")])
        self.hide("the ports are hidden", view, TargetPortIDs=self.ports)
        self.shows("reduced view", view, "b", {1: "001F", 2: "0001"}, [])
        self.expose("the ports are added", view, TargetPortIDs=self.ports)
        self.shows("whole view", view, "b", {1: "001F", 2: "0001"})

    def as_groups(self):
        """The groups of that view: seen and changed by their own methods."""
        checks, view = self.checks, self.view
        devices = self.group(view, "Device")
        checks.that(contains(self.members(devices), self.volumes[1]),
                    "the device group holds the volumes")
        hosts = self.group(view, "Initiator")
        checks.equal(len(self.members(hosts)), 1, "the initiator group holds the initiator")
        checks.equal(len(self.members(self.group(view, "Target"))), len(self.ports),
                     "the target group holds the ports")
        code, _ = self.call("AddMembers", MaskingGroup=devices, Members=[self.volumes[0]],
                            DeviceNumbers=["2"])
        checks.equal(code, DONE, "a volume joins the device group")
        self.shows("view changed by its group", view, "b", {0: "0002", 1: "001F", 2: "0001"})
        code, _ = self.call("RemoveMembers", MaskingGroup=devices, Members=self.volumes[:1])
        checks.equal(code, DONE, "and leaves it")

    def numbers(self):
        """A number that a host lost is not chosen for another volume, and comes back with its own."""
        view, names = self.view, self.names
        self.hide("a volume is hidden", view, LUNames=[names[2]])
        self.expose("another one comes", view, LUNames=[names[0]])
        self.shows("view without the number of the first", view, "b", {0: "0002", 1: "001F"})
        self.expose("the first comes back", view, LUNames=[names[2]])
        self.shows("view with it", view, "b", {0: "0002", 1: "001F", 2: "0001"})
        self.hide("both are hidden", view, LUNames=[names[0], names[2]])
        self.expose("a client that chooses gets a number that was another volume's", view,
                    LUNames=[names[0]], DeviceNumbers=["1"])
        self.shows("view as it was chosen", view, "b", {0: "0001", 1: "001F"})
        self.expose("the other one is kept from it", view, LUNames=[names[2]])
        self.shows("view with another number", view, "b", {0: "0001", 1: "001F", 2: "0003"})
        devices = self.group(view, "Device")
        for method, parameters in (
                ("RemoveMembers", {}), ("AddMembers", {"DeviceNumbers": ["1"]})):
            code, _ = self.call(method, MaskingGroup=devices, Members=self.volumes[:1], **parameters)
            self.checks.equal(code, DONE, f"the same with groups: {method}")
        self.hide("a volume is hidden", view, LUNames=[names[0]])

    def make_group(self, kind, members):
        """A group made by its own method."""
        code, outputs = self.call("CreateGroup", GroupName=f"paths-{self.tag}-{uuid.uuid4().hex}",
                                  Type=U16(kind), Members=members)
        self.checks.equal(code, DONE, f"a group of kind {kind} is created")
        return outputs["MaskingGroup"]

    def sharing(self):
        """Views of groups, changed by paths: what they share is not changed for the other one."""
        checks = self.checks
        hosts = []
        for host in "cd":
            code, outputs = self.connection.InvokeMethod(
                "CreateStorageHardwareID", self.array.hardware_ids, StorageID=self.iqn(host),
                IDType=U16(5))
            hosts.append(self.make_group(2, [outputs["HardwareID"]]))
        ports = self.make_group(3, self.array.target_endpoints())
        devices = self.make_group(4, self.volumes[:1])
        views = []
        for group in hosts:
            code, outputs = self.call(
                "CreateMaskingView", InitiatorMaskingGroup=group, TargetMaskingGroup=ports,
                DeviceMaskingGroup=devices)
            checks.equal(code, DONE, "a view of groups is created")
            views.append(outputs["ProtocolController"])
        first, second = views
        self.expose("a volume is added to one of two views", first, LUNames=[self.names[1]],
                    DeviceNumbers=["7"])
        self.shows("that view", first, "c", {0: "0001", 1: "0007"})
        code, _ = self.call("AddMembers", MaskingGroup=devices, Members=[self.volumes[2]],
                            DeviceNumbers=["1"])
        checks.equal(code, IN_USE, "AddMembers with a number that is in use")
        code, _ = self.call("CreateMaskingView", TargetMaskingGroup=ports,
                            DeviceMaskingGroup=self.group(first, "Device"),
                            DeviceNumbers=["5", "5"])
        checks.equal(code, IN_USE, "CreateMaskingView with one number for two devices")
        self.shows("the other view", second, "d", {0: "0001"})
        checks.that(same(self.group(second, "Device"), devices)
                    and not same(self.group(first, "Device"), devices),
                    "the device group was copied")
        self.hide("ports are hidden from one of two views", first, TargetPortIDs=self.ports)
        self.shows("that view", first, "c", {0: "0001", 1: "0007"}, [])
        self.shows("the other view", second, "d", {0: "0001"})
        self.expose("an initiator joins a group of its own", second,
                    InitiatorPortIDs=[self.iqn("e")])
        checks.equal(len(self.members(hosts[1])), 2, "as a member of the group")
        for view in views:
            code, _ = self.call("DeleteProtocolController", ProtocolController=view)
            checks.equal(code, DONE, "a view of groups is deleted")
        for group in (*hosts, ports, devices):
            code, _ = self.call("DeleteGroup", MaskingGroup=group)
            checks.equal(code, DONE, "a group that a client made outlives its views")

    def without_paths(self):
        """CreateProtocolControllerWithPorts, and the two ways to delete a view."""
        checks, connection = self.checks, self.connection
        endpoints = self.array.target_endpoints()
        for ports in (None, [str(endpoints[0])], [endpoints[0].to_wbem_uri()]):
            parameters = {} if ports is None else {"Ports": ports}
            code, outputs = self.call("CreateProtocolControllerWithPorts", Protocol=U16(2),
                                      ElementName=f"ports-{self.tag}", **parameters)
            checks.equal(code, DONE, "a view of ports is made")
            view = outputs["ProtocolController"]
            checks.equal(connection.GetInstance(view)["ElementName"], f"ports-{self.tag}",
                         "with its name")
            self.shows("view of ports", view, "", {}, endpoints if ports is None else endpoints[:1])
            checks.that(contains(self.views(), view), "the service leads to it")
            groups = [self.group(view, kind) for kind in ("Initiator", "Target", "Device")]
            if ports is None:
                code, _ = self.call("DeleteProtocolController", ProtocolController=view,
                                    DeleteChildrenProtocolControllers=True, DeleteUnits=False)
                checks.equal(code, DONE, "it is deleted")
            else:
                connection.DeleteInstance(view)
            for path in (view, *groups):
                checks.refuses(NOT_FOUND, f"its {path.classname} is gone", connection.GetInstance,
                               path)

    def refusals(self):
        """What must not be done, with nothing changed."""
        checks, view = self.checks, self.view
        volume = {"LUNames": [self.names[0]], "DeviceAccesses": [U16(2)]}
        fresh = {**volume, "InitiatorPortIDs": [self.iqn("z")], "TargetPortIDs": self.ports}
        add = {**volume, "ProtocolControllers": [view]}

        def refused(codes, text, method="ExposePaths", **parameters):
            checks.refuses(codes, text, self.call, method, **parameters)

        def answers(code, text, method="ExposePaths", **parameters):
            checks.equal(self.call(method, **parameters)[0], code, text)

        for name in ("", "not a name", "iqn.2024-13.example:x", "eui.123", "naa.xyz",
                     "iqn.2024-01.example:a_b", "2100001b32000001"):
            refused(INVALID_PARAMETER, f"initiator {name!r}",
                    **{**fresh, "InitiatorPortIDs": [name]})
        for name in ("", "6" * 32, "none", self.volumes[0]["DeviceID"][:-1]):
            refused(NOT_FOUND, f"volume {name!r}", **{**fresh, "LUNames": [name]})
        refused(NOT_FOUND, "an unknown port", **{**fresh, "TargetPortIDs": ["iqn.x:y,t,0x0001"]})
        refused(NOT_SUPPORTED, "read-only access", **{**fresh, "DeviceAccesses": [U16(3)]})
        refused(NOT_SUPPORTED, "no access", **{**fresh, "DeviceAccesses": [U16(4)]})
        refused(INVALID_PARAMETER, "unknown access", **{**fresh, "DeviceAccesses": [U16(0)]})
        refused(INVALID_PARAMETER, "two accesses for one volume",
                **{**fresh, "DeviceAccesses": [U16(2), U16(2)]})
        refused(INVALID_PARAMETER, "a volume without access",
                LUNames=self.names[:1], InitiatorPortIDs=[self.iqn("z")], TargetPortIDs=self.ports)
        refused(INVALID_PARAMETER, "two numbers for one volume", **fresh, DeviceNumbers=["1", "2"])
        refused(INVALID_PARAMETER, "a number that is none", **fresh, DeviceNumbers=["one"])
        refused(INVALID_PARAMETER, "a number that is too large", **fresh, DeviceNumbers=["100"])
        refused(INVALID_PARAMETER, "nothing at all")
        refused(INVALID_PARAMETER, "a volume twice",
                **{**fresh, "LUNames": self.names[:1] * 2, "DeviceAccesses": [U16(2)] * 2})
        answers(ALREADY_EXPOSED, "a second view for an initiator on a port",
                **{**fresh, "InitiatorPortIDs": [self.iqn("b")]})
        answers(NUMBER_IN_USE, "a number that is in use", **add, DeviceNumbers=["1F"])
        answers(ALREADY_EXPOSED, "an initiator that the view has", ProtocolControllers=[view],
                InitiatorPortIDs=[self.iqn("b").upper().replace("IQN", "iqn")])
        refused(ALREADY_EXISTS, "a volume that the view has",
                **{**add, "LUNames": [self.names[1]]})
        refused(INVALID_PARAMETER, "two lists for a view that is there", **add,
                InitiatorPortIDs=[self.iqn("z")])
        refused(INVALID_PARAMETER, "several views",
                **{**add, "ProtocolControllers": [view, view]})
        refused(NOT_FOUND, "a view that is not there",
                **{**add, "ProtocolControllers": [altered(view, DeviceID="none")]})
        node = next(item.path for item in self.array.enumerate("CIM_SCSIProtocolController")
                    if item["NameFormat"] == 3)
        refused(INVALID_PARAMETER, "an iSCSI node for a view",
                **{**add, "ProtocolControllers": [node]})

        hide = {"method": "HidePaths", "ProtocolControllers": [view]}
        answers(NOT_EXPOSED, "hiding from an initiator that does not see it", **hide,
                InitiatorPortIDs=[self.iqn("z")])
        refused(NOT_FOUND, "hiding a volume that is not shown", **hide, LUNames=[self.names[0]])
        refused(INVALID_PARAMETER, "hiding nothing", **hide)
        refused(INVALID_PARAMETER, "hiding without a view", "HidePaths", LUNames=[self.names[1]])
        refused(INVALID_PARAMETER, "hiding by two lists", **hide, LUNames=[self.names[1]],
                TargetPortIDs=self.ports)

        make = "CreateProtocolControllerWithPorts"
        refused(INVALID_PARAMETER, "a port that is no path", make, Ports=["port"])
        refused(INVALID_PARAMETER, "a volume for a port", make, Ports=[str(self.volumes[0])])
        refused(NOT_SUPPORTED, "another protocol", make, Protocol=U16(1))
        known = next(item.path for item in self.array.enumerate("CIM_StorageHardwareID")
                     if item["StorageID"] == self.iqn("b"))
        refused(INVALID_PARAMETER, "an identity, which the capabilities exclude", make,
                Identity=known)
        refused(NOT_SUPPORTED, "deleting the volumes with a view", "DeleteProtocolController",
                ProtocolController=view, DeleteUnits=True)
        refused((INVALID_PARAMETER, FAILED), "deleting an iSCSI node as a view",
                "DeleteProtocolController", ProtocolController=node)
        for method in ("ExposeDefaultLUs", "HideDefaultLUs"):
            refused(METHOD_NOT_AVAILABLE, f"{method}, which would show volumes to everybody",
                    method, LUNames=self.names[:1])
        refused(METHOD_NOT_AVAILABLE, "AttachDevice", "AttachDevice", ProtocolController=view,
                Device=self.volumes[0])
        checks.refuses(NOT_SUPPORTED, "deleting a privilege without its view",
                       self.connection.DeleteInstance,
                       self.connection.AssociatorNames(
                           view, AssocClass="CIM_AuthorizedTarget")[0])

    def refused_without_trace(self):
        """The refusals between two looks at everything."""
        namespaces = ["interop", self.array.namespace]
        before = everything(self.connection, namespaces)
        self.checks.step(self.refusals)
        changed = differences(before, everything(self.connection, namespaces))
        self.checks.that(not changed, "refusals change nothing", "; ".join(changed[:5]))

    def take_over(self):
        """A view of another manager becomes the array's under its path, and goes like any other."""
        checks, connection = self.checks, self.connection
        name, pool = f"theirs-{self.tag}", self.array.pools()[0]["ElementName"]
        with open(self.events, "w", encoding="utf-8") as events:
            events.write(f"export {pool} {name} {self.iqn('theirs').lower()} 5\n")
        found, end = [], time.monotonic() + WITHIN
        while not found and time.monotonic() < end:
            time.sleep(0.2)
            found = [view.path for view in self.array.enumerate("CIM_SCSIProtocolController")
                     if self.iqn("theirs").lower() in view["ElementName"]]
        checks.equal(len(found), 1, "a view of another manager is found")
        (view,) = found
        (volume,) = [v for v in self.array.enumerate("CIM_StorageVolume") if v["ElementName"] == name]
        checks.refuses(ACCESS_DENIED, "it is not deleted", self.call, "DeleteMaskingView",
                       ProtocolController=view)
        checks.refuses(NOT_FOUND, "a view that is not there is not taken over", self.call,
                       "TakeOverView", ProtocolController=altered(view, DeviceID="none"))
        checks.refuses(INVALID_PARAMETER, "nor is nothing", self.call, "TakeOverView")
        checks.refuses(ALREADY_EXISTS, "nor one of the array's", self.call, "TakeOverView",
                       ProtocolController=self.view)
        code, _ = self.call("TakeOverView", ProtocolController=view)
        checks.equal(code, DONE, "it is taken over")
        (unit,) = connection.References(
            view, ResultClass="CIM_ProtocolControllerForUnit", Role="Antecedent")
        checks.equal((unit["Dependent"]["DeviceID"], unit["DeviceNumber"]), (volume["DeviceID"], "0005"),
                     "it shows under its path what it showed")
        checks.equal(connection.GetInstance(volume.path)["Name"], volume["Name"],
                     "and the volume has its identifier")
        for kind in ("Initiator", "Target", "Device"):
            self.group(view, kind)
        checks.refuses(ALREADY_EXISTS, "it is not taken over twice", self.call, "TakeOverView",
                       ProtocolController=view)
        connection.DeleteInstance(view)
        code, _ = invoke(connection, "ReturnToStoragePool", self.array.configuration,
                         TheElement=volume.path)
        checks.equal(code, DONE, "its volume is deleted")

    def undo(self):
        """The view, the initiators that were introduced, and the volumes go."""
        checks = self.checks
        code, _ = self.call("DeleteProtocolController", ProtocolController=self.view)
        checks.equal(code, DONE, "the view is deleted")
        for known in self.array.enumerate("CIM_StorageHardwareID"):
            if self.tag in known["StorageID"]:
                self.connection.DeleteInstance(known.path)
        for volume in self.volumes:
            code, _ = invoke(self.connection, "ReturnToStoragePool", self.array.configuration,
                             TheElement=volume)
            checks.equal(code, DONE, "a volume is deleted")

    def run(self):
        """All of it, in order."""
        namespaces = ["interop", self.array.namespace]
        before = everything(self.connection, namespaces)
        for part in (self.service, self.make_volumes, self.paths, self.as_groups, self.numbers,
                     self.sharing, self.without_paths, self.refused_without_trace, self.take_over, self.undo):
            self.checks.step(part)
        left = differences(before, everything(self.connection, namespaces))
        self.checks.that(not left, "the server is as it was found", "; ".join(left[:5]))


def main():
    chosen = options(__doc__)
    events = os.environ.get("STANDPIPE_EVENTS")
    if not events:
        sys.exit("masking: the file of events is expected in the environment as STANDPIPE_EVENTS")
    checks = Checks("masking", chosen.verbose)
    for url in chosen.urls:
        checks.section(url)
        connection = connect(chosen, url)
        Masking(checks, connection, events).run()
        checks.valid_replies(connection)
    return checks.finish()


if __name__ == "__main__":
    sys.exit(main())
