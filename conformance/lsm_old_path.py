"""The path that libstoragemgmt's SMI-S plug-in takes on arrays without masking groups.

There an access group is a masking view: found from the ControllerConfigurationService, changed by
ExposePaths and HidePaths, and never made by the plug-in. It takes this path only where group masking
is not advertised; its calls must work all the same, and tell what the group path tells.
"""

import pywbem

from lsm_client import INITIATOR, VOLUME, Refused

CONTROLLER = ["DeviceID", "ElementName", "StorageID", "EMCAdapterRole", "SystemName"]


class OldPath:
    """The commands of sections 7.14, 7.17, 7.20 and 7.21, old path."""

    def __init__(self, plugin):
        self.plugin = plugin

    def access_groups(self, system_id):
        """(controller, initiators) of every masking view."""
        service = self._service(system_id)
        return [
            (view, self.initiators(view.path))
            for view in self.plugin.associators(
                service, "CIM_ConcreteDependency", "CIM_SCSIProtocolController", CONTROLLER)
        ]

    def _service(self, system_id):
        return self.plugin.service("CIM_ControllerConfigurationService", system_id)

    def initiators(self, view):
        """The initiators of a view: directly where the profile is new enough, else by privileges."""
        found = []
        if self.plugin.has("Masking and Mapping", (1, 6)):
            found = self.plugin.associators(
                view, "CIM_AssociatedPrivilege", "CIM_StorageHardwareID", INITIATOR)
        found = found or self._by_privileges(view)
        return sorted(item["StorageID"] for item in found)

    def _by_privileges(self, view):
        return [
            subject
            for privilege in self.plugin.names(
                view, "CIM_AuthorizedTarget", "CIM_AuthorizedPrivilege")
            for subject in self.plugin.associators(
                privilege, "CIM_AuthorizedSubject", "CIM_StorageHardwareID", INITIATOR)
        ]

    def initiators_by_privileges(self, view):
        """What a plug-in finds that does not know the direct way."""
        return sorted(item["StorageID"] for item in self._by_privileges(view))

    def volumes_accessible(self, view):
        """The volumes of a view."""
        return self.plugin.associators(
            view, "CIM_ProtocolControllerForUnit", "CIM_StorageVolume", VOLUME)

    def groups_granted(self, volume):
        """The views of a volume."""
        return self.plugin.associators(
            volume, "CIM_ProtocolControllerForUnit", "CIM_SCSIProtocolController", CONTROLLER)

    def _call(self, method, system_id, **parameters):
        code, outputs = self.plugin.connection.InvokeMethod(
            method, self._service(system_id), **parameters)
        if code not in (0, 4096):
            raise Refused(f"PLUGIN_BUG rc={code}")
        return outputs

    def mask(self, view, volume, system_id):
        """7.20."""
        if not self.initiators(view):
            raise Refused("EMPTY_ACCESS_GROUP")
        if volume["DeviceID"] in [item["DeviceID"] for item in self.volumes_accessible(view)]:
            raise Refused("NO_STATE_CHANGE")
        name = self.plugin.get(volume, ["Name"])["Name"]
        self._call("ExposePaths", system_id, LUNames=[name], ProtocolControllers=[view],
                   DeviceAccesses=[pywbem.Uint16(2)])

    def unmask(self, view, volume, system_id):
        """7.20."""
        names = [item["Name"] for item in self.volumes_accessible(view)
                 if item["DeviceID"] == volume["DeviceID"]]
        if not names:
            raise Refused("NO_STATE_CHANGE")
        self._call("HidePaths", system_id, LUNames=names, ProtocolControllers=[view])

    def initiator_add(self, view, initiator, system_id):
        """7.21: the output must hold exactly one controller."""
        self.plugin.hardware_id(initiator, system_id)
        outputs = self._call("ExposePaths", system_id, InitiatorPortIDs=[initiator],
                             ProtocolControllers=[view])
        (back,) = outputs["ProtocolControllers"]
        return self.plugin.get(back, CONTROLLER)

    def initiator_delete(self, view, initiator, system_id):
        """7.21."""
        self._call("HidePaths", system_id, InitiatorPortIDs=[initiator],
                   ProtocolControllers=[view])
