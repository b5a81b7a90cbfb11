//! Targets that clients make, as administrators and hosts meet them.

use std::net::SocketAddr;

use standpipe::array::{Command, Effect, Iqn, Kind, Members, PortId};

use super::rig::{Medium, Rig, host, machine};

fn portal(text: &str) -> SocketAddr {
    text.parse().expect("an address")
}

/// An address at which the first target listens, and one at which nothing does.
const SHARED: &str = "192.0.2.10:3260";
const FREE: &str = "[2001:db8::10]:3260";

fn port(iqn: &Iqn) -> PortId {
    PortId::Iscsi {
        iqn: iqn.clone(),
        tag: 1,
    }
}

/// The numbers that a host finds behind a port.
fn luns(rig: &Rig, name: &str, port: &PortId) -> Vec<u16> {
    let found = rig.sim.report_luns(&host(name), port);
    found.into_iter().flatten().map(|(lun, _)| lun).collect()
}

/// A view of a new volume for host `b` through one port.
fn show_through(rig: &Rig, port: &PortId) -> standpipe::array::ViewId {
    let volume = rig.create("second", 1);
    let groups = [
        rig.hosts("second hosts", &["b"]),
        rig.group("second ports", Members::Ports([port.clone()].into())),
        rig.group("second devices", Members::Volumes(vec![volume])),
    ];
    rig.view("second view", &groups)
}

#[test]
fn a_group_of_ports_restricts_a_view_to_them() {
    let rig = Rig::on(machine());
    rig.show_one();
    let second = port(&rig.target("Second Target", &[portal(SHARED)]));
    let configured = rig.port();
    let configured = configured.iqn().expect("a port of iSCSI");
    assert_eq!(
        second.iqn(),
        Some(&Iqn::from(format!("{configured}:second-target")))
    );
    show_through(&rig, &second);
    // The host of each view sees its own through its own port, and nothing through the other.
    assert_eq!(
        (luns(&rig, "a", &rig.port()), luns(&rig, "a", &second)),
        (vec![1], vec![])
    );
    assert_eq!(
        (luns(&rig, "b", &rig.port()), luns(&rig, "b", &second)),
        (vec![], vec![1])
    );
    // A group makes no target.
    assert_eq!(rig.now().targets().count(), 2);
    rig.assert_whole("shown");
}

#[test]
fn made_targets_outlive_restarts_and_reboots() {
    let rig = Rig::on(machine());
    let second = port(&rig.target("second", &[portal(FREE)]));
    rig.target("bare", &[]);
    show_through(&rig, &second);
    let before = rig.picture();
    let rig = rig.restart(false);
    assert_eq!(rig.picture(), before);
    assert_eq!(luns(&rig, "b", &second), [1]);
    let rig = rig.restart(true);
    assert_eq!(rig.picture(), before);
    assert_eq!(luns(&rig, "b", &second), [1]);
    rig.assert_whole("after a reboot");
}

#[test]
fn a_target_in_use_stays() {
    let rig = Rig::on(machine());
    let iqn = rig.target("second", &[portal(FREE)]);
    let second = port(&iqn);
    let view = show_through(&rig, &second);
    let delete = || Command::DeleteTarget {
        target: iqn.clone(),
    };
    for refused in [
        delete(),
        Command::ClosePort {
            port: second.clone(),
        },
    ] {
        let (error, job) = rig.fails(refused);
        assert_eq!((error.kind, job), (Kind::InUse, None), "{error}");
        assert!(error.message.contains("second ports"), "{error}");
    }
    assert_eq!(luns(&rig, "b", &second), [1]);
    rig.done(Command::DeleteView {
        view,
        delete_unassociated: true,
    });
    assert_eq!(rig.done(delete()), Effect::Gone);
    assert!(rig.now().target(&iqn).is_none() && rig.now().port(&second).is_none());
    assert_eq!(rig.sim.kernel_targets().len(), 1);
    let (error, _) = rig.fails(delete());
    assert_eq!(error.kind, Kind::NotFound);
    rig.assert_whole("deleted");
}

#[test]
fn what_the_configuration_names_is_not_a_clients_to_change() {
    let rig = Rig::on(machine());
    let first = rig.port();
    let target = first.iqn().expect("a port of iSCSI");
    let open = Command::OpenPort {
        target: target.clone(),
        portals: [portal(FREE)].into(),
    };
    let add = Command::AddPortal {
        port: first.clone(),
        portal: portal(FREE),
    };
    let close = Command::ClosePort {
        port: first.clone(),
    };
    let delete = Command::DeleteTarget {
        target: target.clone(),
    };
    for refused in [open, add, close, delete] {
        let (error, _) = rig.fails(refused);
        assert_eq!(error.kind, Kind::AccessDenied, "{error}");
        assert!(error.message.contains("configuration"), "{error}");
    }
}

#[test]
fn a_lost_store_adopts_made_targets_with_what_they_show() {
    let rig = Rig::on(machine());
    let target = rig.target("second", &[portal(FREE)]);
    let second = port(&target);
    show_through(&rig, &second);
    rig.mortal.die();
    let rig = Rig::start(rig.sim.clone(), Medium::default()).expect("it starts");
    let now = rig.now();
    assert_eq!(now.made_target(&target).expect("adopted").alias, "second");
    assert_eq!(luns(&rig, "b", &second), [1]);
    assert!(
        now.warnings
            .iter()
            .any(|warning| warning.contains("adopted"))
    );
    rig.assert_whole("adopted");
    let rig = rig.restart(true);
    assert_eq!(luns(&rig, "b", &second), [1]);
}

#[test]
fn a_target_of_somebody_else_in_the_way_is_refused_and_stays() {
    let rig = Rig::on(machine());
    let iqn = rig.target("second", &[]);
    rig.sim.foreign_target(&iqn, portal(SHARED));
    let (error, _) = rig.fails(Command::OpenPort {
        target: iqn.clone(),
        portals: [portal(FREE)].into(),
    });
    assert_eq!(error.kind, Kind::AlreadyExists, "{error}");
    assert!(rig.sim.kernel_targets().contains(&iqn));
    assert!(rig.now().port(&port(&iqn)).is_none());
    rig.done(Command::DeleteTarget {
        target: iqn.clone(),
    });
    assert!(rig.sim.kernel_targets().contains(&iqn));
    rig.assert_whole("refused");
}
