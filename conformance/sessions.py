#!/usr/bin/env python3
"""Sessions and connections of iSCSI Target Ports: a host logs in, is found, and logs out again.

The host is one of the simulator's, which does what is written into the file of events that
`standpipe demo --events` reads; its name is in the environment as STANDPIPE_EVENTS.
"""

import os
import sys

import pywbem

from discovery import discover
from harness import INVALID_PARAMETER, NOT_FOUND, Checks, connect, contains, options, same

JOINS, COMPOSES = "CIM_EndpointOfNetworkPipe", "CIM_NetworkPipeComposition"
NORMAL, NOT_APPLICABLE, SESSIONS_FEATURE = 3, 4, 2


class Sessions:
    """One run over one connection."""

    def __init__(self, checks, connection, events):
        self.checks = checks
        self.connection = connection
        self.events = events
        self.array = discover(connection)

    def happen(self, line):
        """Something happens to the machine."""
        with open(self.events, "w", encoding="utf-8") as events:
            events.write(line + "\n")

    def all(self, classname="CIM_iSCSISession"):
        """The instances of a class."""
        return self.connection.EnumerateInstances(classname, namespace=self.array.namespace)

    def host(self):
        """The name of an initiator that some view shows something."""
        for view in self.all("CIM_SCSIProtocolController"):
            for group in self.connection.Associators(
                    view.path, ResultClass="CIM_InitiatorMaskingGroup"):
                for initiator in self.connection.Associators(
                        group.path, AssocClass="CIM_MemberOfCollection"):
                    return initiator["StorageID"]
        raise LookupError("no view shows anybody anything")

    def login_and_logout(self):
        """The whole life of a session."""
        checks, connection = self.checks, self.connection
        host = self.host()
        checks.section("a host logs in")
        checks.equal(self.all(), [], "nobody is logged in at first")
        self.happen(f"login {host}")
        if not self.checks.until("its session appears", self.all):
            return
        (session,) = self.all()
        checks.equal(session["EndPointName"], host, "the session names the initiator")
        checks.equal(session["SessionType"], NORMAL, "it is no discovery")
        checks.equal(session["CurrentConnections"], 1, "it has one connection")
        checks.that(session["TSIH"] > 0, "it has a handle")
        checks.equal(connection.GetInstance(session.path), session, "it can be got by its path")
        (connected,) = self.all("CIM_iSCSIConnection")

        checks.section("walking along it")
        (port,) = connection.Associators(session.path, AssocClass=JOINS)
        checks.that(port.path.classname.endswith("iSCSIProtocolEndpoint"), "it joins a port")
        for path in (session.path, connected.path):
            (reference,) = connection.References(path, ResultClass=JOINS)
            checks.equal(reference["SourceOrSink"], NOT_APPLICABLE, "data flows both ways")
            checks.that(same(reference["Dependent"], path), "the pipe is the dependent end")
        checks.that(contains(connection.AssociatorNames(port.path, AssocClass=JOINS), session.path),
                    "the port leads back to it")
        (part,) = connection.Associators(session.path, AssocClass=COMPOSES, Role="GroupComponent")
        checks.that(same(part.path, connected.path), "it is made of the connection")
        (whole,) = connection.AssociatorNames(part.path, AssocClass=COMPOSES, Role="PartComponent")
        checks.that(same(whole, session.path), "the connection leads back to it")
        (tcp,) = connection.Associators(part.path, AssocClass=JOINS)
        checks.that(contains(connection.AssociatorNames(port.path, AssocClass="CIM_BindsTo"),
                             tcp.path),
                    "the connection came to an address that the port listens at")
        (abilities,) = self.all("CIM_iSCSICapabilities")
        checks.that(SESSIONS_FEATURE in (abilities["SupportedFeatures"] or []),
                    "the capabilities promise sessions")

        checks.section("and out again")
        self.happen(f"logout {host}")
        self.checks.until("its session disappears", lambda: not self.all())
        checks.equal(self.all("CIM_iSCSIConnection"), [], "its connection with it")
        checks.refuses(NOT_FOUND, "what has ended is not found",
                       connection.GetInstance, session.path)
        nowhere = pywbem.CIMInstanceName(
            session.path.classname, {"InstanceID": "Standpipe:iSCSISession:x"},
            namespace=self.array.namespace)
        checks.refuses((NOT_FOUND, INVALID_PARAMETER), "nor is what never was",
                       connection.GetInstance, nowhere)


def main():
    chosen = options(__doc__)
    events = os.environ.get("STANDPIPE_EVENTS")
    if not events:
        sys.exit("sessions: the file of events is expected in the environment as STANDPIPE_EVENTS")
    checks = Checks("sessions", chosen.verbose)
    connection = connect(chosen)
    run = checks.step(Sessions, checks, connection, events)
    if run:
        checks.step(run.login_and_logout)
    checks.valid_replies(connection)
    return checks.finish()


if __name__ == "__main__":
    sys.exit(main())
