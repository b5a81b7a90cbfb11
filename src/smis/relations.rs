//! The table of relations: which kinds are associated by which class, each declared once.
//!
//! The first end has the fewer elements. Where a step is more than a line it is a function below.

use crate::array::GroupKind;
use crate::broker::{Catalog, End, Relation};
use crate::cim::ObjectPath;
use crate::schema::{Builder, Key, TypedClass, class};

use super::element::{Element, Scope, Tag};
use super::view::View;
use super::{ARRAY, INTEROP};
use super::{jobs, masking, pools, ports, registration, server, volumes};

type Step = fn(&View, &Element) -> Vec<Element>;

/// A relation without properties of its own.
fn plain<A: TypedClass>(
    class: A,
    namespace: crate::broker::Namespace,
    first: (Key<A, ObjectPath>, &'static [Tag], Step),
    second: (Key<A, ObjectPath>, &'static [Tag], Step),
) -> Relation<View, A> {
    let end = |(role, kinds, step)| End { role, kinds, step };
    Relation {
        class,
        namespace,
        ends: [end(first), end(second)],
        fill: |_, _, _, out| out,
    }
}

/// Adds every relation.
pub(super) fn add(catalog: Catalog<View>) -> Catalog<View> {
    let catalog = add_server(catalog);
    let catalog = add_registration(catalog);
    let catalog = add_hosting(catalog);
    let catalog = add_block_services(catalog);
    let catalog = add_capabilities(catalog);
    let catalog = add_groups(catalog);
    let catalog = add_views(catalog);
    let catalog = add_ports(catalog);
    add_jobs(catalog)
}

/// A step to one element that is always there.
macro_rules! to {
    ($element:ident) => {
        |_, _| vec![Element::$element]
    };
}

mod views;

use views::{add_groups, add_views, group_of_view, members};

fn add_server(catalog: Catalog<View>) -> Catalog<View> {
    use class::{
        CIM_CommMechanismForManager as Mechanism, CIM_HostedAccessPoint as Access,
        CIM_HostedService as Service, CIM_NamespaceInManager as Spaces,
    };
    catalog
        .relation(plain(
            Service,
            INTEROP,
            (
                Service::Antecedent,
                &[Tag::ManagementSystem],
                to!(ObjectManager),
            ),
            (
                Service::Dependent,
                &[Tag::ObjectManager],
                to!(ManagementSystem),
            ),
        ))
        .relation(plain(
            Access,
            INTEROP,
            (Access::Antecedent, &[Tag::ManagementSystem], |v, _| {
                server::list_mechanisms(v)
            }),
            (Access::Dependent, &[Tag::Mechanism], to!(ManagementSystem)),
        ))
        .relation(plain(
            Mechanism,
            INTEROP,
            (Mechanism::Antecedent, &[Tag::ObjectManager], |v, _| {
                server::list_mechanisms(v)
            }),
            (Mechanism::Dependent, &[Tag::Mechanism], to!(ObjectManager)),
        ))
        .relation(plain(
            Spaces,
            INTEROP,
            (Spaces::Antecedent, &[Tag::ObjectManager], |v, _| {
                server::list_namespaces(v)
            }),
            (Spaces::Dependent, &[Tag::Namespace], to!(ObjectManager)),
        ))
}

fn add_registration(catalog: Catalog<View>) -> Catalog<View> {
    use class::{
        CIM_ElementConformsToProfile as Conforms, CIM_ElementSoftwareIdentity as Software,
        CIM_ReferencedProfile as Referenced, CIM_SubProfileRequiresProfile as Requires,
    };
    const PROFILES: &[Tag] = &[Tag::Profile, Tag::SubProfile];
    catalog
        .relation(plain(
            Conforms,
            INTEROP,
            (
                Conforms::ConformantStandard,
                PROFILES,
                registration::central,
            ),
            (
                Conforms::ManagedElement,
                &[
                    Tag::System,
                    Tag::ObjectManager,
                    Tag::Profile,
                    Tag::SubProfile,
                    Tag::PrimordialPool,
                    Tag::Pool,
                    Tag::MaskingService,
                    Tag::IscsiCapabilities,
                    Tag::Job,
                ],
                registration::conforms_to,
            ),
        ))
        .relation(plain(
            Referenced,
            INTEROP,
            (
                Referenced::Antecedent,
                &[Tag::Profile],
                registration::components,
            ),
            (
                Referenced::Dependent,
                &[Tag::SubProfile],
                registration::referencing,
            ),
        ))
        .relation(plain(
            Requires,
            INTEROP,
            (
                Requires::Antecedent,
                &[Tag::Profile],
                registration::components,
            ),
            (
                Requires::Dependent,
                &[Tag::SubProfile],
                registration::referencing,
            ),
        ))
        .relation(plain(
            Software,
            INTEROP,
            (Software::Antecedent, &[Tag::Software], |v, _| {
                let mut all = registration::list_autonomous(v);
                all.extend(registration::list_components(v));
                all
            }),
            (Software::Dependent, PROFILES, to!(Software)),
        ))
}

/// What the array's system holds.
fn add_hosting(catalog: Catalog<View>) -> Catalog<View> {
    use class::{
        CIM_HostedAccessPoint as Access, CIM_HostedCollection as Collection,
        CIM_HostedService as Service, CIM_HostedStoragePool as Pool, CIM_SystemDevice as Device,
    };
    const SYSTEM: &[Tag] = &[Tag::System];
    let services: Step = |_, _| {
        vec![
            Element::StorageService,
            Element::HardwareIdService,
            Element::MaskingService,
        ]
    };
    catalog
        .relation(plain(
            Service,
            ARRAY,
            (Service::Antecedent, SYSTEM, services),
            (
                Service::Dependent,
                &[
                    Tag::StorageService,
                    Tag::HardwareIdService,
                    Tag::MaskingService,
                ],
                to!(System),
            ),
        ))
        .relation(plain(
            Pool,
            ARRAY,
            (Pool::GroupComponent, SYSTEM, |v, _| {
                let mut all = vec![Element::PrimordialPool];
                all.extend(pools::list(v));
                all
            }),
            (
                Pool::PartComponent,
                &[Tag::PrimordialPool, Tag::Pool],
                to!(System),
            ),
        ))
        .relation(plain(
            Device,
            ARRAY,
            (Device::GroupComponent, SYSTEM, devices),
            (
                Device::PartComponent,
                &[Tag::Volume, Tag::View, Tag::Node, Tag::Ethernet],
                to!(System),
            ),
        ))
        .relation(plain(
            Access,
            ARRAY,
            (Access::Antecedent, SYSTEM, access_points),
            (
                Access::Dependent,
                &[Tag::Endpoint, Tag::Tcp, Tag::Ip],
                to!(System),
            ),
        ))
        .relation(plain(
            Collection,
            ARRAY,
            (Collection::Antecedent, SYSTEM, groups),
            (
                Collection::Dependent,
                &[Tag::InitiatorGroup, Tag::PortGroup, Tag::VolumeGroup],
                to!(System),
            ),
        ))
}

fn devices(view: &View, _system: &Element) -> Vec<Element> {
    let mut all = volumes::list(view);
    all.extend(masking::list_views(view));
    all.extend(ports::list_nodes(view));
    all.extend(ports::list_ethernet(view));
    all
}

fn access_points(view: &View, _system: &Element) -> Vec<Element> {
    let mut all = ports::list_endpoints(view);
    all.extend(ports::list_tcp(view));
    all.extend(ports::list_ip(view));
    all
}

fn groups(view: &View, _system: &Element) -> Vec<Element> {
    let groups = view.inventory.groups();
    groups
        .map(|group| Element::Group(group.members.kind(), group.id))
        .collect()
}

fn add_block_services(catalog: Catalog<View>) -> Catalog<View> {
    use class::{CIM_AllocatedFromStoragePool as Allocated, CIM_ElementSettingData as Setting};
    catalog
        .relation(Relation {
            class: Allocated,
            namespace: ARRAY,
            ends: [
                End {
                    role: Allocated::Antecedent,
                    kinds: &[Tag::PrimordialPool],
                    step: |v, _| pools::list(v),
                },
                End {
                    role: Allocated::Dependent,
                    kinds: &[Tag::Pool],
                    step: to!(PrimordialPool),
                },
            ],
            fill: |v, _, pool, out| match pools::pool_of(v, pool) {
                Some(pool) => out.set(Allocated::SpaceConsumed, pools::taken_from_disks(v, pool)),
                None => out,
            },
        })
        .relation(Relation {
            class: Allocated,
            namespace: ARRAY,
            ends: [
                End {
                    role: Allocated::Antecedent,
                    kinds: &[Tag::Pool],
                    step: volumes_of_pool,
                },
                End {
                    role: Allocated::Dependent,
                    kinds: &[Tag::Volume],
                    step: pool_of_volume,
                },
            ],
            fill: |v, _, volume, out| match volume_at(v, volume) {
                Some(volume) => out.set(Allocated::SpaceConsumed, volume.consumed),
                None => out,
            },
        })
        .relation(Relation {
            class: Setting,
            namespace: ARRAY,
            ends: [
                End {
                    role: Setting::ManagedElement,
                    kinds: &[Tag::Volume],
                    step: |_, volume| match volume {
                        Element::Volume(id) => vec![Element::Setting(id.clone())],
                        _ => Vec::new(),
                    },
                },
                End {
                    role: Setting::SettingData,
                    kinds: &[Tag::Setting],
                    step: |_, setting| match setting {
                        Element::Setting(id) => vec![Element::Volume(id.clone())],
                        _ => Vec::new(),
                    },
                },
            ],
            fill: |_, _, _, out: Builder<Setting>| {
                out.set(Setting::IsDefault, 1u16)
                    .set(Setting::IsCurrent, 1u16)
            },
        })
}

fn volume_at<'a>(view: &'a View, element: &Element) -> Option<&'a crate::array::Volume> {
    match element {
        Element::Volume(id) => volumes::volume(view, id).map(|v| &**v),
        _ => None,
    }
}

