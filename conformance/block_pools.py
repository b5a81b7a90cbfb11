"""Pools as a client makes, grows and deletes them: the part of `block_services.py` about them."""

import pywbem

from harness import (
    ACCESS_DENIED, ALREADY_EXISTS, DONE, FAILED, INVALID_PARAMETER, MIB, NOT_FOUND,
    NOT_SUPPORTED, SIZE_NOT_SUPPORTED, contains, invoke, same,
)
from terms import FULL_VOLUME, SIZE_OF_POOL, SIZE_OF_THIN, THIN_VOLUME, U16, U64, VOLUME


class Pools:
    """What a run does with pools; `block_services.Run` is one with all that it needs."""

    def modify_pool(self, **parameters):
        """CreateOrModifyStoragePool; returns code and outputs."""
        return invoke(self.connection, "CreateOrModifyStoragePool", self.service, **parameters)

    def delete_pool(self, pool):
        """Delete a pool; it is gone then."""
        code, _ = invoke(self.connection, "DeleteStoragePool", self.service, Pool=pool)
        self.checks.equal(code, DONE, "a pool is deleted")
        self.checks.refuses(NOT_FOUND, "it is gone", self.connection.GetInstance, pool)

    def pools(self):
        """A pool is made from free extents, renamed, grown and deleted."""
        checks, connection = self.checks, self.connection
        free = self.free_extents()
        if not checks.that(len(free) >= 2, "there are free extents", str(free)):
            return
        before = connection.GetInstance(self.array.pools(primordial=True)[0].path)
        size = self.raw(free[0])
        text = free[0].to_wbem_uri(format="cimobject")
        name = f"pool-{self.tag}"
        low, high, step = self.sizes(before.path, SIZE_OF_POOL)
        checks.that(0 < step <= low <= high and high % step == 0, "pools have sizes",
                    f"{low} {high} {step}")
        checks.that(high < sum(map(self.raw, free)), "and their extents some metadata")
        code, outputs = self.modify_pool(ElementName=name, InExtents=[text], Size=U64(size))
        most = outputs.get("Size") or 0
        checks.that(code == SIZE_NOT_SUPPORTED and low <= most < size,
                    "a pool is not as large as its extents", f"{code} {most} of {size}")
        code, outputs = self.modify_pool(ElementName=name, InExtents=[text], Size=U64(most + 1))
        checks.equal((code, outputs.get("Size")), (SIZE_NOT_SUPPORTED, most),
                     "one byte more than it can have is refused with that")
        code, outputs = self.modify_pool(ElementName=name, InExtents=[text], Size=U64(most))
        if not checks.equal(code, DONE, "a pool is created"):
            return
        pool = outputs["Pool"]
        instance = connection.GetInstance(pool)
        checks.equal(instance["TotalManagedSpace"], outputs["Size"], "Size says what it became")
        checks.that(most <= outputs["Size"] <= size, "which is no less than was asked for")
        checks.equal(instance["ElementName"], name, "it has its name")
        after = connection.GetInstance(before.path)
        checks.equal(before["RemainingManagedSpace"] - after["RemainingManagedSpace"], size,
                     "the primordial pool gave its extent")
        checks.equal([same(path, free[0]) for path in self.extents(pool)], [True],
                     "the pool lies on that extent")
        checks.that(not contains(self.free_extents(), free[0]), "which is free no more")
        features = self.capabilities(pool, "CIM_StorageConfigurationCapabilities")
        checks.that({2, 3, 4} <= set(features["SupportedSynchronousActions"]),
                    "pools are made in it, it is deleted and modified")
        checks.step(self.wrong_pools, pool, free)
        change = pywbem.CIMInstance(
            pool.classname, {"ElementName": f"other-{self.tag}"}, path=pool)
        connection.ModifyInstance(change, PropertyList=["ElementName"])
        checks.equal(connection.GetInstance(pool)["ElementName"], f"other-{self.tag}",
                     "a pool is renamed")
        code, outputs = self.modify_pool(
            Pool=pool, ElementName=name, InExtents=[free[1].to_wbem_uri(format="standard")])
        checks.equal(code, DONE, "it grows by an extent, and is renamed with it")
        grown = connection.GetInstance(pool)
        checks.that(grown["TotalManagedSpace"] > instance["TotalManagedSpace"]
                    and grown["ElementName"] == name, "and says so")
        checks.equal(len(self.extents(pool)), 2, "it lies on both extents")
        checks.step(self.sums)
        checks.step(self.thin, pool)
        goals = self.settings_of(pool)
        self.delete_pool(pool)
        checks.equal(len(self.free_extents()), len(free), "its extents are free again")
        for goal in goals:
            checks.refuses(NOT_FOUND, "settings of a pool go with it", connection.GetInstance, goal)
        self.settings = [path for path in self.settings if not contains(goals, path)]

    def settings_of(self, pool):
        """The settings that were made from the capabilities of a pool."""
        abilities = self.capabilities(pool, "CIM_StorageCapabilities")
        return self.connection.AssociatorNames(
            abilities.path, AssocClass="CIM_StorageSettingsGeneratedFromCapabilities")

    def raw(self, extent):
        """Bytes of an extent."""
        instance = self.connection.GetInstance(extent)
        return instance["BlockSize"] * instance["NumberOfBlocks"]

    def wrong_pools(self, pool, free):
        """What CreateOrModifyStoragePool and DeleteStoragePool refuse."""
        checks = self.checks
        used = self.extents(pool)[0].to_wbem_uri(format="historical")
        spare = free[1].to_wbem_uri()
        primordial = self.array.pools(primordial=True)[0].path
        text = pool.to_wbem_uri()
        refused = self.connection.InvokeMethod, "CreateOrModifyStoragePool", self.service
        for codes, what, parameters in (
            (FAILED, "an extent of another pool", {"InExtents": [used]}),
            (INVALID_PARAMETER, "an extent twice", {"InExtents": [spare, spare]}),
            (INVALID_PARAMETER, "what is no path", {"InExtents": ["/dev/sdb"]}),
            (INVALID_PARAMETER, "what is no extent", {"InExtents": [text]}),
            (NOT_FOUND, "an extent that is not there",
             {"InExtents": [spare.replace('DeviceID="', 'DeviceID="x')]}),
            (INVALID_PARAMETER, "nothing to make it from", {}),
            (INVALID_PARAMETER, "only the primordial pool",
             {"InPools": [primordial.to_wbem_uri()]}),
            (NOT_SUPPORTED, "extents and a pool", {"InExtents": [spare], "InPools": [text]}),
            (INVALID_PARAMETER, "no size of a thin pool", {"InPools": [text]}),
            (ALREADY_EXISTS, "a name that is taken",
             {"InExtents": [spare], "ElementName": f"pool-{self.tag}"}),
            (INVALID_PARAMETER, "nothing to modify", {"Pool": pool}),
            (NOT_SUPPORTED, "the primordial pool", {"Pool": primordial, "ElementName": "x"}),
            (INVALID_PARAMETER, "a group by size", {"Pool": pool, "Size": U64(1 << 60)}),
            (NOT_SUPPORTED, "less than it has", {"Pool": pool, "Size": U64(1)}),
        ):
            checks.refuses(codes, f"{what} is refused", *refused, **parameters)
        checks.refuses(NOT_SUPPORTED, "the primordial pool is not deleted",
                       self.connection.InvokeMethod, "DeleteStoragePool", self.service,
                       Pool=primordial)

    def thin(self, group):
        """A thin pool in a group, and volumes in it."""
        checks, connection = self.checks, self.connection
        goal = self.setting(group)
        self.change(goal, ThinProvisionedPoolType=U16(7))
        low, high, step = self.sizes(group, SIZE_OF_POOL, goal)
        checks.that(0 < step <= low <= high, "a thin pool has sizes", f"{low} {high} {step}")
        inside = {"InPools": [group.to_wbem_uri()]}
        code, outputs = self.modify_pool(**inside, Size=U64(high + step), Goal=goal)
        checks.equal((code, outputs.get("Size")), (SIZE_NOT_SUPPORTED, high),
                     "a thin pool one step too large is refused with the largest size")
        code, outputs = self.modify_pool(**inside, Size=U64(high), Goal=goal)
        if checks.equal((code, outputs.get("Size")), (DONE, high), "the largest can be had"):
            self.delete_pool(outputs["Pool"])
        size = max(low, high // 4 // step * step)
        code, outputs = self.modify_pool(**inside, Size=U64(size), ElementName=f"thin-{self.tag}")
        if not checks.equal((code, outputs.get("Size")), (DONE, size), "a thin pool is created"):
            return
        pool = outputs["Pool"]
        instance = connection.GetInstance(pool)
        checks.equal((instance["SpaceLimitDetermination"], instance["SpaceLimit"],
                      instance["Usage"], instance["Primordial"]), (4, size, 2, False),
                     "it says that it is thin")
        for prop in ("ThinProvisionMetaDataSpace", "LowSpaceWarningThreshold"):
            checks.that(instance[prop], f"it has {prop}")
        parents = connection.AssociatorNames(
            pool, AssocClass="CIM_AllocatedFromStoragePool", Role="Dependent")
        checks.that(len(parents) == 1 and same(parents[0], group), "it comes from its group alone")
        checks.equal(self.types(pool), [THIN_VOLUME], "it makes thin volumes and nothing else")
        checks.refuses(FAILED, "a group with a thin pool is not deleted",
                       connection.InvokeMethod, "DeleteStoragePool", self.service, Pool=group)
        checks.step(self.thin_volumes, group, pool)
        code, outputs = self.modify_pool(Pool=pool, Size=U64(size + step))
        checks.equal((code, outputs.get("Size")), (DONE, size + step), "a thin pool grows")
        checks.refuses(NOT_SUPPORTED, "and does not shrink", connection.InvokeMethod,
                       "CreateOrModifyStoragePool", self.service, Pool=pool, Size=U64(size))
        self.delete_pool(pool)

    def thin_volumes(self, group, pool):
        """Thin volumes: what they are promised, what they take, what is refused."""
        checks, connection = self.checks, self.connection
        refused = connection.InvokeMethod, "CreateOrModifyElementFromStoragePool", self.service
        for kind, where in ((VOLUME, pool), (FULL_VOLUME, pool), (THIN_VOLUME, group)):
            checks.refuses(NOT_SUPPORTED, f"type {kind} in the other kind of pool", *refused,
                           ElementType=U16(kind), InPool=where, Size=U64(8 * MIB))
        checks.refuses(NOT_SUPPORTED, "more redundancy than the pool has", *refused,
                       ElementType=U16(THIN_VOLUME), InPool=pool, Size=U64(8 * MIB),
                       Goal=self.goal(group, 1, 2, 1))
        low, high, step = self.sizes(pool, SIZE_OF_THIN)
        size = connection.GetInstance(pool)["TotalManagedSpace"]
        checks.that(high >= size, "a thin volume can be larger than its pool", f"{high} {size}")
        self.largest(pool, SIZE_OF_THIN, THIN_VOLUME)
        code, outputs = self.create(pool, "thin", 2 * step, THIN_VOLUME)
        if not checks.equal((code, outputs.get("Size")), (DONE, 2 * step), "a thin volume"):
            return
        volume = outputs["TheElement"]
        checks.equal(connection.GetInstance(volume)["ThinlyProvisioned"], True, "says that it is")
        shares = connection.References(
            volume, ResultClass="CIM_AllocatedFromStoragePool", Role="Dependent")
        checks.that(len(shares) == 1 and same(shares[0]["Antecedent"], pool),
                    "it comes from the thin pool and nothing else")
        checks.equal(shares[0]["SpaceLimit"], 2 * step, "it takes at most its size")
        code, outputs = invoke(
            connection, "CreateOrModifyElementFromStoragePool", self.service,
            ElementType=U16(VOLUME), TheElement=volume, Size=U64(4 * step))
        checks.equal((code, outputs.get("Size")), (DONE, 4 * step), "it grows as any volume")
        checks.refuses(FAILED, "a pool with a volume is not deleted", connection.InvokeMethod,
                       "DeleteStoragePool", self.service, Pool=pool)
        checks.step(self.sums)
        self.give_back()

    def foreign(self):
        """A pool that somebody else made is neither renamed nor deleted."""
        for pool in self.groups():
            actions = self.capabilities(
                pool, "CIM_StorageConfigurationCapabilities")["SupportedSynchronousActions"]
            if 3 not in actions:
                self.checks.refuses(
                    (ACCESS_DENIED, FAILED), "a pool of somebody else is not deleted",
                    self.connection.InvokeMethod, "DeleteStoragePool", self.service, Pool=pool)
                change = pywbem.CIMInstance(pool.classname, {"ElementName": "mine"}, path=pool)
                self.checks.refuses(
                    ACCESS_DENIED, "nor renamed", self.connection.ModifyInstance, change,
                    PropertyList=["ElementName"])
