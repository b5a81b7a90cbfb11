//! The relations of the registered profiles.

use super::plain;
use crate::broker::Catalog;
use crate::schema::class;
use crate::smis::element::{Element, Tag};
use crate::smis::view::View;
use crate::smis::{INTEROP, registration};

pub(super) fn add(catalog: Catalog<View>) -> Catalog<View> {
    use class::{
        CIM_ElementConformsToProfile as Conforms, CIM_ElementSoftwareIdentity as Software,
        CIM_ReferencedProfile as Referenced, CIM_SubProfileRequiresProfile as Requires,
    };
    const PROFILES: &[Tag] = &[Tag::Specification, Tag::Profile, Tag::SubProfile];
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
                registration::central_kinds(),
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
                let mut all = registration::list_specifications(v);
                all.extend(registration::list_autonomous(v));
                all.extend(registration::list_components(v));
                all
            }),
            (Software::Dependent, PROFILES, to!(Software)),
        ))
}
