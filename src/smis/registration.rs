//! Profile Registration: which profiles are offered, in interop (DSP1033 and its SNIA form).
//!
//! One table says everything: names are spelt as clients compare them, versions as they parse them,
//! and each profile names the kinds that are its central instances.

use crate::cim::Keys;
use crate::schema::{Builder, PathBuilder, class};

use super::element::Element;
use super::pools;
use super::view::View;

/// A registered profile.
struct Profile {
    name: &'static str,
    place: Place,
    /// Its central instances, by a function.
    central: fn(&View) -> Vec<Element>,
}

/// Where a profile stands.
#[derive(Clone, Copy, PartialEq)]
enum Place {
    /// The SMI-S specification itself.
    Specification,
    /// A profile that stands for itself.
    Autonomous,
    /// Part of the autonomous profile of that name.
    ComponentOf(&'static str),
}

/// The version of SMI-S whose profiles these are.
const VERSION: &str = "1.6.1";
const PROFILE: &str = "Standpipe:Profile:SNIA:";
const SOFTWARE: &str = "Standpipe:SoftwareIdentity:gateway";

static PROFILES: [Profile; 9] = [
    Profile {
        name: "SMI-S",
        place: Place::Specification,
        central: autonomous,
    },
    Profile {
        name: "Array",
        place: Place::Autonomous,
        central: |_| vec![Element::System],
    },
    Profile {
        name: "Server",
        place: Place::Autonomous,
        central: |_| vec![Element::ObjectManager],
    },
    Profile {
        name: "Profile Registration",
        place: Place::ComponentOf("Server"),
        central: profiles,
    },
    Profile {
        name: "Block Services",
        place: Place::ComponentOf("Array"),
        central: all_pools,
    },
    Profile {
        name: "Masking and Mapping",
        place: Place::ComponentOf("Array"),
        central: |_| vec![Element::MaskingService],
    },
    Profile {
        name: "Group Masking and Mapping",
        place: Place::ComponentOf("Array"),
        central: |_| vec![Element::MaskingService],
    },
    Profile {
        name: "iSCSI Target Ports",
        place: Place::ComponentOf("Array"),
        central: |_| vec![Element::IscsiCapabilities],
    },
    Profile {
        name: "Job Control",
        place: Place::ComponentOf("Array"),
        central: super::jobs::list,
    },
];

fn autonomous(_view: &View) -> Vec<Element> {
    with_place(|place| place == Place::Autonomous)
}

/// Every profile; the specification is none, and clients take a conformance of its for one that
/// has its ends exchanged.
fn profiles(_view: &View) -> Vec<Element> {
    with_place(|place| place != Place::Specification)
}

fn all_pools(view: &View) -> Vec<Element> {
    std::iter::once(Element::PrimordialPool)
        .chain(pools::list(view))
        .collect()
}

fn with_place(wanted: impl Fn(Place) -> bool) -> Vec<Element> {
    let indexes = 0..PROFILES.len();
    indexes
        .filter(|&i| wanted(PROFILES[i].place))
        .map(Element::Profile)
        .collect()
}

/// Whether the profile at that place of the table is a component.
pub(super) fn is_component(index: usize) -> bool {
    matches!(
        PROFILES.get(index),
        Some(Profile {
            place: Place::ComponentOf(_),
            ..
        })
    )
}

pub(super) fn list_autonomous(_view: &View) -> Vec<Element> {
    with_place(|place| !matches!(place, Place::ComponentOf(_)))
}

pub(super) fn list_components(_view: &View) -> Vec<Element> {
    with_place(|place| matches!(place, Place::ComponentOf(_)))
}

fn profile(element: &Element) -> Option<&'static Profile> {
    match element {
        Element::Profile(index) => PROFILES.get(*index),
        _ => None,
    }
}

fn id(profile: &Profile) -> String {
    format!("{PROFILE}{}:{VERSION}", profile.name)
}

/// A profile of either kind; the kind decides the class.
pub(super) fn find(_view: &View, keys: &Keys) -> Option<Element> {
    let wanted = keys.text("InstanceID")?;
    PROFILES
        .iter()
        .position(|profile| id(profile) == wanted)
        .map(Element::Profile)
}

