#!/usr/bin/env python3
"""iSCSI Target Ports: the chain of endpoints, and the methods that make and remove targets and portals.

Every target's chain is walked both ways; targets are made, opened, shown through, and removed; what is
wrong is refused with the codes of the schema; the server is left as it was found.
"""

import sys
import uuid

import pywbem

from discovery import discover
from harness import (
    ACCESS_DENIED, DONE, FAILED, INVALID_PARAMETER, Checks, connect, contains, differences,
    everything, options, same,
)
from refusals import altered

U16 = pywbem.Uint16
INITIATOR, TARGET = U16(2), U16(3)

# Return codes; they mean something else in each method.
NODE_ABSENT = PORT_ABSENT = 4096
ALIAS_IN_USE = 4097  # CreateiSCSINode
ROLE, IDENTIFIER_IN_USE, SELECTION, PORTAL_ABSENT, PORTAL_IN_USE = 4097, 4098, 4099, 4100, 4102
BOUND_ALREADY = 4098  # BindiSCSIProtocolEndPoint

LISTENS, AVAILABLE = 2, 3


class Iscsi:
    """One run over one connection."""

    def __init__(self, checks, connection):
        self.checks = checks
        self.connection = connection
        self.array = discover(connection)
        (self.service,) = connection.AssociatorNames(
            self.array.system, AssocClass="CIM_HostedService",
            ResultClass="CIM_iSCSIConfigurationService")
        self.alias = f"Target {uuid.uuid4().hex[:8]}"
        self.node = self.port = None

    # --- calling and looking --------------------------------------------------------------------

    def call(self, method, **parameters):
        """A method of the service, as (return code, outputs)."""
        return self.connection.InvokeMethod(method, self.service, **parameters)

    def answers(self, code, text, method, **parameters):
        """A check that a call answers with this code; returns its outputs."""
        got, outputs = self.call(method, **parameters)
        self.checks.equal(got, code, text)
        self.checks.that("Job" not in outputs, f"{text}: no job")
        return outputs

    def refused(self, status, text, method, **parameters):
        """A check that a call ends in this CIM error."""
        self.checks.refuses(status, text, self.call, method, **parameters)

    def nodes(self):
        """The iSCSI nodes of the system, as instances."""
        return [item for item in self.connection.Associators(
            self.array.system, AssocClass="CIM_SystemDevice",
            ResultClass="CIM_SCSIProtocolController") if item["NameFormat"] == 3]

    def tcp(self):
        """The TCP endpoints of the system, as instances by name."""
        found = self.connection.Associators(
            self.array.system, AssocClass="CIM_HostedAccessPoint",
            ResultClass="CIM_TCPProtocolEndpoint")
        return {item["Name"]: item for item in found}

    def step(self, path, association, result):
        """One step along an association, as instances."""
        return self.connection.Associators(path, AssocClass=association, ResultClass=result)

    def bound(self, port):
        """The names of the TCP endpoints that a port is bound to."""
        return sorted(tcp["Name"] for tcp in self.step(port, "CIM_BindsTo",
                                                       "CIM_TCPProtocolEndpoint"))

    # --- the parts of the run -------------------------------------------------------------------

    def chain(self):
        """From the system down to the interfaces and back, for every target."""
        checks = self.checks
        families = set()
        endpoints = self.step(self.array.system, "CIM_HostedAccessPoint",
                              "CIM_iSCSIProtocolEndpoint")
        checks.that(endpoints, "there are target ports")
        for endpoint in endpoints:
            name = endpoint["Name"]
            checks.equal(endpoint["Role"], TARGET, f"{name} is a target's")
            (node,) = [item for item in self.step(
                endpoint.path, "CIM_SAPAvailableForElement", "CIM_SCSIProtocolController")
                if item["NameFormat"] == 3]
            checks.equal(name, f"{node['Name']},t,0x0001", "the name is target and portal group")
            checks.that(contains(self.connection.AssociatorNames(
                node.path, AssocClass="CIM_SAPAvailableForElement"), endpoint.path),
                f"{name}: the node leads back")
            tcps = self.step(endpoint.path, "CIM_BindsTo", "CIM_TCPProtocolEndpoint")
            checks.that(tcps, f"{name} is bound to TCP endpoints")
            for tcp in tcps:
                families.add(self.below(endpoint, tcp))
        return families

    def below(self, endpoint, tcp):
        """What lies below one TCP endpoint; its address family."""
        checks, name = self.checks, tcp["Name"]
        checks.equal(tcp["EnabledState"], LISTENS, f"{name} listens")
        checks.that(contains(self.connection.AssociatorNames(
            tcp.path, AssocClass="CIM_BindsTo", ResultClass="CIM_iSCSIProtocolEndpoint"),
            endpoint.path), f"{name} leads back to the port")
        (ip,) = self.step(tcp.path, "CIM_BindsTo", "CIM_IPProtocolEndpoint")
        address = ip.get("IPv4Address") or ip.get("IPv6Address")
        family = 4096 if ip.get("IPv4Address") else 4097
        checks.equal(ip["ProtocolIFType"], family, f"{name}: type of the IP endpoint")
        checks.that(len(address) == 39 or family == 4096, f"{name}: IPv6 is written out", address)
        checks.that(name.endswith(f":{tcp['PortNumber']}"), f"{name}: the port number")
        (card,) = self.step(ip.path, "CIM_DeviceSAPImplementation", "CIM_EthernetPort")
        checks.that(len(card["PermanentAddress"]) == 12, f"{name}: the interface's address")
        checks.that(contains(self.connection.AssociatorNames(
            card.path, AssocClass="CIM_DeviceSAPImplementation"), ip.path),
            f"{name}: the interface leads back")
        return family

    def abilities(self):
        """The capabilities, at the service and at the system."""
        checks = self.checks
        for element in (self.service, self.array.system):
            (found,) = self.step(element, "CIM_ElementCapabilities",
                                 "CIM_iSCSIConfigurationCapabilities")
            flags = [found[f"{name}Supported"] for name in (
                "iSCSINodeCreation", "iSCSIProtocolEndpointCreation", "IdentifierSelection")]
            checks.equal(flags, [True, True, False], f"capabilities of {element.classname}")
        affected = self.connection.AssociatorNames(
            self.service, AssocClass="CIM_ServiceAffectsElement")
        ours = [*(node.path for node in self.nodes()), *self.array.target_endpoints()]
        checks.that(all(contains(affected, path) for path in ours) and len(affected) == len(ours),
                    "the service affects nodes and ports")

    def make_node(self):
        """A target, which has no port yet."""
        checks = self.checks
        first = min(node["Name"] for node in self.nodes())
        ports = len(self.array.target_endpoints())
        outputs = self.answers(DONE, "a target is made", "CreateiSCSINode", Alias=self.alias)
        self.node = outputs["iSCSINode"]
        made = self.connection.GetInstance(self.node)
        checks.equal(made["ElementName"], self.alias, "its alias is its name for people")
        part = self.alias.lower().replace(" ", "-")
        checks.equal(made["Name"], f"{first}:{part}", "its name is derived from both")
        checks.equal(made["NameFormat"], 3, "it is an iSCSI node")
        checks.that(contains([node.path for node in self.nodes()], self.node), "the system has it")
        checks.equal(len(self.array.target_endpoints()), ports, "no port came with it")
        self.answers(ALIAS_IN_USE, "the alias is taken", "CreateiSCSINode", Alias=self.alias)
        self.refused(INVALID_PARAMETER, "an empty alias", "CreateiSCSINode", Alias="")
        checks.equal(len([node for node in self.nodes() if node["ElementName"] == self.alias]), 1,
                     "no second one was made")

    def refuse_ports(self):
        """What CreateiSCSIProtocolEndpoint refuses."""
        tcp = self.tcp()
        some = next(iter(tcp.values())).path
        (ip,) = self.connection.AssociatorNames(
            some, AssocClass="CIM_BindsTo", ResultClass="CIM_IPProtocolEndpoint")
        configured = min(self.nodes(), key=lambda node: node["Name"]).path
        make = "CreateiSCSIProtocolEndpoint"
        good = {"iSCSINode": self.node, "Role": TARGET, "NetworkPortals": [some]}
        self.answers(NODE_ABSENT, "a target that is not there", make,
                     **{**good, "iSCSINode": altered(self.node, DeviceID="iqn.2020-01.none:x")})
        self.answers(ROLE, "the role of an initiator", make, **{**good, "Role": INITIATOR})
        self.answers(SELECTION, "a portal group tag of one's own", make, **good,
                     Identifier="000000000002")
        self.answers(PORTAL_ABSENT, "an endpoint that is not there", make, **{
            **good, "NetworkPortals": [some, altered(some, Name="203.0.113.1:3260")]})
        self.refused(INVALID_PARAMETER, "an IP endpoint", make, **{**good, "NetworkPortals": [ip]})
        self.refused(INVALID_PARAMETER, "an endpoint twice", make,
                     **{**good, "NetworkPortals": [some, some]})
        self.refused(INVALID_PARAMETER, "no endpoint", make, **{**good, "NetworkPortals": []})
        self.refused(INVALID_PARAMETER, "no target", make, Role=TARGET, NetworkPortals=[some])
        self.refused(ACCESS_DENIED, "a target that the configuration names", make,
                     **{**good, "iSCSINode": configured})

    def open_port(self):
        """The port, at an IPv4 address that is shared and an IPv6 address that is free."""
        checks, tcp = self.checks, self.tcp()
        shared = next(item for item in tcp.values()
                      if item["EnabledState"] == LISTENS and "[" not in item["Name"])
        free = next(item for item in tcp.values()
                    if item["EnabledState"] == AVAILABLE and "[" in item["Name"])
        more = next(item for item in tcp.values()
                    if item["Name"] not in (shared["Name"], free["Name"]))
        make = {"iSCSINode": self.node, "Role": TARGET}
        outputs = self.answers(DONE, "its port is opened", "CreateiSCSIProtocolEndpoint", **make,
                               NetworkPortals=[shared.path, free.path])
        self.port = outputs["iSCSIPort"]
        wanted = sorted([shared["Name"], free["Name"]])
        checks.equal(self.bound(self.port), wanted, "it listens where it was told")
        checks.equal(self.chain(), {4096, 4097}, "chains of IPv4 and IPv6")
        self.answers(PORTAL_IN_USE, "the same addresses again", "CreateiSCSIProtocolEndpoint",
                     **make, NetworkPortals=[shared.path])
        self.answers(IDENTIFIER_IN_USE, "a second port", "CreateiSCSIProtocolEndpoint", **make,
                     NetworkPortals=[more.path])
        self.bind(shared, more)
        checks.equal(self.bound(self.port), sorted([*wanted, more["Name"]]), "and one more")

    def bind(self, shared, more):
        """One more address, and what BindiSCSIProtocolEndPoint refuses."""
        method = "BindiSCSIProtocolEndPoint"
        self.answers(DONE, "one more address", method, iSCSIPort=self.port,
                     NetworkPortal=more.path)
        self.answers(BOUND_ALREADY, "an address that it has", method, iSCSIPort=self.port,
                     NetworkPortal=shared.path)
        self.answers(PORT_ABSENT, "a port that is not there", method, NetworkPortal=more.path,
                     iSCSIPort=altered(self.port, Name="iqn.2020-01.none:x,t,0x0001"))
        self.answers(PORT_ABSENT, "an endpoint that is not there", method, iSCSIPort=self.port,
                     NetworkPortal=altered(more.path, Name="203.0.113.1:3260"))
        self.refused(INVALID_PARAMETER, "no endpoint", method, iSCSIPort=self.port)
        configured = next(path for path in self.array.target_endpoints()
                          if not same(path, self.port))
        self.refused(ACCESS_DENIED, "a port that the configuration names", method,
                     iSCSIPort=configured, NetworkPortal=more.path)

    def masked(self):
        """A group of the new port alone restricts a view to it, and keeps the port."""
        checks, masking = self.checks, self.array.masking
        code, outputs = self.connection.InvokeMethod(
            "CreateGroup", masking, GroupName=self.alias, Type=U16(3), Members=[self.port])
        checks.equal(code, DONE, "a group of the new port")
        group = outputs["MaskingGroup"]
        code, outputs = self.connection.InvokeMethod(
            "CreateMaskingView", masking, ElementName=self.alias, TargetMaskingGroup=group)
        checks.equal(code, DONE, "a view of the group")
        view = outputs["ProtocolController"]
        seen = self.connection.AssociatorNames(
            view, AssocClass="CIM_SAPAvailableForElement", ResultClass="CIM_iSCSIProtocolEndpoint")
        checks.that(len(seen) == 1 and same(seen[0], self.port), "the view has this port only")
        self.refused(FAILED, "removing a port of a group", "DeleteiSCSIProtocolEndpoint",
                     iSCSIPort=self.port)
        self.refused(FAILED, "removing its target", "DeleteiSCSINode", iSCSINode=self.node)
        self.connection.InvokeMethod("DeleteMaskingView", masking, ProtocolController=view)
        self.connection.InvokeMethod("DeleteGroup", masking, MaskingGroup=group)

    def remove(self):
        """Port and target go, each once; what the configuration names stays."""
        checks = self.checks
        configured = next(path for path in self.array.target_endpoints()
                          if not same(path, self.port))
        self.refused(ACCESS_DENIED, "removing a configured port", "DeleteiSCSIProtocolEndpoint",
                     iSCSIPort=configured)
        first = min(self.nodes(), key=lambda node: node["Name"]).path
        self.refused(ACCESS_DENIED, "removing a configured target", "DeleteiSCSINode",
                     iSCSINode=first)
        self.answers(DONE, "the port is removed", "DeleteiSCSIProtocolEndpoint",
                     iSCSIPort=self.port)
        checks.that(not contains(self.array.target_endpoints(), self.port), "it is gone")
        self.answers(PORT_ABSENT, "and cannot be removed again", "DeleteiSCSIProtocolEndpoint",
                     iSCSIPort=self.port)
        checks.that(contains([node.path for node in self.nodes()], self.node), "the target stays")
        self.answers(DONE, "the target is removed", "DeleteiSCSINode", iSCSINode=self.node)
        self.answers(NODE_ABSENT, "and cannot be removed again", "DeleteiSCSINode",
                     iSCSINode=self.node)

    def all_at_once(self):
        """A target is removed with its port."""
        outputs = self.answers(DONE, "another one", "CreateiSCSINode")
        node = outputs["iSCSINode"]
        some = next(iter(self.tcp().values())).path
        outputs = self.answers(DONE, "with a port", "CreateiSCSIProtocolEndpoint", iSCSINode=node,
                               Role=TARGET, NetworkPortals=[some])
        self.answers(DONE, "goes with its port", "DeleteiSCSINode", iSCSINode=node)
        self.checks.that(not contains(self.array.target_endpoints(), outputs["iSCSIPort"]),
                         "the port is gone")

    def run(self):
        """All of it, in order."""
        namespaces = ["interop", self.array.namespace]
        before = everything(self.connection, namespaces)
        for part in (self.chain, self.abilities, self.make_node, self.refuse_ports, self.open_port,
                     self.masked, self.remove, self.all_at_once):
            self.checks.step(part)
        left = differences(before, everything(self.connection, namespaces))
        self.checks.that(not left, "the server is as it was found", "; ".join(left[:5]))


def main():
    chosen = options(__doc__)
    checks = Checks("iscsi", chosen.verbose)
    for url in chosen.urls:
        checks.section(url)
        connection = connect(chosen, url)
        Iscsi(checks, connection).run()
        checks.valid_replies(connection)
    return checks.finish()


if __name__ == "__main__":
    sys.exit(main())
