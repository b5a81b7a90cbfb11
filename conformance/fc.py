#!/usr/bin/env python3
"""FC Target Ports: the chain of a Fibre Channel port, and views for initiators by their port names.

Every port is walked from the system down to its endpoint and back; a view of Fibre Channel is made by
groups and another by paths; what pairs with nothing is refused; the server is left as it was found. Needs
a server with such ports (`standpipe demo --fc-ports 2`).
"""

import re
import sys
import uuid

import pywbem

from discovery import SNIA, conforming, discover, profiles
from harness import (
    DONE, INVALID_PARAMETER, MIB, NOT_SUPPORTED, Checks, connect, contains, differences, everything,
    invoke, options, same,
)

U16, U64 = pywbem.Uint16, pywbem.Uint64
PORT_WWN, NODE_WWN, ISCSI_NAME = U16(2), U16(3), U16(5)
WWN = re.compile(r"[0-9A-F]{16}")

# What every port says of itself: FC technology, front-end only, SCSI over FC.
PORT = {"LinkTechnology": 4, "UsageRestriction": 2, "SupportedFC4Types": [8], "ActiveFC4Types": [8],
        "PortType": 10, "OperationalStatus": [2], "EnabledState": 2}
# And as an end of the protocol: Fibre Channel, a target.
ENDPOINT = {"ConnectionType": 2, "Role": 3, "ProtocolIFType": 56, "OperationalStatus": [2],
            "EnabledState": 2}