/// Keys and properties are the same for profiles and subprofiles.
macro_rules! registered {
    ($keys:ident, $fill:ident, $class:ident) => {
        pub(super) fn $keys(
            _view: &View,
            element: &Element,
            path: PathBuilder<class::$class>,
        ) -> PathBuilder<class::$class> {
            let Some(profile) = profile(element) else {
                return path;
            };
            path.key(class::$class::InstanceID, id(profile))
        }

        pub(super) fn $fill(
            _view: &View,
            element: &Element,
            out: Builder<class::$class>,
        ) -> Builder<class::$class> {
            use class::$class as P;
            let Some(profile) = profile(element) else {
                return out;
            };
            out.set(P::ElementName, profile.name)
                .set(P::RegisteredOrganization, 11u16)
                .set(P::RegisteredName, profile.name)
                .set(P::RegisteredVersion, VERSION)
                .set(P::AdvertiseTypes, [2u16])
                // 2 Profile; the SMI-S entry stands for a whole specification.
                .set(
                    P::SpecificationType,
                    if profile.place == Place::Specification {
                        3u16
                    } else {
                        2
                    },
                )
        }
    };
}

registered!(profile_keys, fill_profile, Standpipe_RegisteredProfile);
registered!(
    component_keys,
    fill_component,
    Standpipe_RegisteredSubProfile
);

/// The central instances of a profile.
pub(super) fn central(view: &View, element: &Element) -> Vec<Element> {
    profile(element)
        .map(|profile| (profile.central)(view))
        .unwrap_or_default()
}

/// The profiles whose central instance an element is.
pub(super) fn conforms_to(_view: &View, element: &Element) -> Vec<Element> {
    let named = |name: &str| {
        let place = PROFILES.iter().position(|profile| profile.name == name);
        place.map(Element::Profile).into_iter().collect()
    };
    match element {
        Element::System => named("Array"),
        Element::ObjectManager => named("Server"),
        Element::PrimordialPool | Element::Pool(_) => named("Block Services"),
        Element::MaskingService => {
            let mut standards: Vec<_> = named("Masking and Mapping");
            standards.extend(named("Group Masking and Mapping"));
            standards
        }
        Element::IscsiCapabilities => named("iSCSI Target Ports"),
        Element::Job(_) => named("Job Control"),
        Element::Profile(_) => {
            let mut standards: Vec<_> = named("Profile Registration");
            match profile(element).map(|profile| profile.place) {
                Some(Place::Specification) => standards.clear(),
                Some(Place::Autonomous) => standards.extend(named("SMI-S")),
                _ => {}
            }
            standards
        }
        _ => Vec::new(),
    }
}

/// The component profiles of an autonomous one (SNIA direction: the autonomous one refers).
pub(super) fn components(_view: &View, element: &Element) -> Vec<Element> {
    let Some(profile) = profile(element) else {
        return Vec::new();
    };
    with_place(|place| place == Place::ComponentOf(profile.name))
}

/// The autonomous profile that a component belongs to.
pub(super) fn referencing(_view: &View, element: &Element) -> Vec<Element> {
    match profile(element).map(|profile| profile.place) {
        Some(Place::ComponentOf(name)) => PROFILES
            .iter()
            .position(|profile| profile.name == name)
            .map(Element::Profile)
            .into_iter()
            .collect(),
        _ => Vec::new(),
    }
}

pub(super) fn software_keys(
    _view: &View,
    _element: &Element,
    path: PathBuilder<class::Standpipe_SoftwareIdentity>,
) -> PathBuilder<class::Standpipe_SoftwareIdentity> {
    path.key(class::Standpipe_SoftwareIdentity::InstanceID, SOFTWARE)
}

pub(super) fn fill_software(
    _view: &View,
    _element: &Element,
    out: Builder<class::Standpipe_SoftwareIdentity>,
) -> Builder<class::Standpipe_SoftwareIdentity> {
    use class::Standpipe_SoftwareIdentity as P;
    out.set(P::Name, "standpipe")
        .set(P::ElementName, "Standpipe gateway")
        .set(P::VersionString, env!("CARGO_PKG_VERSION"))
        .set(P::Manufacturer, "Standpipe")
        .set(P::Classifications, [2u16])
}
