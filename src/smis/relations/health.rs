//! The relations of Health: which element's trouble is the array's.

use crate::broker::{Catalog, End, Relation};
use crate::schema::class;
use crate::smis::element::{Element, Tag};
use crate::smis::view::View;
use crate::smis::{ARRAY, health};

pub(super) fn add(catalog: Catalog<View>) -> Catalog<View> {
    use class::CIM_RelatedElementCausingError as Cause;
    catalog.relation(Relation {
        class: Cause,
        namespace: ARRAY,
        ends: [
            End {
                role: Cause::Dependent,
                kinds: &[Tag::System],
                step: |v, _| health::ailing(v),
            },
            End {
                role: Cause::Antecedent,
                kinds: &[Tag::PrimordialPool, Tag::Pool, Tag::Volume, Tag::Endpoint],
                step: |v, cause| match health::is_ailing(v, cause) {
                    true => vec![Element::System],
                    false => Vec::new(),
                },
            },
        ],
        // 2 Strong Correlated: the array's status follows from that of its parts.
        fill: |_, _, _, out| out.set(Cause::EffectCorrelation, 2u16),
    })
}
