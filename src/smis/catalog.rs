//! The table of kinds: which element is an instance of which class, where, and by which functions.

use std::sync::LazyLock;

use crate::broker::{Catalog, Kind, Snapshot};
use crate::schema::class;

use super::element::{Element, Tag};
use super::view::View;
use super::{ARRAY, INTEROP, NAMESPACES};
use super::{
    access, capabilities, controllers, disks, extents, fc, jobs, masking, physical, pools, ports,
    registration, relations, replication, replication_groups, server, services, sessions, settings,
    software, system, volumes,
};

static CATALOG: LazyLock<Catalog<View>> =
    LazyLock::new(|| relations::add(kinds(Catalog::new(&NAMESPACES))));

impl Snapshot for View {
    type Id = Element;
    type Tag = Tag;

    fn catalog() -> &'static Catalog<Self> {
        &CATALOG
    }

    fn tag(id: &Element) -> Tag {
        id.tag()
    }
}

/// Adds kinds to a catalog, a line each: class, tag, namespace, then the functions that list, find,
/// name and describe.
macro_rules! kinds {
    ($catalog:ident; $($class:ident, $tag:ident, $namespace:ident: $list:expr, $find:expr, $keys:expr, $fill:expr;)*) => {
        $catalog$(.kind(Kind {
            tag: Tag::$tag,
            class: class::$class,
            namespace: $namespace,
            list: $list,
            find: $find,
            keys: $keys,
            fill: $fill,
        }))*
    };
}

/// An element that is always there.
macro_rules! always {
    ($element:ident) => {
        |_| vec![Element::$element]
    };
}

/// Finds an element that is always there; the broker compares the keys.
macro_rules! only {
    ($element:ident) => {
        |_, _| Some(Element::$element)
    };
}

