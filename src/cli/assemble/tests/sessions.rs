//! What clients see of who is logged in.

use super::disks::Still;
use super::*;
use crate::array::{Facts, Health, InitiatorName, Session, Terms};

const HOST: &str = "iqn.2026-11.example.host:1";

/// An array at which its first host is logged in.
fn logged_in() -> Facts {
    let engine = SimEngine::builder().volumes(4).build();
    let engine = engine.expect("a simulated array");
    populate::show_some(&array(Arc::new(engine.clone()))).expect("populated");
    let port = &engine.scan().expect("a scan").targets[0].ports[0]
        .id
        .clone();
    let host = InitiatorName::parse(HOST).expect("a name");
    engine.log_in(&host, port).expect("something is shown");
    engine.scan().expect("a scan")
}

fn client(facts: Facts) -> Client {
    Client::of(array(Arc::new(Still(facts))), machine::simulated())
}

#[test]
fn a_session_is_found_from_its_port_and_leads_to_the_address_that_it_came_to() {
    let client = client(logged_in());
    let (port, _) = client.only("Standpipe_iSCSIProtocolEndpoint");
    let joined = client.through(&port, "CIM_EndpointOfNetworkPipe");
    assert_eq!(joined, [client.only("CIM_iSCSISession")]);
    let (path, session) = &joined[0];
    assert_eq!(text(session, "EndPointName"), HOST);
    for (property, value) in [
        ("SessionType", "3"),
        ("TSIH", "1"),
        ("CurrentConnections", "1"),
        ("MaxConnectionsPerSession", "1"),
        ("InitialR2T", "true"),
        ("ImmediateData", "true"),
        ("MaxUnsolicitedFirstDataBurstLength", "65536"),
        ("MaxDataBurstLength", "262144"),
        ("DefaultTimeToRetain", "0"),
    ] {
        let shown = shown(session, property).unwrap_or_default();
        assert!(shown.contains(&format!("({value})")), "{property}: {shown}");
    }
    assert_eq!(client.through(path, "CIM_EndpointOfNetworkPipe")[0].0, port);

    let connections = client.through(path, "CIM_NetworkPipeComposition");
    assert_eq!(connections, [client.only("CIM_iSCSIConnection")]);
    let came_to = client.through(&connections[0].0, "CIM_EndpointOfNetworkPipe");
    assert_eq!(names(&came_to), ["Standpipe_TCPProtocolEndpoint"]);
    let back = client.through(&came_to[0].0, "CIM_EndpointOfNetworkPipe");
    assert_eq!(back, connections);

    let (_, abilities) = client.only("CIM_iSCSICapabilities");
    let features = shown(&abilities, "SupportedFeatures").expect("said");
    assert!(features.contains("(2)"), "{features}");
}

#[test]
fn what_the_kernel_does_not_tell_is_left_out() {
    let mut facts = logged_in();
    let Session {
        connections,
        terms,
        health,
        ..
    } = &mut facts.sessions[0];
    *terms = Terms {
        error_recovery_level: Some(2),
        ..Terms::default()
    };
    *health = Health::Degraded("it is not logged in".into());
    connections[0].to = None;
    connections[0].from = None;
    connections[0].number = 7;
    let client = client(facts);
    let (_, session) = client.only("CIM_iSCSISession");
    for property in ["InitialR2T", "MaxDataBurstLength", "DefaultTimeToWait"] {
        assert_eq!(shown(&session, property), None, "{property}");
    }
    let level = shown(&session, "ErrorRecoveryLevel").expect("said");
    assert!(level.contains("(2)"), "{level}");
    let why = shown(&session, "StatusDescriptions").expect("a sentence");
    assert!(why.contains("not logged in"), "{why}");
    let (path, connection) = client.only("CIM_iSCSIConnection");
    let number = shown(&connection, "ConnectionID").expect("said");
    assert!(number.contains("(7)"), "{number}");
    for property in ["HeaderDigestMethod", "MaxReceiveDataSegmentLength"] {
        assert_eq!(shown(&connection, property), None, "{property}");
    }
    assert!(
        client
            .through(&path, "CIM_EndpointOfNetworkPipe")
            .is_empty()
    );
}

#[test]
fn paths_and_steps_of_sessions_lead_there_and_back() {
    let array = array(Arc::new(Still(logged_in())));
    let faults = View::catalog().faults_in(&gateway(array, machine::simulated()).snapshot());
    assert_eq!(faults, Vec::<String>::new());
}
