//! The relations of Software: the gateway makes the array, the kernel runs on its controller.

use super::plain;
use crate::broker::Catalog;
use crate::schema::class;
use crate::smis::element::{Element, Program, Tag};
use crate::smis::view::View;
use crate::smis::{ARRAY, software};

pub(super) fn add(catalog: Catalog<View>) -> Catalog<View> {
    use class::CIM_InstalledSoftwareIdentity as Installed;
    catalog.relation(plain(
        Installed,
        ARRAY,
        (
            Installed::System,
            &[Tag::System, Tag::Controller],
            |v, system| match system {
                Element::System => vec![Element::InstalledSoftware(Program::Gateway)],
                _ => software::list(v),
            },
        ),
        (
            Installed::InstalledSoftware,
            &[Tag::InstalledSoftware],
            |_, program| match program {
                Element::InstalledSoftware(Program::Gateway) => {
                    vec![Element::System, Element::Controller]
                }
                _ => vec![Element::Controller],
            },
        ),
    ))
}
