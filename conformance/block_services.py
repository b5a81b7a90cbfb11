#!/usr/bin/env python3
"""Block Services and Thin Provisioning in depth, with pywbem; every reply is validated.

What pools say of themselves adds up; settings are made, changed and used as goals; volumes of every
RAID level that the pool's disks allow are what their goal asked for; the largest size that is offered
can be had and one step more cannot; pools are made from free extents and in other pools, grown,
renamed and deleted; thin volumes come from thin pools only. Everything wrong is refused with a
sentence. Where the environment names a file of events in STANDPIPE_EVENTS, as `standpipe demo --events`
reads it, a drive fails and is repaired, and a thin pool fills up. The server is left as it was found. Runs once
per URL.
"""

import os
import sys
import uuid

import pywbem

from block_pools import Pools
from discovery import discover
from harness import (
    ALREADY_EXISTS, DONE, FAILED, INVALID_PARAMETER, JOB_STARTED, MIB, NOT_FOUND, NOT_SUPPORTED,
    SIZE_NOT_SUPPORTED, Checks, connect, contains, differences, everything, finished_job,
    invoke, options, same,
)
from mishaps import Mishaps
from terms import (
    FULL_VOLUME, SIZE_OF_POOL, SIZE_OF_THIN, SIZE_OF_VOLUME, THIN_VOLUME, U16, U64, VOLUME,
)

# What a pool answers about sizes.
USE_RANGE, INVALID_TYPE = 2, 3

# RequestedState that stops a job, and its JobState then.
TERMINATE, TERMINATED = 4, 8

# Goals by the common RAID levels: PackageRedundancy, DataRedundancy, ExtentStripeLength; then the
# disks that they need.
LEVELS = {
    "RAID 0": ((0, 1, 2), 2),
    "RAID 1": ((1, 2, 1), 2),
    "RAID 1 of three": ((2, 3, 1), 3),
    "RAID 10": ((1, 2, 2), 4),
    "RAID 5": ((1, 1, 3), 3),
    "RAID 5 over four": ((1, 1, 4), 4),
    "RAID 6": ((2, 1, 5), 5),
}


