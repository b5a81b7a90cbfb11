//! The relations of replicas to their sources, and those of groups of volumes that are replicated
//! together.

use super::plain;
use crate::broker::{Catalog, End, Relation};
use crate::schema::class::{
    CIM_GroupSynchronized as GroupSynchronized, CIM_HostedCollection as Hosted,
    CIM_OrderedMemberOfCollection as Ordered, CIM_ServiceAffectsElement as Affects,
    CIM_StorageSynchronized as Synchronized,
};
use crate::smis::element::{Element, Tag};
use crate::smis::view::View;
use crate::smis::{ARRAY, replicas, replication_groups as groups};

pub(super) fn add(catalog: Catalog<View>) -> Catalog<View> {
    add_groups(catalog).relation(Relation {
        class: Synchronized,
        namespace: ARRAY,
        ends: [
            End {
                role: Synchronized::SystemElement,
                kinds: &[Tag::Volume],
                step: replicas_of,
            },
            End {
                role: Synchronized::SyncedElement,
                kinds: &[Tag::Volume],
                step: source_of,
            },
        ],
        fill: replicas::fill,
    })
}

fn add_groups(catalog: Catalog<View>) -> Catalog<View> {
    const GROUP: &[Tag] = &[Tag::ReplicationGroup];
    catalog
        .relation(Relation {
            class: GroupSynchronized,
            namespace: ARRAY,
            ends: [
                End {
                    role: GroupSynchronized::SystemElement,
                    kinds: GROUP,
                    step: groups::replicas_of,
                },
                End {
                    role: GroupSynchronized::SyncedElement,
                    kinds: GROUP,
                    step: groups::source_of,
                },
            ],
            fill: groups::fill_relation,
        })
        .relation(Relation {
            class: Ordered,
            namespace: ARRAY,
            ends: [
                End {
                    role: Ordered::Collection,
                    kinds: GROUP,
                    step: groups::members,
                },
                End {
                    role: Ordered::Member,
                    kinds: &[Tag::Volume],
                    step: groups::groups_of,
                },
            ],
            fill: |v, group, member, out| match groups::place(v, group, member) {
                Some(place) => out.set(Ordered::AssignedSequence, place),
                None => out,
            },
        })
        .relation(plain(
            Hosted,
            ARRAY,
            (Hosted::Antecedent, &[Tag::System], |v, _| groups::list(v)),
            (Hosted::Dependent, GROUP, to!(System)),
        ))
        .relation(Relation {
            class: Affects,
            namespace: ARRAY,
            ends: [
                End {
                    role: Affects::AffectingElement,
                    kinds: &[Tag::ReplicationService],
                    step: |v, _| groups::list(v),
                },
                End {
                    role: Affects::AffectedElement,
                    kinds: GROUP,
                    step: to!(ReplicationService),
                },
            ],
            // 5 Manages.
            fill: |_, _, _, out| out.set(Affects::ElementEffects, [5u16]),
        })
}

fn replicas_of(view: &View, source: &Element) -> Vec<Element> {
    let Element::Volume(id) = source else {
        return Vec::new();
    };
    replicas::of_source(view, id)
        .map(|replica| Element::Volume(replica.id.clone()))
        .collect()
}

fn source_of(view: &View, replica: &Element) -> Vec<Element> {
    let Element::Volume(id) = replica else {
        return Vec::new();
    };
    replicas::pair(view, id)
        .map(|pair| Element::Volume(pair.source.id.clone()))
        .into_iter()
        .collect()
}
