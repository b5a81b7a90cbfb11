//! The key patterns that most classes share.

use crate::cim::Keys;

use super::view::View;

/// The class of the array's system.
pub(super) const SYSTEM_CLASS: &str = "Standpipe_ComputerSystem";

/// `InstanceID` alone.
pub(super) fn instance_id(id: impl Into<String>) -> Keys {
    [("InstanceID", id.into())].into_iter().collect()
}

/// System, class and `DeviceID`: devices of the array.
pub(super) fn device(view: &View, class: &str, id: &str) -> Keys {
    scoped(SYSTEM_CLASS, &view.inventory.system.name, class, "DeviceID", id)
}

/// System, class and `Name`: services and access points of the array.
pub(super) fn named(view: &View, class: &str, name: &str) -> Keys {
    scoped(SYSTEM_CLASS, &view.inventory.system.name, class, "Name", name)
}

/// System, class and one more key.
pub(super) fn scoped(system_class: &str, system: &str, class: &str, key: &str, id: &str) -> Keys {
    [
        ("SystemCreationClassName", system_class),
        ("SystemName", system),
        ("CreationClassName", class),
        (key, id),
    ]
    .into_iter()
    .collect()
}
