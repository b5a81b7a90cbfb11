//! An array with Fibre Channel ports, as administrators and hosts meet it.

use std::collections::BTreeMap;

use standpipe::array::{
    Chap, ChapTable, ChapUser, Command, Engine as _, FcLink, Health, InitiatorName, Kind, Login,
    Map, Members, Naa, PortId, Secret, Step, Unwatched, VolumeId,
};

use super::rig::{Rig, host, machine};

fn fc_host(number: u8) -> InitiatorName {
    InitiatorName::port_wwn(&format!("10:00:00:90:fa:00:00:{number:02x}")).expect("a name")
}

/// The Fibre Channel ports, in the order of their names.
fn fc_ports(rig: &Rig) -> Vec<PortId> {
    let now = rig.now();
    let ports = now.fc_ports().map(|port| PortId::FibreChannel(port.wwn));
    ports.collect()
}

/// The numbers that a host finds behind a port, if it can log in there.
fn luns(rig: &Rig, host: &InitiatorName, port: &PortId) -> Option<Vec<u16>> {
    let found = rig.sim.report_luns(host, port)?;
    Some(found.into_keys().collect())
}

fn view_of(rig: &Rig, hosts: &[InitiatorName], ports: &[PortId], volume: VolumeId) {
    rig.done(Command::MakeView {
        name: Some("view".into()),
        initiators: hosts.iter().cloned().collect(),
        ports: ports.iter().cloned().collect(),
        volumes: vec![volume],
        luns: Vec::new(),
    });
}

#[test]
fn a_volume_is_shown_through_fibre_channel_and_stays_so() {
    let rig = Rig::on(machine().fc_ports(2));
    let [first, second] = &fc_ports(&rig)[..] else {
        panic!("two ports");
    };
    let now = rig.now();
    let port = now.fc_ports().next().expect("a port");
    assert_eq!((port.enabled, port.link), (true, FcLink::Direct));
    assert_eq!(now.port(first).expect("it is a port").health, Health::Ok);
    let volume = rig.create("data", 1);
    let hosts = [fc_host(1), host("a")];
    view_of(&rig, &hosts, &[first.clone(), rig.port()], volume);
    let shown = |rig: &Rig| {
        // Who sees it where: the host of each fabric through the port of its own, the other nowhere.
        let all = [first.clone(), second.clone(), rig.port()];
        let seen = hosts.iter().map(|host| {
            let at = all.iter().map(|port| luns(rig, host, port));
            at.collect::<Vec<_>>()
        });
        seen.collect::<Vec<_>>()
    };
    let expected = vec![
        vec![Some(vec![1]), None, None],
        vec![None, None, Some(vec![1])],
    ];
    assert_eq!(shown(&rig), expected);
    // A stranger sees nothing, and the identifier is that of the volume.
    assert_eq!(luns(&rig, &fc_host(2), first), None);
    let found = rig.sim.report_luns(&fc_host(1), first).expect("it logs in");
    assert_eq!(found, BTreeMap::from([(1, naa(&rig))]));
    let rig = rig.restart(true);
    assert_eq!(shown(&rig), expected, "after a reboot");
    let now = rig.now();
    let view = now.view_named("view").expect("it is kept").id;
    rig.done(Command::DeleteView {
        view,
        delete_unassociated: true,
    });
    assert_eq!(luns(&rig, &fc_host(1), first), None);
    assert_eq!(rig.sim.scan().expect("a scan").maps, []);
}

fn naa(rig: &Rig) -> Naa {
    rig.now().volumes().next().expect("a volume").naa
}

#[test]
fn a_port_shows_nothing_to_names_of_another_fabric() {
    let rig = Rig::on(machine().fc_ports(1));
    let volume = rig.create("data", 1);
    let port = fc_ports(&rig).remove(0);
    let wish = Command::MakeView {
        name: None,
        initiators: [host("a")].into(),
        ports: [port.clone()].into(),
        volumes: vec![volume.clone()],
        luns: Vec::new(),
    };
    let (error, _) = rig.fails(wish);
    assert_eq!(error.kind, Kind::InvalidArgument, "{error}");
    // Nor would the engine, whatever the plan said.
    for (initiator, port) in [(host("a"), port), (fc_host(1), rig.port())] {
        let map = Step::Map(Map {
            port,
            initiator,
            lun: 1,
            volume: volume.clone(),
        });
        let error = rig.sim.apply(&map, &Unwatched).expect_err("refused");
        assert_eq!(error.kind, Kind::InvalidArgument, "{error}");
    }
    assert_eq!(rig.sim.scan().expect("a scan").maps, []);
}

#[test]
fn secrets_of_iscsi_keep_nobody_from_fibre_channel() {
    let mut table = ChapTable::new();
    let secret = Chap {
        initiator: Login {
            user: ChapUser::parse("joe").expect("a name"),
            secret: Secret::parse("open-sesame-42").expect("a secret"),
        },
        array: None,
    };
    table.insert(host("a"), secret);
    let rig = Rig::on(machine().fc_ports(1).chap(table));
    let volume = rig.create("data", 1);
    let port = fc_ports(&rig).remove(0);
    view_of(&rig, &[fc_host(1)], std::slice::from_ref(&port), volume);
    assert_eq!(luns(&rig, &fc_host(1), &port), Some(vec![1]));
    assert!(
        rig.sim.log_in(&fc_host(1), &port).is_err(),
        "no sessions are told of"
    );
}

#[test]
fn what_no_adapter_has_is_no_port() {
    let rig = Rig::new();
    assert_eq!(fc_ports(&rig), []);
    let port = PortId::parse("2100020000000001").expect("a name");
    let wish = Command::CreateGroup {
        name: None,
        members: Members::Ports([port].into()),
        delete_on_empty: false,
        delete_when_unassociated: false,
    };
    assert_eq!(rig.fails(wish).0.kind, Kind::NotFound);
}