#[rustfmt::skip]
fn kinds(catalog: Catalog<View>) -> Catalog<View> {
    kinds! { catalog;
        Standpipe_ObjectManager, ObjectManager, INTEROP: always!(ObjectManager), only!(ObjectManager), server::manager_keys, server::fill_manager;
        Standpipe_ManagementSystem, ManagementSystem, INTEROP: always!(ManagementSystem), only!(ManagementSystem), server::system_keys, server::fill_system;
        Standpipe_Namespace, Namespace, INTEROP: server::list_namespaces, server::find_namespace, server::namespace_keys, server::fill_namespace;
        Standpipe_CIMXMLCommunicationMechanism, Mechanism, INTEROP: server::list_mechanisms, server::find_mechanism, server::mechanism_keys, server::fill_mechanism;
        Standpipe_RegisteredProfile, Specification, INTEROP: registration::list_specifications, registration::find, registration::profile_keys, registration::fill_profile;
        Standpipe_RegisteredProfile, Profile, INTEROP: registration::list_autonomous, registration::find, registration::profile_keys, registration::fill_profile;
        Standpipe_RegisteredSubProfile, SubProfile, INTEROP: registration::list_components, registration::find, registration::component_keys, registration::fill_component;
        Standpipe_SoftwareIdentity, Software, INTEROP: always!(Software), only!(Software), software::path_keys, software::fill;
        Standpipe_ComputerSystem, System, ARRAY: always!(System), only!(System), system::path_keys, system::fill;
        Standpipe_Node, Controller, ARRAY: always!(Controller), only!(Controller), controllers::path_keys, controllers::fill;
        Standpipe_Chassis, Chassis, ARRAY: always!(Chassis), only!(Chassis), physical::chassis_keys, physical::fill_chassis;
        Standpipe_Product, Product, ARRAY: always!(Product), only!(Product), physical::product_keys, physical::fill_product;
        Standpipe_Location, Location, ARRAY: always!(Location), only!(Location), physical::location_keys, physical::fill_location;
        Standpipe_SoftwareIdentity, InstalledSoftware, ARRAY: software::list, software::find, software::path_keys, software::fill;
        Standpipe_RemoteServiceAccessPoint, AccessPoint, ARRAY: access::list, access::find, access::path_keys, access::fill;
        Standpipe_PrimordialStoragePool, PrimordialPool, ARRAY: always!(PrimordialPool), only!(PrimordialPool), pools::primordial_keys, pools::fill_primordial;
        Standpipe_StoragePool, Pool, ARRAY: pools::list, pools::find, pools::path_keys, pools::fill;
        Standpipe_StorageExtent, Extent, ARRAY: extents::list, extents::find, extents::path_keys, extents::fill;
        Standpipe_DiskDrive, Drive, ARRAY: disks::list, disks::find, disks::path_keys, disks::fill;
        Standpipe_PhysicalPackage, DrivePackage, ARRAY: disks::list_packages, disks::find_package, disks::package_keys, disks::fill_package;
        Standpipe_DriveFirmware, Firmware, ARRAY: disks::list_firmware, disks::find_firmware, disks::firmware_keys, disks::fill_firmware;
        Standpipe_StorageVolume, Volume, ARRAY: volumes::list, volumes::find, volumes::path_keys, volumes::fill;
        Standpipe_StorageSetting, Setting, ARRAY: settings::list_of_volumes, settings::find, settings::path_keys, settings::fill;
        Standpipe_StorageSetting, PoolSetting, ARRAY: settings::list_of_pools, settings::find, settings::path_keys, settings::fill;
        Standpipe_StorageSetting, ClientSetting, ARRAY: settings::list_of_clients, settings::find, settings::path_keys, settings::fill;
        Standpipe_StorageCapabilities, StorageCapabilities, ARRAY: capabilities::list_storage, capabilities::find_storage, capabilities::storage_keys, capabilities::fill_storage;
        Standpipe_StorageConfigurationCapabilities, ConfigurationCapabilities, ARRAY: capabilities::list_configuration, capabilities::find_configuration, capabilities::configuration_keys, capabilities::fill_configuration;
        Standpipe_StorageConfigurationService, StorageService, ARRAY: always!(StorageService), only!(StorageService), services::storage_keys, services::fill_storage;
        Standpipe_SpareConfigurationService, SparingService, ARRAY: always!(SparingService), only!(SparingService), services::sparing_keys, services::fill_sparing;
        Standpipe_StorageRelocationService, RelocationService, ARRAY: always!(RelocationService), only!(RelocationService), services::relocation_keys, services::fill_relocation;
        Standpipe_ReplicationService, ReplicationService, ARRAY: always!(ReplicationService), only!(ReplicationService), services::replication_keys, services::fill_replication;
        Standpipe_ReplicationServiceCapabilities, ReplicationCapabilities, ARRAY: always!(ReplicationCapabilities), only!(ReplicationCapabilities), replication::capabilities_keys, replication::fill_capabilities;
        Standpipe_ReplicationGroup, ReplicationGroup, ARRAY: replication_groups::list, replication_groups::find, replication_groups::path_keys, replication_groups::fill;
        Standpipe_StorageHardwareIDManagementService, HardwareIdService, ARRAY: always!(HardwareIdService), only!(HardwareIdService), services::initiators_keys, services::fill_initiators;
        Standpipe_GroupMaskingMappingService, MaskingService, ARRAY: always!(MaskingService), only!(MaskingService), services::masking_keys, services::fill_masking;
        Standpipe_GroupMaskingMappingCapabilities, MaskingCapabilities, ARRAY: always!(MaskingCapabilities), only!(MaskingCapabilities), services::masking_capabilities_keys, services::fill_masking_capabilities;
        Standpipe_iSCSICapabilities, IscsiCapabilities, ARRAY: always!(IscsiCapabilities), only!(IscsiCapabilities), services::iscsi_capabilities_keys, services::fill_iscsi_capabilities;
        Standpipe_iSCSIConfigurationService, IscsiService, ARRAY: always!(IscsiService), only!(IscsiService), services::iscsi_keys, services::fill_iscsi;
        Standpipe_iSCSIConfigurationCapabilities, IscsiConfigurationCapabilities, ARRAY: always!(IscsiConfigurationCapabilities), only!(IscsiConfigurationCapabilities), services::iscsi_configuration_keys, services::fill_iscsi_configuration;
        Standpipe_InitiatorMaskingGroup, InitiatorGroup, ARRAY: masking::list_initiator_groups, masking::find_group, masking::initiator_group_keys, masking::fill_initiator_group;
        Standpipe_TargetMaskingGroup, PortGroup, ARRAY: masking::list_port_groups, masking::find_group, masking::port_group_keys, masking::fill_port_group;
        Standpipe_DeviceMaskingGroup, VolumeGroup, ARRAY: masking::list_volume_groups, masking::find_group, masking::volume_group_keys, masking::fill_volume_group;
        Standpipe_MaskingView, View, ARRAY: masking::list_views, masking::find_view, masking::view_keys, masking::fill_view;
        Standpipe_AuthorizedPrivilege, Privilege, ARRAY: masking::list_privileges, masking::find_privilege, masking::privilege_keys, masking::fill_privilege;
        Standpipe_StorageHardwareID, Initiator, ARRAY: masking::list_initiators, masking::find_initiator, masking::initiator_keys, masking::fill_initiator;
        Standpipe_iSCSINode, Node, ARRAY: ports::list_nodes, ports::find_node, ports::node_keys, ports::fill_node;
        Standpipe_iSCSIProtocolEndpoint, Endpoint, ARRAY: ports::list_endpoints, ports::find_endpoint, ports::endpoint_keys, ports::fill_endpoint;
        Standpipe_SCSIProtocolEndpoint, FcEndpoint, ARRAY: fc::list_endpoints, ports::find_endpoint, fc::endpoint_keys, fc::fill_endpoint;
        Standpipe_FCPort, FcPort, ARRAY: fc::list_ports, fc::find_port, fc::port_keys, fc::fill_port;
        Standpipe_TCPProtocolEndpoint, Tcp, ARRAY: ports::list_tcp, ports::find_tcp, ports::tcp_keys, ports::fill_tcp;
        Standpipe_IPProtocolEndpoint, Ip, ARRAY: ports::list_ip, ports::find_ip, ports::ip_keys, ports::fill_ip;
        Standpipe_EthernetPort, Ethernet, ARRAY: ports::list_ethernet, ports::find_ethernet, ports::ethernet_keys, ports::fill_ethernet;
        Standpipe_iSCSISession, Session, ARRAY: sessions::list, sessions::find, sessions::path_keys, sessions::fill;
        Standpipe_iSCSIConnection, Connection, ARRAY: sessions::list_connections, sessions::find_connection, sessions::connection_keys, sessions::fill_connection;
        Standpipe_ConcreteJob, Job, ARRAY: jobs::list, jobs::find, jobs::path_keys, jobs::fill;
        Standpipe_MethodResult, MethodResult, ARRAY: jobs::list_results, jobs::find_result, jobs::result_keys, jobs::fill_result;
    }
}
