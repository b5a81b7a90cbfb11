//! The services of the array and what they say they can do.

use crate::array::Fabric;
use crate::schema::{Builder, PathBuilder, class};

use super::element::Element;
use super::keys::array_keys;
use super::view::View;

const MASKING_CAPABILITIES: &str = "Standpipe:GroupMaskingMappingCapabilities:array";
const ISCSI_CAPABILITIES: &str = "Standpipe:iSCSICapabilities:array";
const ISCSI_CONFIGURATION: &str = "Standpipe:iSCSIConfigurationCapabilities:array";

/// The keys and properties of a service that is always there: the same for each.
macro_rules! service {
    ($keys:ident, $fill:ident, $class:ident, $name:literal, $label:literal) => {
        pub(super) fn $keys(
            view: &View,
            _element: &Element,
            path: PathBuilder<class::$class>,
        ) -> PathBuilder<class::$class> {
            array_keys!(path, view, $class.Name, $name)
        }

        pub(super) fn $fill(
            _view: &View,
            _element: &Element,
            out: Builder<class::$class>,
        ) -> Builder<class::$class> {
            use class::$class as P;
            out.set(P::ElementName, $label)
                .set(P::OperationalStatus, [2u16])
                .set(P::HealthState, 5u16)
                .set(P::EnabledState, 2u16)
                .set(P::RequestedState, 12u16)
                .set(P::Started, true)
        }
    };
}

service!(
    storage_keys,
    fill_storage,
    Standpipe_StorageConfigurationService,
    "storage",
    "Storage configuration"
);
service!(
    sparing_keys,
    fill_sparing,
    Standpipe_SpareConfigurationService,
    "sparing",
    "Repair of volumes"
);
service!(
    relocation_keys,
    fill_relocation,
    Standpipe_StorageRelocationService,
    "relocation",
    "Relocation of storage"
);
service!(
    replication_keys,
    fill_replication,
    Standpipe_ReplicationService,
    "replication",
    "Replication"
);
service!(
    initiators_keys,
    fill_initiators,
    Standpipe_StorageHardwareIDManagementService,
    "initiators",
    "Initiator management"
);
service!(
    masking_keys,
    fill_masking,
    Standpipe_GroupMaskingMappingService,
    "masking",
    "Masking and mapping"
);
service!(
    iscsi_keys,
    fill_iscsi,
    Standpipe_iSCSIConfigurationService,
    "iscsi",
    "iSCSI configuration"
);

pub(super) fn masking_capabilities_keys(
    _view: &View,
    _element: &Element,
    path: PathBuilder<class::Standpipe_GroupMaskingMappingCapabilities>,
) -> PathBuilder<class::Standpipe_GroupMaskingMappingCapabilities> {
    path.key(
        class::Standpipe_GroupMaskingMappingCapabilities::InstanceID,
        MASKING_CAPABILITIES,
    )
}

pub(super) fn iscsi_capabilities_keys(
    _view: &View,
    _element: &Element,
    path: PathBuilder<class::Standpipe_iSCSICapabilities>,
) -> PathBuilder<class::Standpipe_iSCSICapabilities> {
    path.key(
        class::Standpipe_iSCSICapabilities::InstanceID,
        ISCSI_CAPABILITIES,
    )
}

/// What the masking methods do, as clients number it. Masking and Mapping: 2 Create
/// StorageHardwareID, 3 Create StorageHardwareID by ExposePaths, 4 Delete StorageHardwareID,
/// 11 Expose Paths, 12 Hide Paths, 17 Create ProtocolController With Ports, 18 Delete
/// ProtocolController. Group Masking and Mapping: 19 CreateGroup, 20 DeleteGroup, 21 AddMembers,
/// 22 RemoveMembers, 23 CreateMaskingView, 24 DeleteMaskingView, 25 ModifyMaskingView.
const MASKING_ACTIONS: [u16; 14] = [2, 3, 4, 11, 12, 17, 18, 19, 20, 21, 22, 23, 24, 25];

/// The fabrics over which initiators reach the array.
pub(super) fn fabrics(view: &View) -> impl Iterator<Item = Fabric> {
    let all = [Fabric::FibreChannel, Fabric::Iscsi];
    all.into_iter().filter(|fabric| reaches(view, *fabric))
}

/// Whether initiators reach the array over a fabric.
pub(super) fn reaches(view: &View, fabric: Fabric) -> bool {
    match fabric {
        // Clients can make targets where there are none.
        Fabric::Iscsi => true,
        Fabric::FibreChannel => view.inventory.fc_ports().next().is_some(),
    }
}