fn volumes_of_pool(view: &View, pool: &Element) -> Vec<Element> {
    let Element::Pool(id) = pool else {
        return Vec::new();
    };
    let volumes = view
        .inventory
        .volumes_in(id)
        .filter(|volume| volume.job.is_none());
    volumes
        .map(|volume| Element::Volume(volume.id.clone()))
        .collect()
}

fn pool_of_volume(view: &View, volume: &Element) -> Vec<Element> {
    volume_at(view, volume)
        .map(|v| Element::Pool(v.pool.clone()))
        .into_iter()
        .collect()
}

/// Capabilities: of the array's services and system, and of each pool.
fn add_capabilities(catalog: Catalog<View>) -> Catalog<View> {
    use class::CIM_ElementCapabilities as Capable;
    catalog.relation(plain(
        Capable,
        ARRAY,
        (
            Capable::ManagedElement,
            &[
                Tag::Pool,
                Tag::StorageService,
                Tag::System,
                Tag::MaskingService,
            ],
            capabilities,
        ),
        (
            Capable::Capabilities,
            &[
                Tag::StorageCapabilities,
                Tag::ConfigurationCapabilities,
                Tag::MaskingCapabilities,
                Tag::IscsiCapabilities,
            ],
            capable,
        ),
    ))
}

