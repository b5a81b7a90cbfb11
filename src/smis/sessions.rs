//! Sessions and connections of the iSCSI Target Ports profile (SMI-S 1.6.1 common profiles book): who
//! is logged in, as the kernel tells it.
//!
//! What it does not tell stays unsaid: digests, segment lengths and how an initiator proved itself. So
//! does what the schema has no number for: error recovery of level 0, a connection of number 0.

use crate::array::{Purpose, Session, SessionId};
use crate::cim::Keys;
use crate::schema::{Builder, PathBuilder, class};
use std::sync::Arc;

use super::element::Element;
use super::status::set_health;
use super::view::View;

const SESSION: &str = "Standpipe:iSCSISession:";
const CONNECTION: &str = "Standpipe:iSCSIConnection:";

pub(super) fn list(view: &View) -> Vec<Element> {
    view.inventory
        .sessions()
        .map(|session| Element::Session(session.id.clone()))
        .collect()
}

pub(super) fn find(view: &View, keys: &Keys) -> Option<Element> {
    let id = SessionId::parse(keys.text("InstanceID")?.strip_prefix(SESSION)?)?;
    view.inventory.session(&id)?;
    Some(Element::Session(id))
}

pub(super) fn path_keys(
    _view: &View,
    element: &Element,
    path: PathBuilder<class::Standpipe_iSCSISession>,
) -> PathBuilder<class::Standpipe_iSCSISession> {
    let Element::Session(id) = element else {
        return path;
    };
    path.key(
        class::Standpipe_iSCSISession::InstanceID,
        format!("{SESSION}{id}"),
    )
}

pub(super) fn fill(
    view: &View,
    element: &Element,
    out: Builder<class::Standpipe_iSCSISession>,
) -> Builder<class::Standpipe_iSCSISession> {
    use class::Standpipe_iSCSISession as P;
    let Element::Session(id) = element else {
        return out;
    };
    let Some(session) = view.inventory.session(id) else {
        return out;
    };
    let terms = &session.terms;
    let initiator = session.id.initiator.as_str();
    let at_least_one = |count: u32| (count > 0).then_some(count);
    let connections = u32::try_from(session.connections.len()).unwrap_or(u32::MAX);
    let out = set_health!(out, P, &session.health);
    out.set(
        P::ElementName,
        session.alias.as_deref().unwrap_or(initiator),
    )
    .set(P::EndPointName, initiator)
    .set(
        P::SessionType,
        match session.purpose {
            Purpose::Discovery => 2u16,
            Purpose::Normal => 3,
        },
    )
    .set(P::TSIH, u32::from(session.handle))
    .set_some(P::CurrentConnections, at_least_one(connections))
    .set_some(P::MaxConnectionsPerSession, terms.max_connections)
    .set_some(P::InitialR2T, terms.initial_r2t)
    .set_some(P::ImmediateData, terms.immediate_data)
    .set_some(P::MaxOutstandingR2T, terms.max_outstanding_r2t)
    .set_some(P::MaxUnsolicitedFirstDataBurstLength, terms.first_burst)
    .set_some(P::MaxDataBurstLength, terms.max_burst)
    .set_some(P::DataSequenceInOrder, terms.sequence_in_order)
    .set_some(P::DataPDUInOrder, terms.pdu_in_order)
    .set_some(
        P::ErrorRecoveryLevel,
        terms.error_recovery_level.and_then(at_least_one),
    )
    .set_some(P::DefaultTimeToWait, terms.time_to_wait)
    .set_some(P::DefaultTimeToRetain, terms.time_to_retain)
    .set(P::Directionality, 2u16)
    // 3 Combined In Parallel.
    .set(P::AggregationBehavior, 3u16)
    .set(P::EnabledState, 2u16)
    .set(P::RequestedState, 12u16)
}

/// The connections of a session.
pub(super) fn connections_of(session: &Arc<Session>) -> impl Iterator<Item = Element> + '_ {
    let numbers = session.connections.iter().map(|c| c.number);
    numbers.map(|number| Element::Connection(session.id.clone(), number))
}

pub(super) fn list_connections(view: &View) -> Vec<Element> {
    view.inventory.sessions().flat_map(connections_of).collect()
}

pub(super) fn find_connection(view: &View, keys: &Keys) -> Option<Element> {
    let key = keys.text("InstanceID")?.strip_prefix(CONNECTION)?;
    let (number, session) = key.split_once('+')?;
    let (number, id) = (number.parse().ok()?, SessionId::parse(session)?);
    view.inventory.connection(&id, number)?;
    Some(Element::Connection(id, number))
}

pub(super) fn connection_keys(
    _view: &View,
    element: &Element,
    path: PathBuilder<class::Standpipe_iSCSIConnection>,
) -> PathBuilder<class::Standpipe_iSCSIConnection> {
    let Element::Connection(session, number) = element else {
        return path;
    };
    path.key(
        class::Standpipe_iSCSIConnection::InstanceID,
        format!("{CONNECTION}{number}+{session}"),
    )
}

pub(super) fn fill_connection(
    view: &View,
    element: &Element,
    out: Builder<class::Standpipe_iSCSIConnection>,
) -> Builder<class::Standpipe_iSCSIConnection> {
    use class::Standpipe_iSCSIConnection as P;
    let Element::Connection(session, number) = element else {
        return out;
    };
    let Some(connection) = view.inventory.connection(session, *number) else {
        return out;
    };
    let name = match (connection.from, connection.to) {
        (Some(from), Some(to)) => format!("{from} to {to}"),
        (Some(from), None) => from.to_string(),
        (None, _) => format!("Connection {number} of {}", session.initiator),
    };
    let out = set_health!(out, P, &connection.health);
    out.set(P::ElementName, name)
        .set_some(P::ConnectionID, (*number > 0).then_some(u32::from(*number)))
        .set(P::Directionality, 2u16)
        // 2 No Lower-Level Composition.
        .set(P::AggregationBehavior, 2u16)
        .set(P::EnabledState, 2u16)
        .set(P::RequestedState, 12u16)
}
