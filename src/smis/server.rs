//! The SNIA Server profile: the object manager, its namespaces and its listeners, in interop.

use crate::broker::Namespace;
use crate::cim::Keys;
use crate::schema::{Builder, PathBuilder, class};

use super::NAMESPACES;
use super::element::Element;
use super::keys::scoped_keys;
use super::view::View;

const SYSTEM_CLASS: &str = "Standpipe_ManagementSystem";
const MANAGER_CLASS: &str = "Standpipe_ObjectManager";
const MANAGER_NAME: &str = "standpipe";

/// The name of the machine as the object manager's host: told apart from the array itself.
fn system_name(view: &View) -> String {
    format!("{}-management", view.inventory.system.name)
}

pub(super) fn manager_keys(
    view: &View,
    _element: &Element,
    path: PathBuilder<class::Standpipe_ObjectManager>,
) -> PathBuilder<class::Standpipe_ObjectManager> {
    scoped_keys!(
        path,
        Standpipe_ObjectManager.Name,
        SYSTEM_CLASS,
        system_name(view),
        MANAGER_NAME
    )
}

pub(super) fn fill_manager(
    _view: &View,
    _element: &Element,
    out: Builder<class::Standpipe_ObjectManager>,
) -> Builder<class::Standpipe_ObjectManager> {
    use class::Standpipe_ObjectManager as P;
    out.set(P::ElementName, "Standpipe")
        // Clients read the version after the last word "version".
        .set(
            P::Description,
            concat!(
                "Standpipe SMI-S gateway, version ",
                env!("CARGO_PKG_VERSION")
            ),
        )
        .set(P::OperationalStatus, [2u16])
        .set(P::HealthState, 5u16)
        .set(P::EnabledState, 2u16)
        .set(P::RequestedState, 12u16)
        .set(P::Started, true)
        .set(P::GatherStatisticalData, false)
}

pub(super) fn system_keys(
    view: &View,
    _element: &Element,
    path: PathBuilder<class::Standpipe_ManagementSystem>,
) -> PathBuilder<class::Standpipe_ManagementSystem> {
    use class::Standpipe_ManagementSystem as P;
    path.key(P::CreationClassName, SYSTEM_CLASS)
        .key(P::Name, system_name(view))
}

pub(super) fn fill_system(
    view: &View,
    _element: &Element,
    out: Builder<class::Standpipe_ManagementSystem>,
) -> Builder<class::Standpipe_ManagementSystem> {
    use class::Standpipe_ManagementSystem as P;
    out.set(P::ElementName, view.server.host_name.as_str())
        .set(
            P::Description,
            "The machine that runs the Standpipe gateway",
        )
        .set(P::NameFormat, "Other")
        .set(P::OperationalStatus, [2u16])
        .set(P::HealthState, 5u16)
        .set(P::EnabledState, 2u16)
        .set(P::RequestedState, 12u16)
        .set(P::Dedicated, [0u16])
}

pub(super) fn list_namespaces(_view: &View) -> Vec<Element> {
    (0..NAMESPACES.len()).map(Element::Namespace).collect()
}

pub(super) fn find_namespace(_view: &View, keys: &Keys) -> Option<Element> {
    let name = keys.text("Name")?;
    NAMESPACES
        .iter()
        .position(|ns| ns.name.eq_ignore_ascii_case(name))
        .map(Element::Namespace)
}

fn namespace(element: &Element) -> Option<&'static Namespace> {
    match element {
        Element::Namespace(index) => NAMESPACES.get(*index),
        _ => None,
    }
}

pub(super) fn namespace_keys(
    view: &View,
    element: &Element,
    path: PathBuilder<class::Standpipe_Namespace>,
) -> PathBuilder<class::Standpipe_Namespace> {
    use class::Standpipe_Namespace as P;
    let Some(namespace) = namespace(element) else {
        return path;
    };
    path.key(P::SystemCreationClassName, SYSTEM_CLASS)
        .key(P::SystemName, system_name(view))
        .key(P::ObjectManagerCreationClassName, MANAGER_CLASS)
        .key(P::ObjectManagerName, MANAGER_NAME)
        .key(P::CreationClassName, "Standpipe_Namespace")
        .key(P::Name, namespace.name)
}

pub(super) fn fill_namespace(
    _view: &View,
    element: &Element,
    out: Builder<class::Standpipe_Namespace>,
) -> Builder<class::Standpipe_Namespace> {
    use class::Standpipe_Namespace as P;
    let Some(namespace) = namespace(element) else {
        return out;
    };
    out.set(P::ElementName, namespace.name)
        .set(P::ClassInfo, 1u16)
        .set(P::DescriptionOfClassInfo, "CIM 2.49.0")
        .set(P::ClassType, 2u16)
        .set(P::ClassTypeVersion, "2.49.0")
}

pub(super) fn list_mechanisms(view: &View) -> Vec<Element> {
    (0..view.server.urls.len())
        .map(Element::Mechanism)
        .collect()
}

pub(super) fn find_mechanism(view: &View, keys: &Keys) -> Option<Element> {
    let name = keys.text("Name")?;
    view.server
        .urls
        .iter()
        .position(|url| url == name)
        .map(Element::Mechanism)
}

fn url<'a>(view: &'a View, element: &Element) -> Option<&'a str> {
    match element {
        Element::Mechanism(index) => view.server.urls.get(*index).map(String::as_str),
        _ => None,
    }
}

pub(super) fn mechanism_keys(
    view: &View,
    element: &Element,
    path: PathBuilder<class::Standpipe_CIMXMLCommunicationMechanism>,
) -> PathBuilder<class::Standpipe_CIMXMLCommunicationMechanism> {
    let Some(url) = url(view, element) else {
        return path;
    };
    scoped_keys!(
        path,
        Standpipe_CIMXMLCommunicationMechanism.Name,
        SYSTEM_CLASS,
        system_name(view),
        url
    )
}

/// The groups of operations that work: 2 Basic Read, 5 Instance Manipulation, 6 Association
/// Traversal, 10 Pulled Read, 11 Pulled Read Count.
const FUNCTIONS: [u16; 5] = [2, 5, 6, 10, 11];

pub(super) fn fill_mechanism(
    view: &View,
    element: &Element,
    out: Builder<class::Standpipe_CIMXMLCommunicationMechanism>,
) -> Builder<class::Standpipe_CIMXMLCommunicationMechanism> {
    use class::Standpipe_CIMXMLCommunicationMechanism as P;
    let Some(url) = url(view, element) else {
        return out;
    };
    out.set(P::ElementName, url)
        .set(P::OperationalStatus, [2u16])
        .set(P::HealthState, 5u16)
        .set(P::EnabledState, 2u16)
        .set(P::RequestedState, 12u16)
        .set(P::CommunicationMechanism, 2u16)
        .set(P::FunctionalProfilesSupported, FUNCTIONS)
        .set(P::MultipleOperationsSupported, false)
        .set(P::AuthenticationMechanismsSupported, [3u16])
        .set(P::Version, "1.0")
        .set(P::AdvertiseTypes, [2u16])
        .set(P::CIMXMLProtocolVersion, 1u16)
        .set(P::CIMValidated, true)
        .set(P::PulledEnumerationContinuationOnErrorSupported, false)
}
