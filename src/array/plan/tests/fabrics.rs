//! Views over several fabrics: what pairs with what, and what is refused.

use std::collections::BTreeSet;

use super::super::*;
use super::world::*;
use crate::array::engine::Facts;
use crate::array::error::Kind;
use crate::array::ids::{InitiatorName, PortId, ViewId, Wwn};
use crate::array::model::*;

const FC_HOST: &str = "10000090FA000001";

fn wwn(number: u64) -> Wwn {
    Wwn::parse(&format!("21000024ff{number:06x}")).unwrap()
}

fn fc_port(number: u64) -> PortId {
    PortId::FibreChannel(wwn(number))
}

fn fc_host() -> InitiatorName {
    InitiatorName::port_wwn(FC_HOST).unwrap()
}

/// A world with two Fibre Channel ports beside the two of iSCSI.
fn world() -> World {
    let port = |number| FcPort {
        wwn: wwn(number),
        enabled: true,
        link: FcLink::Direct,
        speed: None,
        max_speed: None,
        health: Health::Ok,
    };
    World::with(Facts {
        fc_ports: vec![port(1), port(2)],
        ..facts(["v1", "v2", "v3"].map(volume).to_vec(), 10 * EXTENT)
    })
}

/// A wish for a view of the first volume.
fn wish(initiators: &[InitiatorName], ports: &[PortId]) -> Command {
    Command::MakeView {
        name: None,
        initiators: initiators.iter().cloned().collect(),
        ports: ports.iter().cloned().collect(),
        volumes: vec!["v1".into()],
        luns: Vec::new(),
    }
}

/// Who sees the view through which port.
fn pairs(world: &World, view: ViewId) -> BTreeSet<(String, String)> {
    let view = world.0.view(&view).expect("the view");
    let maps = world.0.maps_of(view).into_iter();
    let pair = |map: Map| (map.initiator.to_string(), short(&map.port));
    maps.map(pair).collect()
}

fn pair(initiator: &InitiatorName, port: &str) -> (String, String) {
    (initiator.to_string(), port.to_owned())
}

#[test]
fn a_view_pairs_only_what_is_of_one_fabric() {
    let mut world = world();
    let (fc, iscsi) = (fc_host(), host("a"));
    let all = [port(1), fc_port(1), fc_port(2)];
    let view = world.makes(&wish(&[fc.clone(), iscsi.clone()], &all));
    let expected = [
        pair(&fc, "21000024FF000001"),
        pair(&fc, "21000024FF000002"),
        pair(&iscsi, "1"),
    ];
    assert_eq!(pairs(&world, view), expected.into());
    let plan = world.plan(&Command::DeleteView {
        view,
        delete_unassociated: false,
    });
    assert_eq!(steps(&plan.unwrap()).len(), 3, "and hides no more");
}

#[test]
fn a_view_of_which_nobody_can_reach_anything_is_refused() {
    let mut world = world();
    let sentence = "would show nothing: its initiators, such as 10000090FA000001, are of Fibre Channel \
                    and its ports, such as iqn.2026-01.example:target,t,0x0001, of iSCSI";
    let wrong = wish(&[fc_host()], &[port(1), port(2)]);
    world.refuses(&wrong, Kind::InvalidArgument, sentence);
    world.refuses(
        &wish(&[host("a")], &[fc_port(1)]),
        Kind::InvalidArgument,
        "are of iSCSI and its ports, such as 21000024FF000001, of Fibre Channel",
    );
    // By groups it is no other; as long as one kind is missing, nothing is wrong yet.
    world.does(&Command::CreateInitiator { name: fc_host() });
    let hosts = world.group(Members::Initiators([fc_host()].into()));
    let devices = world.devices(&["v1"]);
    let view = world.view(&[hosts, devices]);
    let ports = world.ports(&[1]);
    let add = |group| Command::AddGroup {
        view,
        group,
        luns: Vec::new(),
    };
    world.refuses(&add(ports), Kind::InvalidArgument, "would show nothing");
    let ports = world.group(Members::Ports([fc_port(1)].into()));
    world.does(&add(ports));
    assert_eq!(
        pairs(&world, view),
        [pair(&fc_host(), "21000024FF000001")].into()
    );
}

#[test]
fn what_is_taken_from_a_view_may_leave_nothing_that_pairs() {
    let mut world = world();
    let (fc, iscsi) = (fc_host(), host("a"));
    let view = world.makes(&wish(&[fc.clone(), iscsi.clone()], &[fc_port(1)]));
    assert_eq!(pairs(&world, view), [pair(&fc, "21000024FF000001")].into());
    let reduce = Command::ReduceView {
        view,
        members: Members::Initiators([fc].into()),
    };
    world.does(&reduce);
    assert_eq!(pairs(&world, view), BTreeSet::new());
    // Whatever is added then must help.
    let expand = |members| Command::ExpandView {
        view,
        members,
        luns: Vec::new(),
    };
    let more = expand(Members::Ports([fc_port(2)].into()));
    world.refuses(&more, Kind::InvalidArgument, "would show nothing");
    world.does(&expand(Members::Ports([port(1)].into())));
    assert_eq!(pairs(&world, view), [pair(&iscsi, "1")].into());
}

#[test]
fn a_port_that_an_initiator_cannot_reach_is_not_one_that_it_sees() {
    let mut world = world();
    let fc = fc_host();
    world.does(&Command::CreateInitiator { name: fc.clone() });
    let hosts = world.group(Members::Initiators([fc].into()));
    let mut view = |first, second, device| {
        let ports = world.group(Members::Ports([first, second].into()));
        let devices = world.devices(&[device]);
        new_view(&[hosts, ports, devices], &[])
    };
    let one = view(fc_port(1), port(1), "v1");
    // It shares with the first a port of iSCSI, through which nobody sees anything.
    let two = view(fc_port(2), port(1), "v2");
    let again = view(fc_port(1), port(2), "v3");
    world.makes(&one);
    world.makes(&two);
    world.refuses(&again, Kind::AlreadyShown, "on port 21000024FF000001");
}
