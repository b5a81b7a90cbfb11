//! The relations of sessions: the port that one is on, its connections, and the address that each
//! came to.

use crate::array::{Session, SessionId};
use crate::broker::{Catalog, End, Relation};
use crate::schema::class;
use crate::smis::ARRAY;
use crate::smis::element::{Element, Tag};
use crate::smis::sessions::connections_of;
use crate::smis::view::View;
use std::sync::Arc;

pub(super) fn add(catalog: Catalog<View>) -> Catalog<View> {
    use class::{CIM_EndpointOfNetworkPipe as Joins, CIM_NetworkPipeComposition as Composes};
    catalog
        .relation(Relation {
            class: Joins,
            namespace: ARRAY,
            ends: [
                End {
                    role: Joins::Antecedent,
                    kinds: &[Tag::Endpoint],
                    step: |v, port| match port {
                        Element::Endpoint(id) => v.inventory.sessions_on(id).map(element).collect(),
                        _ => Vec::new(),
                    },
                },
                End {
                    role: Joins::Dependent,
                    kinds: &[Tag::Session],
                    step: |v, session| match session {
                        Element::Session(id) => {
                            let port = v.inventory.port(&id.port).into_iter();
                            port.map(|port| Element::Endpoint(port.id.clone()))
                                .collect()
                        }
                        _ => Vec::new(),
                    },
                },
            ],
            // 4 Not Applicable: data flows both ways.
            fill: |_, _, _, out| out.set(Joins::SourceOrSink, 4u16),
        })
        .relation(Relation {
            class: Joins,
            namespace: ARRAY,
            ends: [
                End {
                    role: Joins::Antecedent,
                    kinds: &[Tag::Tcp],
                    step: |v, tcp| match tcp {
                        Element::Tcp(address) => {
                            let came = v.inventory.connections_to(address).cloned();
                            came.filter(|(session, number)| came_to(v, session, *number).is_some())
                                .map(|(session, number)| Element::Connection(session, number))
                                .collect()
                        }
                        _ => Vec::new(),
                    },
                },
                End {
                    role: Joins::Dependent,
                    kinds: &[Tag::Connection],
                    step: |v, connection| match connection {
                        Element::Connection(session, number) => {
                            came_to(v, session, *number).into_iter().collect()
                        }
                        _ => Vec::new(),
                    },
                },
            ],
            fill: |_, _, _, out| out.set(Joins::SourceOrSink, 4u16),
        })
        .relation(Relation {
            class: Composes,
            namespace: ARRAY,
            ends: [
                End {
                    role: Composes::GroupComponent,
                    kinds: &[Tag::Session],
                    step: |v, session| match session {
                        Element::Session(id) => {
                            let session = v.inventory.session(id).into_iter();
                            session.flat_map(connections_of).collect()
                        }
                        _ => Vec::new(),
                    },
                },
                End {
                    role: Composes::PartComponent,
                    kinds: &[Tag::Connection],
                    step: |v, connection| match connection {
                        Element::Connection(id, _) => {
                            v.inventory.session(id).map(element).into_iter().collect()
                        }
                        _ => Vec::new(),
                    },
                },
            ],
            // What is combined in parallel has no order.
            fill: |_, _, _, out| out.set(Composes::AggregationSequence, 0u16),
        })
}

/// The address that a connection came to, as long as the port listens there.
fn came_to(view: &View, session: &SessionId, number: u16) -> Option<Element> {
    let address = view.inventory.connection(session, number)?.to?;
    let port = view.inventory.port(&session.port)?;
    let is_known = view.inventory.addresses_of(port).contains(&address);
    is_known.then_some(Element::Tcp(address))
}

fn element(session: &Arc<Session>) -> Element {
    Element::Session(session.id.clone())
}