class Run(Pools):
    """One run over one URL."""

    def __init__(self, checks, connection):
        self.checks = checks
        self.connection = connection
        self.tag = uuid.uuid4().hex[:8]
        self.array = array = discover(connection)
        self.service = array.configuration
        self.settings = []
        self.made = []

    # --- looking --------------------------------------------------------------------------------

    def capabilities(self, pool, classname):
        """The capabilities of a pool, of that class, as one instance."""
        found = self.connection.Associators(
            pool, AssocClass="CIM_ElementCapabilities", ResultClass=classname)
        self.checks.equal(len(found), 1, f"one {classname} of {pool['InstanceID']}")
        return found[0]

    def types(self, pool):
        """What a pool makes."""
        abilities = self.capabilities(pool, "CIM_StorageConfigurationCapabilities")
        return abilities["SupportedStorageElementTypes"]

    def groups(self):
        """The pools that make fully provisioned volumes, the one with most disks first."""
        pools = [pool.path for pool in self.array.pools() if VOLUME in self.types(pool.path)]
        return sorted(pools, key=lambda pool: -len(self.extents(pool)))

    def extents(self, pool):
        """The extents that a pool lies on."""
        return self.connection.AssociatorNames(
            pool, AssocClass="CIM_AssociatedComponentExtent", Role="GroupComponent")

    def free_extents(self):
        """What pools can be made from."""
        primordial = self.array.pools(primordial=True)[0].path
        code, outputs = self.connection.InvokeMethod("GetAvailableExtents", primordial)
        self.checks.equal(code, DONE, "the primordial pool lists its free extents")
        return outputs["AvailableExtents"] or []

    def sums(self):
        """Total is what remains and what was taken; every element comes from one pool."""
        checks, connection = self.checks, self.connection
        for pool in [*self.array.pools(), *self.array.pools(primordial=True)]:
            name = pool["ElementName"]
            shares = connection.References(
                pool.path, ResultClass="CIM_AllocatedFromStoragePool", Role="Antecedent")
            known = [share["SpaceConsumed"] for share in shares
                     if share.get("SpaceConsumed") is not None]
            if len(known) == len(shares):
                checks.equal(pool["TotalManagedSpace"] - sum(known), pool["RemainingManagedSpace"],
                             f"{name}: what is not taken remains")
            thin = pool.get("SpaceLimitDetermination") is not None
            for share in shares:
                if thin:
                    checks.that(share["SpaceLimit"] >= (share.get("SpaceConsumed") or 0),
                                f"{name}: no thin volume has taken more than its limit")
                parents = connection.AssociatorNames(
                    share["Dependent"], AssocClass="CIM_AllocatedFromStoragePool",
                    Role="Dependent")
                checks.equal(len(parents), 1, f"{share['Dependent']} comes from one pool")
            for text in ("StatusDescriptions", "ReservedSpace"):
                checks.that(text not in pool or pool[text] is not None, f"{name}: no NULL {text}")

    def extent_facts(self):
        """Extents of drives are primordial, and the primordial pool knows them."""
        checks, connection = self.checks, self.connection
        primordial = self.array.pools(primordial=True)[0]
        counted = self.extents(primordial.path)
        size = 0
        for extent in self.array.enumerate("CIM_StorageExtent"):
            if extent.classname.endswith("StorageVolume"):
                continue
            name = extent["DeviceID"]
            for prop in ("Primordial", "BlockSize", "NumberOfBlocks", "ConsumableBlocks",
                         "ExtentStatus", "OperationalStatus", "Name", "ExtentDiscriminator"):
                checks.that(extent.get(prop) is not None, f"{name} has {prop}")
            checks.that(extent["ConsumableBlocks"] <= extent["NumberOfBlocks"],
                        f"{name} has no more to give than it has")
            checks.equal("SNIA:DiskDrive" in extent["ExtentDiscriminator"], extent["Primordial"],
                         f"{name}: a drive's extent is primordial")
            if contains(counted, extent.path):
                size += extent["BlockSize"] * extent["NumberOfBlocks"]
        checks.equal(size, primordial["TotalManagedSpace"], "the primordial pool is its extents")
        for pool in self.groups():
            for extent in self.extents(pool):
                owners = connection.AssociatorNames(
                    extent, AssocClass="CIM_ConcreteComponent", ResultClass="CIM_StoragePool")
                checks.that(contains(owners, pool), "an extent knows its pool")

    # --- settings -------------------------------------------------------------------------------

    def setting(self, pool, kind=3):
        """A new setting from the capabilities of a pool."""
        abilities = self.capabilities(pool, "CIM_StorageCapabilities")
        code, outputs = self.connection.InvokeMethod(
            "CreateSetting", abilities.path, SettingType=U16(kind))
        self.checks.equal(code, DONE, "a setting is created")
        path = outputs["NewSetting"]
        self.settings.append(path)
        made_from = self.connection.AssociatorNames(
            path, AssocClass="CIM_StorageSettingsGeneratedFromCapabilities")
        self.checks.that(len(made_from) == 1 and same(made_from[0], abilities.path),
                         "it knows what it was made from")
        return path

    def change(self, setting, **values):
        """Change a setting."""
        instance = pywbem.CIMInstance(setting.classname, values, path=setting)
        self.connection.ModifyInstance(instance, PropertyList=list(values))

    def goal(self, pool, survives, copies, stripe_length):
        """A setting that asks for that."""
        setting = self.setting(pool)
        self.change(setting, PackageRedundancyGoal=U16(survives), DataRedundancyGoal=U16(copies),
                    ExtentStripeLength=U16(stripe_length))
        return setting

    def client_settings(self):
        """Settings are made, changed and deleted; what contradicts itself is refused."""
        checks, connection = self.checks, self.connection
        pool = self.groups()[0]
        abilities = self.capabilities(pool, "CIM_StorageCapabilities")
        setting = self.setting(pool)
        instance = connection.GetInstance(setting)
        for what in ("DataRedundancy", "PackageRedundancy"):
            checks.equal(
                [instance[f"{what}{end}"] for end in ("Min", "Max", "Goal")],
                [abilities[f"{what}{end}"] for end in ("Min", "Max", "Default")],
                f"{what} of a goal covers what the pool can do")
        checks.equal(instance["ChangeableType"], 1, "it is transient")
        narrow = connection.GetInstance(self.setting(pool, kind=2))
        checks.equal(
            [narrow[f"DataRedundancy{end}"] for end in ("Min", "Max", "Goal")],
            3 * [abilities["DataRedundancyDefault"]], "a setting of defaults is nothing else")
        self.change(setting, ElementName=f"goal-{self.tag}", ChangeableType=U16(2),
                    PackageRedundancyGoal=U16(1), DataRedundancyGoal=U16(2))
        instance = connection.GetInstance(setting)
        checks.equal(
            (instance["ElementName"], instance["ChangeableType"],
             instance["PackageRedundancyGoal"]), (f"goal-{self.tag}", 2, 1), "it is changed")
        for text, values in (
            ("a goal above its maximum", {"DataRedundancyMax": U16(1)}),
            ("what no layout gives",
             {"PackageRedundancyGoal": U16(2), "DataRedundancyGoal": U16(2)}),
            ("an empty name", {"ElementName": ""}),
            ("a fixed setting", {"ChangeableType": U16(0)}),
            ("a property that cannot change", {"SpaceLimit": U64(1)}),
            ("a goal of nothing",
             {"DataRedundancyGoal": pywbem.CIMProperty("DataRedundancyGoal", None, "uint16")}),
        ):
            checks.refuses((INVALID_PARAMETER, NOT_SUPPORTED), f"{text} is refused",
                           self.change, setting, **values)
        checks.equal(connection.GetInstance(setting).items(), instance.items(),
                     "and what is refused changes nothing")
        default = connection.Associators(
            abilities.path, AssocClass="CIM_StorageSettingsAssociatedToCapabilities")
        checks.equal([item["ChangeableType"] for item in default], [0],
                     "the pool has one fixed default setting")
        checks.refuses(NOT_SUPPORTED, "a fixed setting is not changed",
                       self.change, default[0].path, DataRedundancyGoal=U16(2))
        checks.refuses(NOT_SUPPORTED, "a fixed setting is not deleted",
                       connection.DeleteInstance, default[0].path)
        lengths = connection.InvokeMethod("GetSupportedStripeLengths", abilities.path)
        checks.equal(lengths[0], 3, "stripe lengths are a range")
        code, outputs = connection.InvokeMethod("GetSupportedStripeLengthRange", abilities.path)
        checks.that(code == DONE and outputs["MinimumStripeLength"] == 1
                    and outputs["MaximumStripeLength"] <= len(self.extents(pool)),
                    "and end at the number of disks", str(outputs))
        checks.refuses(INVALID_PARAMETER, "an unknown type of setting", connection.InvokeMethod,
                       "CreateSetting", abilities.path, SettingType=U16(9))
        wish = pywbem.CIMInstance("CIM_StorageSetting", {"PackageRedundancyGoal": U16(9)})
        code, outputs = connection.InvokeMethod(
            "CreateGoalSettings", abilities.path,
            [("TemplateGoalSettings", [wish])])
        nearest = outputs["SupportedGoalSettings"][0]
        checks.that(code == 6 and nearest["PackageRedundancyGoal"] <= 2,
                    "a wish that cannot be fulfilled is answered with the nearest one",
                    f"{code} {nearest.items()}")

    def names(self):
        """Names can be given at creation and changed later, for volumes and pools."""
        checks, connection = self.checks, self.connection
        abilities = connection.AssociatorNames(
            self.service, AssocClass="CIM_ElementCapabilities",
            ResultClass="CIM_StorageConfigurationCapabilities")[0]
        for kind in (2, 5, 7):
            code, outputs = connection.InvokeMethod(
                "GetElementNameCapabilities", abilities, ElementType=U16(kind))
            checks.that(code == DONE and set(outputs["SupportedFeatures"]) == {2, 3, 4}
                        and outputs["MaxElementNameLen"] == 255, f"names of type {kind}",
                        f"{code} {outputs}")
        code, _ = connection.InvokeMethod(
            "GetElementNameCapabilities", abilities, ElementType=U16(4))
        checks.equal(code, 1, "there are no names of what is not made")

    # --- volumes --------------------------------------------------------------------------------

    def create(self, pool, name, size, kind=VOLUME, **parameters):
        """Create a volume; returns code and outputs."""
        code, outputs = invoke(
            self.connection, "CreateOrModifyElementFromStoragePool", self.service,
            ElementName=f"{name}-{self.tag}", ElementType=U16(kind), InPool=pool, Size=U64(size),
            **parameters)
        if code == DONE:
            self.made.append(outputs["TheElement"])
        return code, outputs

    def give_back(self):
        """Return every volume that was made, together."""
        if self.made:
            code, _ = invoke(self.connection, "ReturnElementsToStoragePool", self.service,
                             TheElements=self.made)
            self.checks.equal(code, DONE, f"{len(self.made)} volumes are returned together")
            for path in self.made:
                self.checks.refuses(NOT_FOUND, "a returned volume is gone",
                                    self.connection.GetInstance, path)
        self.made = []

    def levels(self):
        """A volume of each RAID level is what its goal asked for."""
        checks, connection = self.checks, self.connection
        pool = self.groups()[0]
        disks = len(self.extents(pool))
        for level, ((survives, copies, stripes), needed) in LEVELS.items():
            if needed > disks:
                continue
            goal = self.goal(pool, survives, copies, stripes)
            low, high, step = self.sizes(pool, SIZE_OF_VOLUME, goal)
            checks.that(0 < step <= low <= high, f"{level} has sizes", f"{low} {high} {step}")
            code, outputs = self.create(pool, level.replace(" ", "-"), 3 * step, Goal=goal)
            if not checks.equal(code, DONE, f"a volume of {level} is created"):
                continue
            checks.equal(outputs["Size"], 3 * step, f"{level}: whole steps stay what they are")
            volume = connection.GetInstance(outputs["TheElement"])
            checks.equal(
                (volume["PackageRedundancy"], volume["DataRedundancy"],
                 volume["ExtentStripeLength"], volume["NoSinglePointOfFailure"],
                 volume["ThinlyProvisioned"]),
                (survives, copies, stripes, survives > 0, False), f"{level} is what was asked for")
            settings = connection.Associators(volume.path, AssocClass="CIM_ElementSettingData")
            checks.equal(
                [(item["PackageRedundancyGoal"], item["DataRedundancyGoal"],
                  item["ExtentStripeLength"], item["ChangeableType"]) for item in settings],
                [(survives, copies, stripes, 0)], f"{level}: its setting says so")
            share = connection.References(
                volume.path, ResultClass="CIM_AllocatedFromStoragePool", Role="Dependent")[0]
            checks.that(share["SpaceConsumed"] >= 3 * step * copies,
                        f"{level} takes what its copies need", str(share["SpaceConsumed"]))
            code, outputs = self.create(pool, f"like-{level.replace(' ', '-')}", step,
                                        Goal=settings[0].path)
            twin = connection.GetInstance(outputs["TheElement"]) if code == DONE else {}
            checks.equal(
                (code, twin.get("PackageRedundancy"), twin.get("ExtentStripeLength")),
                (DONE, survives, stripes), f"{level}: a volume's setting is a goal for the next")
        checks.step(self.sums)
        self.give_back()

    def copies(self):
        """A volume gains and loses a copy of its data while it is there."""
        checks, connection = self.checks, self.connection
        pool = self.groups()[0]
        if len(self.extents(pool)) < 2:
            return
        _, _, step = self.sizes(pool, SIZE_OF_VOLUME)
        _, outputs = self.create(pool, "one", 3 * step)
        volume = outputs["TheElement"]
        before = connection.GetInstance(volume)

        def change(goal, **parameters):
            return invoke(connection, "CreateOrModifyElementFromStoragePool", self.service,
                          TheElement=volume, Goal=goal, **parameters)

        for copies, survives in ((2, 1), (1, 0)):
            goal = self.goal(pool, survives, copies, 1)
            code, outputs = change(goal)
            if not checks.equal((code, outputs.get("TheElement")), (DONE, volume),
                                f"a volume of {copies} copies is made of it"):
                continue
            now = connection.GetInstance(volume)
            checks.equal((now["DataRedundancy"], now["PackageRedundancy"],
                          now["NoSinglePointOfFailure"]), (copies, survives, survives > 0),
                         f"it says that it has {copies}")
            checks.equal((now["Name"], now["NumberOfBlocks"]),
                         (before["Name"], before["NumberOfBlocks"]), "and is the same otherwise")
            settings = connection.Associators(volume, AssocClass="CIM_ElementSettingData")
            checks.equal([item["DataRedundancyGoal"] for item in settings], [copies],
                         "its setting says so")
        checks.refuses(NOT_SUPPORTED, "redundancy and size are not changed together", change,
                       self.goal(pool, 1, 2, 1), Size=U64(6 * step))
        checks.refuses(NOT_SUPPORTED, "what is no matter of copies is refused", change,
                       self.goal(pool, 0, 1, 2))
        abilities = self.capabilities(pool, "CIM_StorageConfigurationCapabilities")
        checks.that(11 in abilities["SupportedStorageElementFeatures"],
                    "the pool says that qualities can be changed")
        self.give_back()

    def sizes(self, pool, kind, goal=None):
        """Smallest, largest and step."""
        more = {} if goal is None else {"Goal": goal}
        code, outputs = self.connection.InvokeMethod(
            "GetSupportedSizeRange", pool, ElementType=U16(kind), **more)
        if code != DONE:
            raise LookupError(f"GetSupportedSizeRange answered {code}")
        return (outputs["MinimumVolumeSize"], outputs["MaximumVolumeSize"],
                outputs["VolumeSizeDivisor"])

    def largest(self, pool, kind, element_type, goal=None):
        """The largest size can be had, and one step more cannot."""
        checks = self.checks
        more = {} if goal is None else {"Goal": goal}
        code, _ = self.connection.InvokeMethod("GetSupportedSizes", pool, ElementType=U16(kind))
        checks.equal(code, USE_RANGE, "sizes are a range")
        _, high, step = self.sizes(pool, kind, goal)
        code, outputs = self.create(pool, "too-large", high + step, element_type, **more)
        checks.equal((code, outputs.get("Size")), (SIZE_NOT_SUPPORTED, high),
                     "one step more is refused with the largest size")
        code, outputs = self.connection.InvokeMethod(
            "CreateOrModifyElementFromStoragePool", self.service, ElementName=f"all-{self.tag}",
            ElementType=U16(element_type), InPool=pool, Size=U64(high), **more)
        checks.that(code in (DONE, JOB_STARTED), "the largest size can be had", f"{code} {outputs}")
        if code == DONE:
            checks.equal(outputs["Size"], high, "exactly")
            self.made.append(outputs["TheElement"])
        elif code == JOB_STARTED:
            # All of it is overwritten with zeros, which nobody waits for here.
            code, _ = self.connection.InvokeMethod(
                "RequestStateChange", outputs["Job"], RequestedState=U16(TERMINATE))
            checks.equal(code, JOB_STARTED, "the job can be stopped")
            checks.equal(finished_job(self.connection, outputs["Job"])["JobState"], TERMINATED,
                         "and stops")
            self.connection.DeleteInstance(outputs["Job"])
        self.give_back()

    def limits(self):
        """The largest volume of a linear and of a mirrored goal, and a goal that no size helps."""
        pool = self.groups()[0]
        disks = len(self.extents(pool))
        wide = self.setting(pool)
        self.change(wide, ExtentStripeLengthMax=U16(disks + 1), ExtentStripeLength=U16(disks + 1))
        self.checks.refuses(FAILED, "stripes over more disks than the pool has are refused with the "
                            "reason", self.create, pool, "none", 8 * MIB, Goal=wide)
        self.largest(pool, SIZE_OF_VOLUME, VOLUME)
        self.largest(pool, SIZE_OF_VOLUME, FULL_VOLUME, self.goal(pool, 1, 2, 1))
        code, _ = self.connection.InvokeMethod(
            "GetSupportedSizes", pool, ElementType=U16(SIZE_OF_THIN))
        self.checks.equal(code, INVALID_TYPE, "a volume group has no sizes of thin volumes")

    def several(self):
        """Several volumes come and go at once; all or none."""
        checks, connection = self.checks, self.connection
        pool = self.groups()[0]
        names = [f"{part}-{self.tag}" for part in ("one", "two", "three")]
        good = {"ElementType": U16(VOLUME), "InPools": [pool], "Size": U64(8 * MIB)}
        code, outputs = invoke(connection, "CreateElementsFromStoragePools", self.service,
                               ElementNames=names, ElementCount=U64(3), **good)
        checks.equal(code, DONE, "three volumes are created together")
        volumes = outputs["TheElements"]
        checks.equal([connection.GetInstance(path)["ElementName"] for path in volumes], names,
                     "each has its name")
        refused = connection.InvokeMethod, "CreateElementsFromStoragePools", self.service
        checks.refuses(ALREADY_EXISTS, "a name that is taken refuses all", *refused,
                       ElementNames=[f"four-{self.tag}", names[0]], **good)
        checks.refuses(INVALID_PARAMETER, "too few names", *refused, ElementNames=names[:1],
                       ElementCount=U64(2), **good)
        checks.refuses(INVALID_PARAMETER, "too many volumes", *refused,
                       ElementCount=U64(1_000_000), **good)
        checks.refuses(NOT_SUPPORTED, "two pools", *refused,
                       **{**good, "InPools": self.groups()[:2]})
        gone = volumes[0].copy()
        gone["DeviceID"] = "none"
        back = connection.InvokeMethod, "ReturnElementsToStoragePool", self.service
        checks.refuses(NOT_FOUND, "a volume that does not exist refuses all", *back,
                       TheElements=[volumes[0], gone])
        checks.refuses(NOT_FOUND, "also when asked for", *back, Options=U16(3),
                       TheElements=[volumes[0], gone])
        checks.refuses(INVALID_PARAMETER, "an unknown option", *back, Options=U16(9),
                       TheElements=volumes)
        code, _ = invoke(connection, "ReturnElementsToStoragePool", self.service,
                         Options=U16(2), TheElements=[gone, *volumes])
        checks.equal(code, DONE, "it can be passed over")
        for path in volumes:
            checks.refuses(NOT_FOUND, "the others are gone", connection.GetInstance, path)

    def smaller(self):
        """A volume is not made smaller unless that is offered."""
        pool = self.groups()[0]
        features = self.capabilities(
            pool, "CIM_StorageConfigurationCapabilities")["SupportedStorageElementFeatures"]
        _, outputs = self.create(pool, "small", 64 * MIB)
        if 13 not in features:
            self.checks.refuses(
                NOT_SUPPORTED, "a volume is not made smaller", self.connection.InvokeMethod,
                "CreateOrModifyElementFromStoragePool", self.service,
                TheElement=outputs["TheElement"], Size=U64(8 * MIB))
        services = self.connection.AssociatorNames(
            self.array.system, AssocClass="CIM_HostedService",
            ResultClass="CIM_SpareConfigurationService")
        self.checks.equal(len(services), 1, "there is a service that repairs")
        self.checks.refuses(
            NOT_SUPPORTED, "a volume without redundancy is not repaired",
            self.connection.InvokeMethod, "RebuildStorageExtent", services[0],
            Target=outputs["TheElement"])
        self.give_back()

    def mishaps(self):
        """A drive fails, and what it touches is repaired; a thin pool fills up, and grows."""
        if events := os.environ.get("STANDPIPE_EVENTS"):
            mishaps = Mishaps(self, events)
            self.checks.step(mishaps.failing)
            self.checks.step(mishaps.filling)

    def clean(self):
        """The settings go; what they were is forgotten."""
        for setting in self.settings:
            self.connection.DeleteInstance(setting)
            self.checks.refuses(NOT_FOUND, "a deleted setting is gone",
                                self.connection.GetInstance, setting)

    def run(self):
        """All of it; a part that fails does not keep the others from running."""
        checks, connection = self.checks, self.connection
        namespaces = ["interop", self.array.namespace]
        before = checks.step(everything, connection, namespaces)
        for part in (self.sums, self.extent_facts, self.names, self.client_settings, self.levels,
                     self.copies, self.limits, self.several, self.smaller, self.pools,
                     self.mishaps, self.foreign):
            checks.step(part)
            checks.step(self.give_back)
        checks.step(self.clean)
        left = differences(before or {}, everything(connection, namespaces))
        checks.that(not left, "the server is as it was found", "; ".join(left[:5]))


def main():
    chosen = options(__doc__)
    checks = Checks("block_services", chosen.verbose)
    for url in chosen.urls:
        checks.section(url)
        connection = connect(chosen, url)
        Run(checks, connection).run()
        checks.valid_replies(connection)
    return checks.finish()


if __name__ == "__main__":
    sys.exit(main())