fn capabilities(_view: &View, element: &Element) -> Vec<Element> {
    let scope = match element {
        Element::Pool(id) => Scope::Pool(id.clone()),
        Element::StorageService => Scope::Array,
        // Clients look for the masking capabilities at the system.
        Element::System => return vec![Element::MaskingCapabilities, Element::IscsiCapabilities],
        Element::MaskingService => return vec![Element::MaskingCapabilities],
        _ => return Vec::new(),
    };
    vec![
        Element::StorageCapabilities(scope.clone()),
        Element::ConfigurationCapabilities(scope),
    ]
}

fn capable(_view: &View, element: &Element) -> Vec<Element> {
    match element {
        Element::StorageCapabilities(scope) | Element::ConfigurationCapabilities(scope) => {
            vec![match scope {
                Scope::Array => Element::StorageService,
                Scope::Pool(id) => Element::Pool(id.clone()),
            }]
        }
        Element::MaskingCapabilities => vec![Element::System, Element::MaskingService],
        Element::IscsiCapabilities => vec![Element::System],
        _ => Vec::new(),
    }
}

/// The chain of endpoints: target and view, port, TCP, IP, interface.
fn add_ports(catalog: Catalog<View>) -> Catalog<View> {
    use class::{
        CIM_BindsTo as Binds, CIM_DeviceSAPImplementation as Implements,
        CIM_SAPAvailableForElement as Available,
    };
    catalog
        .relation(plain(
            Available,
            ARRAY,
            (
                Available::AvailableSAP,
                &[Tag::Endpoint],
                |v, endpoint| match endpoint {
                    Element::Endpoint(id) => {
                        let mut all = vec![Element::Node(id.iqn.clone())];
                        let groups = v.inventory.groups_with_port(id);
                        let views = groups.flat_map(|group| v.inventory.views_with(group.id));
                        all.extend(views.map(|shown| Element::View(shown.id)));
                        all
                    }
                    _ => Vec::new(),
                },
            ),
            (
                Available::ManagedElement,
                &[Tag::Node, Tag::View],
                |v, element| match element {
                    Element::Node(iqn) => {
                        let ports = v.inventory.target(iqn).into_iter().flat_map(|t| &t.ports);
                        ports
                            .map(|port| Element::Endpoint(port.id.clone()))
                            .collect()
                    }
                    _ => {
                        let group = group_of_view(v, element, GroupKind::Ports);
                        group.iter().flat_map(|group| members(v, group)).collect()
                    }
                },
            ),
        ))
        .relation(plain(
            Binds,
            ARRAY,
            (Binds::Antecedent, &[Tag::Tcp], |v, tcp| match tcp {
                Element::Tcp(address) => {
                    let ports = v.inventory.ports();
                    let bound = ports.filter(|p| ports::addresses(v, p).contains(address));
                    bound
                        .map(|port| Element::Endpoint(port.id.clone()))
                        .collect()
                }
                _ => Vec::new(),
            }),
            (
                Binds::Dependent,
                &[Tag::Endpoint],
                |v, endpoint| match endpoint {
                    Element::Endpoint(id) => {
                        let port = v.inventory.port(id);
                        let addresses = port.into_iter().flat_map(|port| ports::addresses(v, port));
                        addresses.map(Element::Tcp).collect()
                    }
                    _ => Vec::new(),
                },
            ),
        ))
        .relation(plain(
            Binds,
            ARRAY,
            (Binds::Antecedent, &[Tag::Ip], |v, ip| match ip {
                Element::Ip(address) => {
                    let all = ports::list_tcp(v).into_iter();
                    all.filter(|t| matches!(t, Element::Tcp(tcp) if tcp.ip() == *address))
                        .collect()
                }
                _ => Vec::new(),
            }),
            (Binds::Dependent, &[Tag::Tcp], |_, tcp| match tcp {
                Element::Tcp(address) => vec![Element::Ip(address.ip())],
                _ => Vec::new(),
            }),
        ))
        .relation(plain(
            Implements,
            ARRAY,
            (
                Implements::Antecedent,
                &[Tag::Ethernet],
                |v, card| match card {
                    Element::Ethernet(name) => {
                        let all = ports::list_ip(v).into_iter();
                        all.filter(|ip| card_of(v, ip).as_ref() == Some(name))
                            .collect()
                    }
                    _ => Vec::new(),
                },
            ),
            (Implements::Dependent, &[Tag::Ip], |v, ip| {
                card_of(v, ip).map(Element::Ethernet).into_iter().collect()
            }),
        ))
}

