"""Disk Drive Lite and Extent Composition: what drives say of themselves, and what lies on which."""

from harness import contains, same


def drives(checks, connection, array):
    """Every drive has one primordial extent and is found from the system, the box and its pools."""
    found = connection.Associators(
        array.system, AssocClass="CIM_SystemDevice", ResultClass="CIM_DiskDrive")
    checks.that(found, "the system has drives")
    names = [drive["Name"] for drive in found]
    checks.equal(len(names), len(set(names)), "each drive has a name of its own")
    for drive in found:
        _drive(checks, connection, drive)
    primordial = [
        extent for extent in connection.EnumerateInstances(
            "CIM_StorageExtent", namespace=array.namespace)
        if extent["Primordial"]
    ]
    checks.equal(len(primordial), len(found), "as many primordial extents as drives")
    for pool in [*array.pools(primordial=True), *array.pools()]:
        below = connection.AssociatorNames(
            pool.path, AssocClass="CIM_ConcreteDependency", ResultClass="CIM_DiskDrive",
            Role="Dependent", ResultRole="Antecedent")
        checks.that(below and all(contains([drive.path for drive in found], path)
                                  for path in below),
                    f"{pool['ElementName']} depends on drives")


def _drive(checks, connection, drive):
    """One drive with its medium, its package and its firmware."""
    name, path = drive["Name"], drive.path
    media = connection.Associators(
        path, AssocClass="CIM_MediaPresent", ResultClass="CIM_StorageExtent")
    checks.equal([medium["Primordial"] for medium in media], [True],
                 f"{name} has one extent, a primordial one")
    checks.that("SNIA:DiskDrive" in media[0]["ExtentDiscriminator"], f"{name}'s extent says so")
    size = media[0]["BlockSize"] * media[0]["NumberOfBlocks"]
    checks.equal(drive["MaxMediaSize"], size // 1000, f"{name} is as large as its medium")
    for prop in ("OperationalStatus", "DiskType", "InterconnectType", "ElementName"):
        checks.that(drive.get(prop) is not None, f"{name} has {prop}")
    checks.equal(drive["InterconnectType"] == 1, "OtherInterconnectType" in drive,
                 f"{name} names an interface that is on no list")
    packages = connection.Associators(
        path, AssocClass="CIM_Realizes", ResultClass="CIM_PhysicalPackage")
    checks.equal([package["PackageType"] for package in packages], [15], f"{name} is a thing")
    boxes = connection.AssociatorNames(
        packages[0].path, AssocClass="CIM_Container", ResultClass="CIM_Chassis")
    checks.that(len(boxes) <= 1, f"{name} is in one box at most")
    for firmware in connection.Associators(
            path, AssocClass="CIM_ElementSoftwareIdentity", ResultClass="CIM_SoftwareIdentity"):
        checks.that(firmware["VersionString"], f"{name}'s firmware has a version")
        installed = connection.AssociatorNames(
            firmware.path, AssocClass="CIM_InstalledSoftwareIdentity")
        checks.equal(installed, [], f"{name}'s firmware is not the array's")


def lies_on(checks, connection, volume, pool):
    """A volume is based on extents of its pool, within their bounds."""
    size = connection.GetInstance(volume)
    size = size["BlockSize"] * size["NumberOfBlocks"]
    components = connection.AssociatorNames(
        pool, AssocClass="CIM_AssociatedComponentExtent", ResultClass="CIM_StorageExtent")
    based = connection.References(volume, ResultClass="CIM_BasedOn", Role="Dependent")
    checks.that(based, "the volume is based on something")
    room = 0
    for link in based:
        checks.that(contains(components, link["Antecedent"]), "on an extent of its pool")
        extent = connection.GetInstance(link["Antecedent"])
        checks.that(link["StartingAddress"] <= link["EndingAddress"] < extent["NumberOfBlocks"],
                    "within that extent's bounds", str(link.items()))
        room += extent["BlockSize"] * (link["EndingAddress"] - link["StartingAddress"] + 1)
        back = connection.AssociatorNames(
            link["Antecedent"], AssocClass="CIM_BasedOn", Role="Antecedent",
            ResultRole="Dependent", ResultClass="CIM_StorageVolume")
        checks.that(any(same(path, volume) for path in back), "and is found from there")
    checks.that(room >= size, "there is room for all of it", f"{room} < {size}")
    places = [link["OrderIndex"] for link in based]
    checks.equal(sorted(places), list(range(1, len(based) + 1)), "the extents have an order")
