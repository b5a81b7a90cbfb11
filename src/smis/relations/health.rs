//! The relations of Health: which element's trouble is the array's, and which disk's trouble is that
//! of what lies on it.

use crate::broker::{Catalog, End, Relation};
use crate::schema::class;
use crate::smis::element::{Element, Tag};
use crate::smis::view::View;
use crate::smis::{ARRAY, health};

pub(super) fn add(catalog: Catalog<View>) -> Catalog<View> {
    use class::CIM_RelatedElementCausingError as Cause;
    // 2 Strong Correlated: a status follows from that of what lies below.
    let relation = |ends| Relation {
        class: Cause,
        namespace: ARRAY,
        ends,
        fill: |_, _, _, out| out.set(Cause::EffectCorrelation, 2u16),
    };
    catalog
        .relation(relation([
            End {
                role: Cause::Dependent,
                kinds: &[Tag::System],
                step: |v, _| health::ailing(v),
            },
            End {
                role: Cause::Antecedent,
                kinds: &[
                    Tag::Drive,
                    Tag::Extent,
                    Tag::Pool,
                    Tag::Volume,
                    Tag::Endpoint,
                    Tag::FcEndpoint,
                    Tag::View,
                ],
                step: |v, cause| match health::is_ailing(v, cause) {
                    true => vec![Element::System],
                    false => Vec::new(),
                },
            },
        ]))
        .relation(relation([
            End {
                role: Cause::Antecedent,
                kinds: &[Tag::Drive, Tag::Extent],
                step: health::effects,
            },
            End {
                role: Cause::Dependent,
                kinds: &[Tag::PrimordialPool, Tag::Pool, Tag::Volume, Tag::Extent],
                step: health::causes,
            },
        ]))
}
