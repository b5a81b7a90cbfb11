"""What a console does with the volumes of a pool, as parts of the story of an array's capacity.

Each part is a function of that story (`storage.Storage`), which has a pool of five disks called `gold`
with nothing in it, before and afterwards.
"""

import urllib.parse

import pywbem

import scenario
from harness import (
    ALREADY_EXISTS, DONE, FAILED, INVALID_PARAMETER, MIB, NOT_FOUND, NOT_SUPPORTED, SIZE_NOT_SUPPORTED,
    invoke,
)

#: Names that LVM allows neither for a volume nor, as they are, in a tag.
NAMES = ["Lohn/Gehalt 2026, \u201ealt\u201c @ 100 %", "\u65e5\u672c\u8a9e \U0001f4be \u0645\u062c\u0644\u062f", "-lv_name=[x];$(reboot)"]


def several(story):
    """Several mirrors come and go in one call; all of them, or none."""
    checks, names = story.checks, ["first", "second", "third"]
    goal = story.goal(story.group, 1, 2, 1)
    make = dict(ElementType=pywbem.Uint16(2), InPools=[story.group], Size=pywbem.Uint64(12 * MIB),
                Goal=goal)
    code, outputs = invoke(story.connection, "CreateElementsFromStoragePools",
                           story.array.configuration, ElementNames=names,
                           ElementCount=pywbem.Uint64(3), **make)
    checks.equal(code, DONE, "three volumes are made by one call")
    volumes = {v["ElementName"]: v for v in story.array.enumerate("CIM_StorageVolume")}
    checks.equal(sorted(volumes), names, "each has its name")

    def listed():
        rows = story.report("lvs -o lv_uuid,segtype,lv_size gold")
        return {row["lv_uuid"]: (row["segtype"], int(row["lv_size"])) for row in rows}

    made = listed()
    checks.equal(made, {v["DeviceID"]: ("raid1", 12 * MIB) for v in volumes.values()},
                 "lvs shows three mirrors of that size")
    if outputs.get("TheElements") is not None:
        checks.equal([path.keybindings["DeviceID"] for path in outputs["TheElements"]],
                     [volumes[name]["DeviceID"] for name in names], "they are told in their order")
    for volume in volumes.values():
        top, disks = story.lv(volume)
        flat = [disk for leg in disks for disk in leg]
        checks.equal((len(flat), len(set(flat))), (2, 2),
                     f"{volume['ElementName']} has two legs on two disks")
    create = story.connection.InvokeMethod, "CreateElementsFromStoragePools", story.array.configuration
    checks.refuses(ALREADY_EXISTS, "one name that is taken refuses all", *create,
                   ElementNames=["fourth", "second"], ElementCount=pywbem.Uint64(2), **make)
    free = story.fresh(story.group)["RemainingManagedSpace"]
    code, outputs = story.connection.InvokeMethod(
        *create[1:], ElementNames=["fourth", "fifth"],
        **{**make, "Size": pywbem.Uint64(free // 3)})
    checks.equal(code, SIZE_NOT_SUPPORTED, "two that do not fit together are refused with a size")
    checks.that(0 < outputs["Size"] < free // 3, "which is a smaller one", str(outputs))
    checks.equal(listed(), made, "lvs shows that none was made")

    paths = [volumes[name].path for name in names]
    back = story.connection.InvokeMethod, "ReturnElementsToStoragePool", story.array.configuration
    story.show(volumes["third"])
    checks.refuses(FAILED, "one that is shown refuses all", *back, TheElements=paths)
    gone = paths[0].copy()
    gone["DeviceID"] = "none"
    checks.refuses(NOT_FOUND, "and so does one that is not there", *back, TheElements=[paths[0], gone])
    checks.equal(listed(), made, "lvs shows that none has gone")
    story.hide()
    code, _ = invoke(story.connection, "ReturnElementsToStoragePool", story.array.configuration,
                     TheElements=paths)
    checks.equal((code, listed()), (DONE, {}), "all three go by one call")
    story.connection.DeleteInstance(goal)


def again(story, shrinks):
    """Restarts the gateway, with another word about shrinking."""
    story.checks.that("panicked" not in story.stop(), "nothing panicked")
    story.run(f"sed -i 's/^allow_shrink = .*/allow_shrink = {str(shrinks).lower()}/' "
              f"{scenario.STATE}/standpipe.toml")
    story.serve()


def rename(story, path, name, how):
    """Renames by one of the two ways."""
    if how == "modify":
        change = pywbem.CIMInstance(path.classname, {"ElementName": name}, path=path)
        story.connection.ModifyInstance(change, PropertyList=["ElementName"])
        return
    code, _ = invoke(story.connection, "CreateOrModifyElementFromStoragePool",
                     story.array.configuration, TheElement=path, ElementName=name)
    story.checks.equal(code, DONE, "a volume is renamed")


def names(story):
    """Volumes and pools bear any name, kept in tags that LVM allows; restarts know them."""
    checks = story.checks
    _, plain = story.create("plain", 8 * MIB)
    _, born = story.create(NAMES[0], 8 * MIB)
    lv_names = {row["lv_uuid"]: row["lv_name"] for row in story.report("lvs -o lv_uuid,lv_name gold")}

    def tagged(volume):
        """What LVM keeps of its name, read as the documents say: `=` and two digits for a byte."""
        row = next(row for row in story.report("lvs -o lv_uuid,lv_name,lv_tags gold")
                   if row["lv_uuid"] == volume["DeviceID"])
        checks.equal(row["lv_name"], lv_names[row["lv_uuid"]], "LVM's own name of it stays")
        tags = [tag.removeprefix("standpipe.name=") for tag in row["lv_tags"].split(",")
                if tag.startswith("standpipe.name=")]
        return [urllib.parse.unquote(tag.replace("=", "%")) for tag in tags]

    checks.equal((born["ElementName"], tagged(born)), (NAMES[0], [NAMES[0]]),
                 "a volume is born with such a name")
    for name, how in zip([*NAMES[1:], NAMES[1]], ["modify", "method", "modify"]):
        rename(story, plain.path, name, how)
        checks.equal((story.fresh(plain)["ElementName"], tagged(plain)), (name, [name]),
                     f"it is called {name!r} now, and a tag says so")
    checks.refuses(ALREADY_EXISTS, "a name that is taken is refused", rename, story,
                   plain.path, NAMES[0], "modify")
    checks.refuses(INVALID_PARAMETER, "one that no tag can hold is refused", rename, story,
                   plain.path, "\u65e5" * 500, "modify")
    rename(story, story.group, NAMES[2], "modify")
    group = story.report("vgs -o vg_name,vg_tags")[0]
    checks.equal(group["vg_name"], "gold", "LVM's own name of the pool stays")
    again(story, shrinks=True)
    checks.equal([story.fresh(volume)["ElementName"] for volume in (plain, born)],
                 [NAMES[1], NAMES[0]], "a restart of the gateway knows the names")
    checks.equal(story.fresh(story.group)["ElementName"], NAMES[2], "and that of the pool")
    rename(story, story.group, "gold", "modify")
    for volume in (plain, born):
        story.delete(volume)


def shrinking(story):
    """A volume is made smaller only where nobody sees it and where that was asked for."""
    checks = story.checks
    _, volume = story.create("large", 32 * MIB)

    def bytes_of():
        return int(story.lv(volume)[0]["lv_size"])

    def shrink(size=16 * MIB):
        return invoke(story.connection, "CreateOrModifyElementFromStoragePool",
                      story.array.configuration, TheElement=volume.path, Size=pywbem.Uint64(size))

    def features():
        found = story.connection.Associators(
            story.group, AssocClass="CIM_ElementCapabilities",
            ResultClass="CIM_StorageConfigurationCapabilities")
        return found[0]["SupportedStorageElementFeatures"]

    story.show(volume)
    checks.that(story.disk(f"write -P 0x61 0 {32 * MIB}"), "the host writes")
    checks.refuses(FAILED, "what a host sees is not made smaller", shrink)
    checks.that(story.reads(0x61, 0, 32 * MIB), "the host reads all of it")
    story.hide()
    again(story, shrinks=False)
    checks.that(13 not in features(), "shrinking is not offered where nobody asked for it")
    checks.refuses(NOT_SUPPORTED, "and refused", shrink)
    checks.equal(bytes_of(), 32 * MIB, "lvs shows that it is as large as before")
    again(story, shrinks=True)
    checks.that(13 in features(), "it is offered where it was asked for")
    code, outputs = shrink()
    checks.equal((code, outputs.get("Size"), bytes_of()), (DONE, 16 * MIB, 16 * MIB),
                 "and then lvs shows a smaller volume")
    story.show(volume)
    checks.that(story.reads(0x61, 0, 16 * MIB), "the host reads what it wrote there")
    checks.that(not story.disk(f"read {16 * MIB} 512"), "and nothing behind its end")
    story.hide()
    grown = story.grow(volume, 32 * MIB)
    story.show(grown)
    checks.that(story.reads(0, 16 * MIB, 16 * MIB), "what was cut off does not come back")
    story.hide()
    story.delete(volume)
