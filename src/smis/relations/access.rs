//! The relations of Access Points.

use super::plain;
use crate::broker::Catalog;
use crate::schema::class;
use crate::smis::element::{Element, Tag};
use crate::smis::view::View;
use crate::smis::{ARRAY, access};

pub(super) fn add(catalog: Catalog<View>) -> Catalog<View> {
    use class::{CIM_HostedAccessPoint as Hosted, CIM_SAPAvailableForElement as Available};
    const SYSTEM: &[Tag] = &[Tag::System];
    const POINT: &[Tag] = &[Tag::AccessPoint];
    catalog
        .relation(plain(
            Hosted,
            ARRAY,
            (Hosted::Antecedent, SYSTEM, |v, _| access::list(v)),
            (Hosted::Dependent, POINT, to!(System)),
        ))
        .relation(plain(
            Available,
            ARRAY,
            (Available::AvailableSAP, POINT, to!(System)),
            (Available::ManagedElement, SYSTEM, |v, _| access::list(v)),
        ))
}