/// The interface with a hardware address that has an IP address.
fn card_of(view: &View, ip: &Element) -> Option<String> {
    let Element::Ip(address) = ip else {
        return None;
    };
    let nic = ports::nic_with(view, *address)?;
    (!nic.mac.is_empty()).then(|| nic.name.clone())
}

fn add_jobs(catalog: Catalog<View>) -> Catalog<View> {
    use class::{CIM_AffectedJobElement as Affected, CIM_OwningJobElement as Owning};
    catalog
        .relation(plain(
            Owning,
            ARRAY,
            (
                Owning::OwningElement,
                &[Tag::StorageService, Tag::MaskingService],
                jobs::owned,
            ),
            (Owning::OwnedElement, &[Tag::Job], jobs::owner),
        ))
        .relation(Relation {
            class: Affected,
            namespace: ARRAY,
            ends: [
                End {
                    role: Affected::AffectingElement,
                    kinds: &[Tag::Job],
                    step: jobs::affected,
                },
                End {
                    role: Affected::AffectedElement,
                    kinds: &[
                        Tag::Pool,
                        Tag::Volume,
                        Tag::Initiator,
                        Tag::InitiatorGroup,
                        Tag::PortGroup,
                        Tag::VolumeGroup,
                        Tag::View,
                    ],
                    step: jobs::affecting,
                },
            ],
            // 5 Other would need words; 2 Exclusive Use is what a job has.
            fill: |_, _, _, out| out.set(Affected::ElementEffects, [2u16]),
        })
}