/// The `IDType` of a fabric's initiators: 2 PortWWN, 5 iSCSI Name.
pub(super) const fn id_type(fabric: Fabric) -> u16 {
    match fabric {
        Fabric::FibreChannel => 2,
        Fabric::Iscsi => 5,
    }
}

pub(super) fn fill_masking_capabilities(
    view: &View,
    _element: &Element,
    out: Builder<class::Standpipe_GroupMaskingMappingCapabilities>,
) -> Builder<class::Standpipe_GroupMaskingMappingCapabilities> {
    use class::Standpipe_GroupMaskingMappingCapabilities as P;
    // 2 nameable, 3 members can be added while in a view, 4 can be empty, 5 can be empty in a
    // view, 8 can be in several views, 9 can go with its last view, 10 empty means no access.
    const GROUP: [u16; 7] = [2, 3, 4, 5, 8, 9, 10];
    // 11: numbers are the same for all initiators; numbers belong to views, not to groups alone.
    const WITH_NUMBERS: [u16; 8] = [2, 3, 4, 5, 8, 9, 10, 11];
    out.set(P::ElementName, "Masking methods of the array")
        .set(P::SupportedFeatures, [2u16, 3, 4, 5])
        .set(P::SupportedInitiatorGroupFeatures, WITH_NUMBERS)
        .set(P::SupportedTargetGroupFeatures, GROUP)
        .set(P::SupportedDeviceGroupFeatures, WITH_NUMBERS)
        .set(P::SupportedSynchronousActions, MASKING_ACTIONS)
        .set(P::SupportedAsynchronousActions, Vec::<u16>::new())
        .set(
            P::ValidHardwareIdTypes,
            fabrics(view).map(id_type).collect::<Vec<_>>(),
        )
        // 3 Multiple Ports per View.
        .set(P::PortsPerView, 3u16)
        .set(P::ClientSelectableDeviceNumbers, true)
        .set(P::OneHardwareIDPerView, false)
        .set(P::UniqueUnitNumbersPerPort, false)
        .set(P::PrivilegeDeniedSupported, false)
        .set(P::ProtocolControllerRequiresAuthorizedIdentity, false)
        // Collections of registered names; initiator groups are something else.
        .set(P::ProtocolControllerSupportsCollections, false)
        // 0: a volume can be in any number of views.
        .set(P::MaximumMapCount, 0u16)
        .set(P::SPCAllowsNoLUs, true)
        .set(P::SPCAllowsNoTargets, true)
        .set(P::SPCAllowsNoInitiators, true)
        .set(P::SPCSupportsDefaultViews, false)
        .set(P::ExposePathsSupported, true)
        .set(P::ExposePathsWithNameAndHostTypeSupported, false)
        .set(P::CreateProtocolControllerSupported, true)
        .set(P::AttachDeviceSupported, false)
}

pub(super) fn fill_iscsi_capabilities(
    _view: &View,
    _element: &Element,
    out: Builder<class::Standpipe_iSCSICapabilities>,
) -> Builder<class::Standpipe_iSCSICapabilities> {
    use class::Standpipe_iSCSICapabilities as P;
    out.set(P::ElementName, "iSCSI capabilities of the array")
        .set(P::MinimumSpecificationVersionSupported, 0u8)
        .set(P::MaximumSpecificationVersionSupported, 0u8)
        // 2 iSCSI Session.
        .set(P::SupportedFeatures, [2u16])
        // None and CHAP: the administrator says in the configuration who needs it.
        .set(P::AuthenticationMethodsSupported, [2u16, 4])
}

pub(super) fn iscsi_configuration_keys(
    _view: &View,
    _element: &Element,
    path: PathBuilder<class::Standpipe_iSCSIConfigurationCapabilities>,
) -> PathBuilder<class::Standpipe_iSCSIConfigurationCapabilities> {
    path.key(
        class::Standpipe_iSCSIConfigurationCapabilities::InstanceID,
        ISCSI_CONFIGURATION,
    )
}

pub(super) fn fill_iscsi_configuration(
    _view: &View,
    _element: &Element,
    out: Builder<class::Standpipe_iSCSIConfigurationCapabilities>,
) -> Builder<class::Standpipe_iSCSIConfigurationCapabilities> {
    use class::Standpipe_iSCSIConfigurationCapabilities as P;
    out.set(P::ElementName, "iSCSI configuration methods of the array")
        .set(P::iSCSINodeCreationSupported, true)
        .set(P::iSCSIProtocolEndpointCreationSupported, true)
        // A target has one portal group, whose tag is 1.
        .set(P::IdentifierSelectionSupported, false)
}
