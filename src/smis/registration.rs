//! Profile Registration: which profiles are offered, in interop (DSP1033 and its SNIA form).
//!
//! One table says everything: names are spelt as clients compare them, versions as they parse them,
//! and each profile names the kinds that are its central instances. A new profile is one entry.

use std::sync::LazyLock;

use crate::broker::Snapshot as _;
use crate::cim::Keys;
use crate::schema::{Builder, PathBuilder, class};

use super::element::{Element, Tag};
use super::health;
use super::view::View;

/// A registered profile.
struct Profile {
    name: &'static str,
    place: Place,
    central: Central,
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

/// The central instances of a profile.
enum Central {
    /// All elements of these kinds.
    All(&'static [Tag]),
    /// All elements of these kinds, of which there are some: without any, the profile is not offered.
    Present(&'static [Tag]),
    /// The elements of these kinds that something is wrong with.
    Ailing(&'static [Tag]),
}

/// The version of SMI-S whose profiles these are.
const VERSION: &str = "1.6.1";
const PROFILE: &str = "Standpipe:Profile:SNIA:";

static PROFILES: &[Profile] = &[
    Profile {
        name: "SMI-S",
        place: Place::Specification,
        central: Central::All(&[Tag::Profile]),
    },
    Profile {
        name: "Array",
        place: Place::Autonomous,
        central: Central::All(&[Tag::System]),
    },
    Profile {
        name: "Server",
        place: Place::Autonomous,
        central: Central::All(&[Tag::ObjectManager]),
    },
    Profile {
        // Without the specification, which is no profile: clients take a conformance of its for
        // one that has its ends exchanged.
        name: "Profile Registration",
        place: Place::ComponentOf("Server"),
        central: Central::All(&[Tag::Profile, Tag::SubProfile]),
    },
    of_array("Block Services", &[Tag::PrimordialPool, Tag::Pool]),
    // The thin pools, and the volume groups that they are made in.
    of_array("Thin Provisioning", &[Tag::Pool]),
    of_array("Extent Composition", &[Tag::Extent]),
    of_array("Replication Services", &[Tag::ReplicationService]),
    of_array("Disk Drive Lite", &[Tag::Drive]),
    of_array("Masking and Mapping", &[Tag::MaskingService]),
    of_array("Group Masking and Mapping", &[Tag::MaskingService]),
    of_array("iSCSI Target Ports", &[Tag::IscsiCapabilities]),
    of_array("Storage Relocation", &[Tag::RelocationService]),
    Profile {
        name: "FC Target Ports",
        place: ARRAY_PART,
        central: Central::Present(&[Tag::FcPort]),
    },
    of_array("Job Control", &[Tag::Job]),
    of_array("Physical Package", &[Tag::Chassis]),
    of_array("Location", &[Tag::Location]),
    of_array("Software", &[Tag::InstalledSoftware]),
    of_array("Access Points", &[Tag::AccessPoint]),
    of_array("Multiple Computer System", &[Tag::Controller]),
    Profile {
        name: "Health",
        place: ARRAY_PART,
        central: Central::Ailing(&[Tag::Volume, Tag::Drive, Tag::Extent]),
    },
];

const ARRAY_PART: Place = Place::ComponentOf("Array");

/// A part of the Array profile.
const fn of_array(name: &'static str, central: &'static [Tag]) -> Profile {
    Profile {
        name,
        place: ARRAY_PART,
        central: Central::All(central),
    }
}

impl Central {
    fn kinds(&self) -> &'static [Tag] {
        match self {
            Self::All(kinds) | Self::Present(kinds) | Self::Ailing(kinds) => kinds,
        }
    }

    fn list(&self, view: &View) -> Vec<Element> {
        match self {
            Self::All(kinds) | Self::Present(kinds) => {
                let all = kinds.iter();
                all.flat_map(|&tag| View::catalog().list(view, tag))
                    .collect()
            }
            Self::Ailing(kinds) => {
                let mut ailing = health::ailing(view);
                ailing.retain(|element| kinds.contains(&element.tag()));
                ailing
            }
        }
    }

    fn has(&self, view: &View, element: &Element) -> bool {
        self.kinds().contains(&element.tag())
            && match self {
                Self::All(_) | Self::Present(_) => true,
                Self::Ailing(_) => health::is_ailing(view, element),
            }
    }
}

impl Profile {
    /// Whether it is offered now.
    fn is_offered(&self, view: &View) -> bool {
        match self.central {
            Central::All(_) | Central::Ailing(_) => true,
            Central::Present(_) => !self.central.list(view).is_empty(),
        }
    }
}

/// Every kind that is central to some profile.
pub(super) fn central_kinds() -> &'static [Tag] {
    static KINDS: LazyLock<Vec<Tag>> = LazyLock::new(|| {
        let mut kinds = Vec::new();
        for &tag in PROFILES.iter().flat_map(|profile| profile.central.kinds()) {
            if !kinds.contains(&tag) {
                kinds.push(tag);
            }
        }
        kinds
    });
    &KINDS
}

/// The profiles on offer that a condition holds for.
fn profiles_where(view: &View, wanted: impl Fn(&Profile) -> bool) -> Vec<Element> {
    let all = PROFILES.iter().enumerate();
    all.filter(|(_, profile)| wanted(profile) && profile.is_offered(view))
        .map(|(index, _)| Element::Profile(index))
        .collect()
}

/// The kind of the profile at that place of the table.
pub(super) fn tag(index: usize) -> Tag {
    match PROFILES.get(index).map(|profile| profile.place) {
        Some(Place::Specification) => Tag::Specification,
        Some(Place::ComponentOf(_)) => Tag::SubProfile,
        _ => Tag::Profile,
    }
}

pub(super) fn list_specifications(view: &View) -> Vec<Element> {
    profiles_where(view, |profile| profile.place == Place::Specification)
}

pub(super) fn list_autonomous(view: &View) -> Vec<Element> {
    profiles_where(view, |profile| profile.place == Place::Autonomous)
}

pub(super) fn list_components(view: &View) -> Vec<Element> {
    profiles_where(view, |profile| {
        matches!(profile.place, Place::ComponentOf(_))
    })
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
pub(super) fn find(view: &View, keys: &Keys) -> Option<Element> {
    let wanted = keys.text("InstanceID")?;
    PROFILES
        .iter()
        .position(|profile| id(profile) == wanted && profile.is_offered(view))
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
        .map(|profile| profile.central.list(view))
        .unwrap_or_default()
}

/// The profiles whose central instance an element is.
pub(super) fn conforms_to(view: &View, element: &Element) -> Vec<Element> {
    profiles_where(view, |profile| profile.central.has(view, element))
}

/// The component profiles of an autonomous one (SNIA direction: the autonomous one refers).
pub(super) fn components(view: &View, element: &Element) -> Vec<Element> {
    let Some(referring) = profile(element) else {
        return Vec::new();
    };
    profiles_where(view, |profile| {
        profile.place == Place::ComponentOf(referring.name)
    })
}

/// The autonomous profile that a component belongs to.
pub(super) fn referencing(view: &View, element: &Element) -> Vec<Element> {
    match profile(element).map(|profile| profile.place) {
        Some(Place::ComponentOf(name)) => profiles_where(view, |profile| profile.name == name),
        _ => Vec::new(),
    }
}
