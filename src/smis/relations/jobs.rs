//! The relations of Job Control.

use super::plain;
use crate::broker::{Catalog, End, Relation};
use crate::schema::class;
use crate::smis::element::Tag;
use crate::smis::view::View;
use crate::smis::{ARRAY, jobs};

pub(super) fn add(catalog: Catalog<View>) -> Catalog<View> {
    use class::{
        CIM_AffectedJobElement as Affected, CIM_AssociatedJobMethodResult as Result,
        CIM_OwningJobElement as Owning,
    };
    catalog
        .relation(plain(
            Owning,
            ARRAY,
            (
                Owning::OwningElement,
                &[
                    Tag::StorageService,
                    Tag::SparingService,
                    Tag::RelocationService,
                    Tag::ReplicationService,
                    Tag::HardwareIdService,
                    Tag::MaskingService,
                    Tag::IscsiService,
                ],
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
                        Tag::ClientSetting,
                        Tag::ReplicationGroup,
                        Tag::Node,
                        Tag::Endpoint,
                        Tag::FcEndpoint,
                        Tag::Initiator,
                        Tag::InitiatorGroup,
                        Tag::PortGroup,
                        Tag::VolumeGroup,
                        Tag::View,
                    ],
                    step: jobs::affecting,
                },
            ],
            fill: |view, job, _, out| out.set(Affected::ElementEffects, jobs::effects(view, job)),
        })
        .relation(plain(
            Result,
            ARRAY,
            (Result::Job, &[Tag::Job], jobs::result_of),
            (Result::JobParameters, &[Tag::MethodResult], jobs::job_of),
        ))
}