class FibreChannel:
    """One run over one connection."""

    def __init__(self, checks, connection):
        self.checks = checks
        self.connection = connection
        self.array = discover(connection)
        tag = uuid.uuid4().hex[:12].upper()
        self.hosts = [f"{digit}000{tag}" for digit in (1, 2, 5)]
        self.endpoints, self.made = [], []
        self.volume = self.name = None

    # --- calling and looking --------------------------------------------------------------------

    def call(self, method, **parameters):
        """A method of the masking service, as (return code, outputs)."""
        return self.connection.InvokeMethod(method, self.array.masking, **parameters)

    def step(self, path, association, result=None):
        """One step along an association, as instances."""
        return self.connection.Associators(path, AssocClass=association, ResultClass=result)

    def says(self, instance, expected, text):
        """A check that an instance has these values."""
        found = {name: instance.get(name) for name in expected}
        self.checks.equal(found, expected, text)

    # --- the parts of the run -------------------------------------------------------------------

    def advertised(self):
        """The profile is there, and its central instances are the ports."""
        checks = self.checks
        (profile,) = profiles(self.connection)[SNIA, "FC Target Ports"]
        ports = conforming(self.connection, profile.path, "CIM_FCPort")
        checks.that(ports, "ports conform to the profile")
        checks.equal(len(ports), len(self.array.enumerate("CIM_FCPort")), "all ports do")
        (abilities,) = self.step(self.array.system, "CIM_ElementCapabilities",
                                 "CIM_GroupMaskingMappingCapabilities")
        checks.equal(sorted(abilities["ValidHardwareIdTypes"]), [2, 5], "types of initiators")

    def chain(self):
        """From the system to every port and its endpoint, and back."""
        checks = self.checks
        ports = self.connection.Associators(
            self.array.system, AssocClass="CIM_SystemDevice", ResultClass="CIM_FCPort")
        hosted = self.connection.AssociatorNames(
            self.array.system, AssocClass="CIM_HostedAccessPoint",
            ResultClass="CIM_SCSIProtocolEndpoint")
        for port in ports:
            name = port["PermanentAddress"]
            checks.that(WWN.fullmatch(name), "a port is named by 16 upper-case digits", name)
            self.says(port, PORT, f"{name}: what the port says")
            checks.that(port["ElementName"] and 0 < port["Speed"] <= port["MaxSpeed"],
                        f"{name}: name and speeds")
            (endpoint,) = self.step(port.path, "CIM_DeviceSAPImplementation",
                                    "CIM_SCSIProtocolEndpoint")
            checks.equal(endpoint["Name"], name, f"{name}: the endpoint has the name")
            self.says(endpoint, ENDPOINT, f"{name}: what the endpoint says")
            (back,) = self.connection.AssociatorNames(
                endpoint.path, AssocClass="CIM_DeviceSAPImplementation")
            checks.that(same(back, port.path), f"{name}: the endpoint leads back")
            checks.that(contains(hosted, endpoint.path), f"{name}: the system hosts the endpoint")
            checks.equal(endpoint.path.classname == "Standpipe_iSCSIProtocolEndpoint", False,
                         f"{name} is no endpoint of iSCSI")
            self.endpoints.append(endpoint.path)
        iscsi = self.array.target_endpoints()
        checks.that(iscsi and not any(contains(iscsi, path) for path in self.endpoints),
                    "ports of iSCSI are listed apart")

    def introduce(self, spelling, kind=PORT_WWN):
        """An initiator by its port name, in whichever spelling."""
        code, outputs = self.connection.InvokeMethod(
            "CreateStorageHardwareID", self.array.hardware_ids, StorageID=spelling, IDType=kind)
        self.checks.equal(code, DONE, f"{spelling} is introduced")
        return outputs["HardwareID"]

    def initiators(self):
        """One initiator is one, in all of its spellings; other kinds of names are refused."""
        checks, host = self.checks, self.hosts[0]
        pairs = ":".join(re.findall("..", host.lower()))
        paths = [self.introduce(text) for text in (pairs, host, f"naa.{host.lower()}")]
        checks.that(all(same(path, paths[0]) for path in paths), "all spellings are one initiator")
        known = self.connection.GetInstance(paths[0])
        self.says(known, {"StorageID": host, "IDType": 2}, "how it is told")
        for text, kind, status in [
            (host, ISCSI_NAME, INVALID_PARAMETER), ("iqn.2026-01.a:b", PORT_WWN, INVALID_PARAMETER),
            (host[1:], PORT_WWN, INVALID_PARAMETER), (host, NODE_WWN, NOT_SUPPORTED),
        ]:
            checks.refuses(status, f"{text} as IDType {kind}", self.connection.InvokeMethod,
                           "CreateStorageHardwareID", self.array.hardware_ids, StorageID=text,
                           IDType=kind)
        return paths[0]

    def group(self, kind, members):
        """A group of these."""
        code, outputs = self.call("CreateGroup", GroupName=f"fc-{uuid.uuid4().hex}",
                                  Type=U16(kind), Members=members)
        self.checks.equal(code, DONE, f"a group of kind {kind} is created")
        self.made.append(outputs["MaskingGroup"])
        return outputs["MaskingGroup"]

    def by_groups(self):
        """A view as libstoragemgmt makes one, for an initiator of Fibre Channel."""
        checks = self.checks
        host = self.initiators()
        pool = self.array.thick_pool(16 * MIB)
        code, outputs = invoke(
            self.connection, "CreateOrModifyElementFromStoragePool", self.array.configuration,
            ElementName=f"fc-{uuid.uuid4().hex[:8]}", ElementType=U16(2), InPool=pool,
            Size=U64(16 * MIB))
        checks.equal(code, DONE, "a volume is created")
        self.volume = outputs["TheElement"]
        self.name = self.connection.GetInstance(self.volume)["Name"]
        hosts, devices = self.group(2, [host]), self.group(4, [self.volume])
        iscsi = self.group(3, self.array.target_endpoints())
        checks.refuses(INVALID_PARAMETER, "a view of a port name through iSCSI alone", self.call,
                       "CreateMaskingView", InitiatorMaskingGroup=hosts, TargetMaskingGroup=iscsi,
                       DeviceMaskingGroup=devices)
        ports = self.group(3, [*self.endpoints, *self.array.target_endpoints()])
        code, outputs = self.call("CreateMaskingView", InitiatorMaskingGroup=hosts,
                                  TargetMaskingGroup=ports, DeviceMaskingGroup=devices)
        checks.equal(code, DONE, "a view through all ports is created")
        view = outputs["ProtocolController"]
        members = self.connection.AssociatorNames(ports, AssocClass="CIM_MemberOfCollection")
        for endpoint in self.endpoints:
            checks.that(contains(members, endpoint), "a port is a member of the group")
            checks.that(contains(self.connection.AssociatorNames(
                endpoint, AssocClass="CIM_SAPAvailableForElement"), view),
                "a port leads to the view")
        (seen,) = self.step(view, "CIM_AssociatedPrivilege", "CIM_StorageHardwareID")
        self.says(seen, {"StorageID": self.hosts[0], "IDType": 2}, "whom the view is for")
        (unit,) = self.connection.AssociatorNames(view, AssocClass="CIM_ProtocolControllerForUnit")
        checks.that(same(unit, self.volume), "what the view shows")
        code, _ = self.call("DeleteMaskingView", ProtocolController=view)
        checks.equal(code, DONE, "the view is deleted")

    def by_paths(self):
        """The same by names alone."""
        checks, port = self.checks, self.endpoints[0].keybindings["Name"]
        wish = {"LUNames": [self.name], "DeviceAccesses": [U16(2)],
                "InitiatorPortIDs": [self.hosts[1]]}
        iscsi = self.array.target_endpoints()[0].keybindings["Name"]
        checks.refuses(INVALID_PARAMETER, "a port name through a port of iSCSI", self.call,
                       "ExposePaths", TargetPortIDs=[iscsi], **wish)
        code, outputs = self.call("ExposePaths", TargetPortIDs=[port], **wish)
        checks.equal(code, DONE, "a volume is exposed to a port name")
        (view,) = outputs["ProtocolControllers"]
        (seen,) = self.step(view, "CIM_AssociatedPrivilege", "CIM_StorageHardwareID")
        self.says(seen, {"StorageID": self.hosts[1], "IDType": 2}, "whom it is for")
        code, _ = self.call("HidePaths", ProtocolControllers=[view],
                            InitiatorPortIDs=[self.hosts[1].lower()])
        checks.equal(code, DONE, "it is hidden again, whatever the case of the name")
        code, _ = self.call("DeleteProtocolController", ProtocolController=view)
        checks.equal(code, DONE, "the view is deleted")

    def undo(self):
        """Groups, initiators and the volume go."""
        for group in self.made:
            code, _ = self.call("DeleteGroup", MaskingGroup=group)
            self.checks.equal(code, DONE, "a group is deleted")
        for known in self.array.enumerate("CIM_StorageHardwareID"):
            if known["StorageID"] in self.hosts:
                self.connection.DeleteInstance(known.path)
        code, _ = invoke(self.connection, "ReturnToStoragePool", self.array.configuration,
                         TheElement=self.volume)
        self.checks.equal(code, DONE, "the volume is deleted")

    def run(self):
        """All of it, in order."""
        namespaces = ["interop", self.array.namespace]
        before = everything(self.connection, namespaces)
        for part in (self.advertised, self.chain, self.by_groups, self.by_paths, self.undo):
            self.checks.step(part)
        left = differences(before, everything(self.connection, namespaces))
        self.checks.that(not left, "the server is as it was found", "; ".join(left[:5]))


def main():
    chosen = options(__doc__)
    checks = Checks("fc", chosen.verbose)
    for url in chosen.urls:
        checks.section(url)
        connection = connect(chosen, url)
        FibreChannel(checks, connection).run()
        checks.valid_replies(connection)
    return checks.finish()


if __name__ == "__main__":
    sys.exit(main())
