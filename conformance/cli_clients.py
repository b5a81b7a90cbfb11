#!/usr/bin/env python3
"""Two command-line clients against the server: pywbemcli (PyPI) and wbemcli (Debian).

wbemcli 1.6.3 has a hand-written parser that understands no self-closed container elements, no
CDATA and no comments; what it reads back correctly, most older clients read. Its dumps are also
validated against the DTD. pywbemcli is the client that administrators paste lines into.
"""

import os
import re
import shutil
import subprocess
import sys
import uuid
from pathlib import Path
from urllib.parse import quote, urlsplit

import pywbem

import dtd
from discovery import discover
from harness import MIB, Checks, connect, options

PYWBEMCLI = Path(sys.executable).parent / "pywbemcli"


def uri(path):
    """A path as pywbemcli takes it: a WBEM URI without a host."""
    bare = path.copy()
    bare.host = None
    return bare.to_wbem_uri(format="historical").removeprefix("/")


class Clients:
    """Both clients against one URL, with the array that pywbem found for comparison."""

    def __init__(self, checks, chosen, url):
        self.checks = checks
        self.chosen = chosen
        self.url = url
        self.array = discover(connect(chosen, url))
        self.pool = self.array.thick_pool(256 * MIB)
        self.volume = None
        self.tag = uuid.uuid4().hex[:8]

    # --- pywbemcli ------------------------------------------------------------------------------

    def pywbemcli(self, *arguments, general=(), expect=(), absent=(), status=0):
        """Run one command; its exit status and what its output must show are one check."""
        command = [str(PYWBEMCLI), "-s", self.url, "-u", self.chosen.user,
                   "-p", self.chosen.password, "--no-verify", "-d", self.array.namespace,
                   *general, *arguments]
        environment = dict(os.environ, PYWBEMTOOLS_TERMWIDTH="160", PYTHONWARNINGS="ignore")
        done = subprocess.run(command, env=environment, capture_output=True, text=True,
                              stdin=subprocess.DEVNULL, timeout=120)
        output = done.stdout + done.stderr
        missing = [text for text in expect if not re.search(text, output, re.MULTILINE)]
        unwanted = [text for text in absent if re.search(text, output)]
        title = " ".join([*general, *arguments])[:90]
        self.checks.that(done.returncode == status and not missing and not unwanted
                         and "Traceback" not in output, f"pywbemcli {title}",
                         f"status {done.returncode}, missing {missing}, unwanted {unwanted}: "
                         f"{output[-700:]}")
        return output

    def discover_with_pywbemcli(self):
        """Servers, namespaces, profiles, classes."""
        cli = self.pywbemcli
        cli("namespace", "list", expect=["interop", "root/standpipe"])
        cli("namespace", "interop", expect=["^interop"])
        cli("server", "brand", expect=["[Ss]tandpipe"])
        cli("server", "info", expect=["interop", r"\d+\.\d+\.\d+"])
        cli("profile", "list", expect=["SMI-S", "Array", "Block Services",
                                       "Group Masking and Mapping", "iSCSI Target Ports"])
        cli("profile", "centralinsts", "-o", "SNIA", "-p", "Array",
            expect=[self.array.system["Name"]])
        cli("class", "find", "CIM_StorageVol*", expect=["root/standpipe.*CIM_StorageVolume"])
        cli("class", "enumerate", "--no", "--di", "--summary", expect=["Class"])
        cli("class", "enumerate", "CIM_StorageExtent", "--no", expect=["CIM_StorageVolume"])
        cli("class", "get", "CIM_StorageVolume", expect=["class CIM_StorageVolume", "DeviceID"])
        cli("class", "associators", "CIM_StorageVolume", "--no", expect=["CIM_\\w+"])
        cli("class", "tree", "CIM_StoragePool", expect=["StoragePool"])
        cli("qualifier", "enumerate", general=["-o", "simple"], expect=["Association", "Key"])
        cli("qualifier", "get", "Key", expect=["Qualifier Key : boolean"])
        cli("statistics", "show", expect=[""])

    def read_with_pywbemcli(self):
        """Instances, one by one and along associations, with and without pull."""
        cli, pool = self.pywbemcli, self.pool
        identifier = re.escape(pool["InstanceID"])
        cli("instance", "enumerate", "CIM_StoragePool", "--no", expect=[identifier])
        for pull in ("yes", "no", "either"):
            cli("instance", "enumerate", "CIM_StoragePool", "--pl", "InstanceID,Primordial",
                general=["--use-pull", pull, "--pull-max-cnt", "1"], expect=[identifier])
        cli("instance", "get", uri(pool), expect=[identifier, "RemainingManagedSpace"])
        cli("instance", "count", "*StoragePool", expect=["StoragePool +\\d"])
        cli("instance", "associators", uri(pool), "--ac", "CIM_HostedStoragePool", "--no",
            expect=[self.array.system["Name"]])
        cli("instance", "references", uri(pool), "--rc", "CIM_HostedStoragePool", "--no",
            expect=["CIM_HostedStoragePool"])
        cli("instance", "shrub", uri(pool), expect=["HostedStoragePool"])
        cli("instance", "get", uri(pool).replace(pool["InstanceID"], "none"), status=1,
            expect=["CIM_ERR_NOT_FOUND"])
        cli("instance", "query", "SELECT * FROM CIM_StoragePool", status=1,
            expect=["CIM_ERR_(NOT_SUPPORTED|QUERY_LANGUAGE_NOT_SUPPORTED)"])

    def provision_with_pywbemcli(self):
        """A volume, an initiator and a group made and removed by command lines."""
        cli, array = self.pywbemcli, self.array
        made = cli("instance", "invokemethod", uri(array.configuration),
                   "CreateOrModifyElementFromStoragePool",
                   "-p", f"ElementName=cli-{self.tag}", "-p", "ElementType=2",
                   "-p", f"Size={64 * MIB}", "-p", f"InPool=/{uri(self.pool)}",
                   expect=["^ReturnValue=0", "TheElement=.*StorageVolume"])
        cli("instance", "invokemethod", uri(array.configuration),
            "CreateOrModifyElementFromStoragePool",
            "-p", f"ElementName=cli-{self.tag}", "-p", "ElementType=2",
            "-p", f"Size={64 * MIB}", "-p", f"InPool=/{uri(self.pool)}", status=1,
            expect=["CIM_ERR_|[0-9]+"])
        volumes = [item for item in array.enumerate("CIM_StorageVolume")
                   if item["ElementName"] == f"cli-{self.tag}"]
        self.checks.that(len(volumes) == 1, "pywbemcli made one volume", made)
        self.volume = volumes[0]
        cli("instance", "get", uri(self.volume.path), expect=[self.volume["Name"]])
        cli("instance", "invokemethod", uri(array.configuration),
            "CreateOrModifyElementFromStoragePool", "-p", "ElementType=2",
            "-p", f"Size={128 * MIB}", "-p", f"TheElement=/{uri(self.volume.path)}",
            expect=["^ReturnValue=0"])
        name = f"iqn.2024-01.example.cli:{self.tag}"
        cli("instance", "invokemethod", uri(array.hardware_ids), "CreateStorageHardwareID",
            "-p", f"StorageID={name}", "-p", "IDType=5", expect=["^ReturnValue=0", "HardwareID="])
        known = next(item.path for item in array.enumerate("CIM_StorageHardwareID")
                     if item["StorageID"] == name)
        cli("instance", "invokemethod", uri(array.masking), "CreateGroup",
            "-p", f"GroupName=cli-{self.tag}", "-p", "Type=2",
            "-p", f"Members=/{uri(known)}", expect=["^ReturnValue=0", "MaskingGroup="])
        group = next(item.path for item in array.enumerate("CIM_InitiatorMaskingGroup")
                     if item["ElementName"] == f"cli-{self.tag}")
        cli("instance", "associators", uri(group), "--ac", "CIM_MemberOfCollection",
            "--rc", "CIM_StorageHardwareID", expect=[name])
        cli("instance", "invokemethod", uri(array.masking), "DeleteGroup",
            "-p", f"MaskingGroup=/{uri(group)}", "-p", "Force=true", expect=["^ReturnValue=0"])

    # --- wbemcli --------------------------------------------------------------------------------

    def wbemcli(self, operation, target, *arguments, flags=(), expect=(), status=0):
        """Run one command of the strict client; output and validity are checked."""
        parts = urlsplit(self.url)
        login = f"{quote(self.chosen.user, safe='')}:{quote(self.chosen.password, safe='')}"
        address = f"{parts.scheme}://{login}@{parts.hostname}:{parts.port}/{target}"
        noverify = ["-noverify"] if parts.scheme == "https" else []
        done = subprocess.run(
            ["wbemcli", operation, *noverify, "-dx", *flags, address, *arguments],
            env=dict(os.environ, LC_ALL="C"), capture_output=True, stdin=subprocess.DEVNULL,
            timeout=120)
        output = done.stdout.decode("utf-8", "replace")
        diagnosis = "\n".join(re.findall(r"^\* .*$", done.stderr.decode("utf-8", "replace"), re.M))
        missing = [text for text in expect
                   if not re.search(text, f"{output}\n{diagnosis}", re.MULTILINE)]
        title = f"wbemcli {operation} {target} {' '.join([*flags, *arguments])}"[:100]
        self.checks.that(done.returncode == status and not missing, title,
                         f"status {done.returncode}, missing {missing}: "
                         f"{output[-500:]} {diagnosis[-300:]}")
        messages = dtd.messages_in_dump(done.stderr)
        wrong = [fault for message in messages for fault in dtd.faults(message)]
        self.checks.that(messages and not wrong, f"{title}: valid",
                         "; ".join(wrong[:5]) or "no reply in the dump")
        return output

    def read_with_wbemcli(self):
        """Every reading operation of the strict client."""
        cli, array, pool = self.wbemcli, self.array, self.pool
        namespace, identifier = array.namespace, re.escape(self.pool["InstanceID"])
        here = f"{namespace}:{pool.classname}.InstanceID=\"{pool['InstanceID']}\""
        cli("ecn", f"{namespace}:CIM_StorageExtent", expect=["CIM_StorageVolume"])
        cli("ec", f"{namespace}:CIM_StorageExtent", expect=["CIM_StorageVolume"])
        cli("gc", f"{namespace}:CIM_StorageVolume", expect=["CIM_StorageVolume", "DeviceID"])
        cli("ein", f"{namespace}:CIM_StoragePool", expect=[identifier])
        cli("ein", f"{namespace}:CIM_ManagedElement", expect=[identifier])
        cli("ei", f"{namespace}:CIM_StoragePool", expect=[identifier, "RemainingManagedSpace"])
        cli("ei", f"{namespace}:CIM_ManagedElement", flags=["-cte"], expect=[identifier])
        cli("ei", f"{namespace}:CIM_ManagedElement", flags=["-t"], expect=[identifier])
        cli("ei", "interop:CIM_RegisteredProfile", expect=["RegisteredName=\"Array\""])
        cli("ei", "root/interop:CIM_Namespace", expect=["root/standpipe"])
        cli("gi", here, expect=[identifier, "TotalManagedSpace=\\d+"])
        cli("gi", here, "InstanceID,Primordial", expect=[identifier])
        cli("ain", here, expect=[re.escape(array.system["Name"])])
        cli("ai", here, flags=["-ac", "CIM_HostedStoragePool"],
            expect=[re.escape(array.system["Name"])])
        cli("ain", here, flags=["-ac", "CIM_HostedStoragePool", "-arc", "CIM_ComputerSystem",
                                "-ar", "PartComponent", "-arr", "GroupComponent"],
            expect=[re.escape(array.system["Name"])])
        cli("rin", here, expect=["CIM_HostedStoragePool"])
        cli("ri", here, flags=["-arc", "CIM_HostedStoragePool"], expect=["GroupComponent"])
        cli("gp", here, "InstanceID", expect=[f"^{identifier}"])
        cli("cm", here, "GetSupportedSizeRange.ElementType=3",
            expect=["GetSupportedSizeRange: 0", "MaximumVolumeSize \\(uint64\\): \\d+"])
        system = f"interop:{array.system.classname}"
        cli("ein", system.replace("interop", namespace),
            expect=[f"Name=\"{re.escape(array.system['Name'])}\""])
        nothing = here.replace(pool["InstanceID"], "none")
        cli("gi", nothing, status=16, expect=["CIM_ERR_NOT_FOUND|not found|NOT_FOUND"])
        cli("ein", f"{namespace}:CIM_Nothing", status=16, expect=["INVALID_CLASS"])
        cli("ein", "root/nil:CIM_StoragePool", status=16, expect=["INVALID_NAMESPACE"])

    def provision_with_wbemcli(self):
        """A volume from creation to a masking view and back, all by the strict client."""
        array = self.array

        def keys(path):
            pairs = ",".join(f'{key}="{value}"' for key, value in path.keybindings.items())
            return f"{path.classname}.{pairs}"

        def call(service, method, expect=(), **parameters):
            pairs = ",".join(f"{name}={value}" for name, value in parameters.items())
            return self.wbemcli("cm", f"{array.namespace}:{keys(service)}", f"{method}.{pairs}",
                                expect=[f"{method}: 0", *expect])

        def named(classname, prop, value):
            return next(item for item in array.enumerate(classname) if item[prop] == value)

        def quoted(text):
            return f'"{text}"'

        tag, initiator = f"wbemcli-{self.tag}", f"iqn.2024-01.example.wbemcli:{self.tag}"
        call(array.configuration, "CreateOrModifyElementFromStoragePool", ElementName=quoted(tag),
             ElementType=2, Size=8 * MIB, InPool=keys(self.pool),
             expect=[f"Size \\(uint64\\): {8 * MIB}", "TheElement \\(reference\\)"])
        volume = named("CIM_StorageVolume", "ElementName", tag)
        path = volume.path
        here = f"{array.namespace}:{keys(path)}"
        self.wbemcli("gi", here, flags=["-nl"], expect=[
            f"^-Name=\"{volume['Name']}\"", "^-OperationalStatus=2"])
        self.wbemcli("ri", here, expect=["SpaceConsumed=\\d+"])
        self.wbemcli("gp", here, "Name", expect=[volume["Name"]])

        call(array.hardware_ids, "CreateStorageHardwareID", StorageID=quoted(initiator), IDType=5)
        identifier = named("CIM_StorageHardwareID", "StorageID", initiator).path
        groups = {}
        for kind, classname, role, member in (
                (2, "CIM_InitiatorMaskingGroup", "InitiatorMaskingGroup", identifier),
                (3, "CIM_TargetMaskingGroup", "TargetMaskingGroup", array.target_endpoints()[0]),
                (4, "CIM_DeviceMaskingGroup", "DeviceMaskingGroup", path)):
            # wbemcli takes leftovers of the service's keys for further members of a reference
            # array, so the groups are made with pywbem.
            array.connection.InvokeMethod(
                "CreateGroup", array.masking, GroupName=tag, Type=pywbem.Uint16(kind),
                Members=[member])
            groups[role] = named(classname, "ElementName", tag).path
        call(array.masking, "CreateMaskingView", ElementName=quoted(tag),
             **{role: keys(group) for role, group in groups.items()},
             expect=["ProtocolController \\(reference\\)"])
        self.wbemcli("ri", here, flags=["-arc", "CIM_ProtocolControllerForUnit"],
                     expect=["DeviceNumber=\"[0-9A-Fa-f]+\""])
        view = array.connection.AssociatorNames(
            path, AssocClass="CIM_ProtocolControllerForUnit")[0]
        call(array.masking, "DeleteMaskingView", ProtocolController=keys(view))
        for group in groups.values():
            call(array.masking, "DeleteGroup", MaskingGroup=keys(group), Force="true")
        call(array.configuration, "ReturnToStoragePool", TheElement=keys(path))
        self.wbemcli("gi", here, status=16, expect=["CIM_ERR_NOT_FOUND"])

    def finish(self):
        """Remove the volume and see it gone."""
        if self.volume is None:
            return
        self.pywbemcli("instance", "invokemethod", uri(self.array.configuration),
                       "ReturnToStoragePool", "-p", f"TheElement=/{uri(self.volume.path)}",
                       expect=["^ReturnValue=0"])
        self.pywbemcli("instance", "get", uri(self.volume.path), status=1,
                       expect=["CIM_ERR_NOT_FOUND"])

    def run(self):
        """Both clients in turn."""
        step = self.checks.step
        for part in (self.discover_with_pywbemcli, self.read_with_pywbemcli,
                     self.provision_with_pywbemcli):
            step(part)
        if shutil.which("wbemcli"):
            step(self.read_with_wbemcli)
            step(self.provision_with_wbemcli)
        else:
            self.checks.that(False, "wbemcli is installed (Debian package sblim-wbemcli)")
        step(self.finish)


def main():
    chosen = options(__doc__)
    checks = Checks("cli_clients", chosen.verbose)
    for url in chosen.urls:
        checks.section(url)
        clients = checks.step(Clients, checks, chosen, url)
        if clients is not None:
            clients.run()
    return checks.finish()


if __name__ == "__main__":
    sys.exit(main())
