//! The world outside moves: what is done past the array appears in it.

use standpipe::array::{
    Ailing, Command, DiskUsage, Effect, Health, Inventory, Kind, Map, Members, Owner, Quality,
};
use standpipe::engine::sim::EXTENT;

use std::slice;

use super::rig::{NOTHING, Rig, host, machine};

#[test]
fn what_is_made_and_removed_by_hand_appears_and_disappears() {
    let rig = Rig::new();
    let ours = rig.create("ours", 1);
    let theirs = rig.sim.lvcreate(&rig.pool(), "theirs", EXTENT);
    let theirs = theirs.expect("there is room");
    assert!(rig.wait_until(|now| now.volume(&theirs).is_some()));
    let owner = rig.now().volume(&theirs).map(|volume| volume.owner);
    assert_eq!(owner, Some(Owner::Foreign));
    let (error, job) = rig.fails(Command::DeleteVolumes {
        volumes: vec![theirs.clone()],
    });
    assert_eq!((error.kind, job), (Kind::AccessDenied, None));
    rig.sim.lvremove(&theirs).expect("nobody holds it");
    rig.sim.lvremove(&ours).expect("nobody holds it");
    assert!(rig.wait_until(|now| now.volumes().count() == 0));
}

#[test]
fn what_is_not_well_is_known_until_it_is_well_or_gone() {
    let rig = Rig::new();
    let volume = rig.create("data", 1);
    assert_eq!(rig.now().ailing().count(), 0);
    let now = rig.now();
    let disks: Vec<_> = now.disks().map(|disk| disk.id.clone()).collect();
    let all = |failed| disks.iter().all(|disk| rig.sim.fail_disk(disk, failed));
    assert!(all(true));
    let noted = |now: &Inventory, what: &Ailing| now.ailing().any(|(known, _)| known == what);
    let suffering = [
        Ailing::Pool(rig.pool()),
        Ailing::Volume(volume.clone()),
        Ailing::Disk(disks[0].clone()),
    ];
    assert!(rig.wait_until(|now| suffering.iter().all(|what| noted(now, what))));
    assert!(rig.now().ailing().all(|(_, health)| *health != Health::Ok));
    assert!(all(false));
    assert!(rig.wait_until(|now| now.ailing().count() == 0));

    assert!(all(true));
    assert!(rig.wait_until(|now| noted(now, &Ailing::Volume(volume.clone()))));
    rig.sim.hide_pool(&rig.pool(), true);
    assert!(rig.wait_until(|now| !noted(now, &Ailing::Volume(volume.clone()))));
    assert!(!noted(&rig.now(), &suffering[0]));
}

/// Nobody has to wait for the next look at the machine.
#[test]
fn a_disk_that_a_pool_lets_go_of_is_nobodys_at_once() {
    let rig = Rig::on(machine().spare_disks(3, 41 * EXTENT));
    let Effect::Pool(pool) = rig.done(Command::CreatePool {
        name: Some("ours".into()),
        disks: rig.free_disks(),
    }) else {
        panic!("a pool");
    };
    let Effect::Volumes(made) = rig.done(Command::CreateVolumes {
        pool: pool.clone(),
        names: vec!["twin".into()],
        count: 1,
        size: 2 * EXTENT,
        quality: Quality {
            survives: Some(1),
            copies: Some(2),
            ..Quality::default()
        },
    }) else {
        panic!("a volume");
    };
    let twin = made[0].clone();
    let lost = rig.now().volume(&twin).expect("it was made").pieces[0]
        .disk
        .clone();
    assert!(rig.sim.fail_disk(&lost, true));
    let suffers = Ailing::Volume(twin.clone());
    assert!(rig.wait_until(|now| now.ailing().any(|(known, _)| *known == suffers)));
    rig.done(Command::RepairVolume { volume: twin });
    let now = rig.now();
    assert!(!now.pool(&pool).expect("it is there").disks.contains(&lost));
    let usage = &now.disk(&lost).expect("it is there").usage;
    assert!(matches!(usage, DiskUsage::Taken(_)), "{usage:?}");
}

#[test]
fn a_number_that_somebody_else_took_is_not_given() {
    let rig = Rig::new();
    let theirs = rig.sim.lvcreate(&rig.pool(), "theirs", EXTENT);
    let map = Map {
        port: rig.port(),
        initiator: host("a"),
        lun: 1,
        volume: theirs.expect("there is room"),
    };
    rig.sim.foreign_map(&map).expect("the number is free");
    assert!(rig.wait_until(|now| now.foreign_maps().len() == 1));
    let (_, groups, view) = rig.show_one();
    assert_eq!(rig.luns("a"), [1, 2], "the lowest free number");
    rig.done(Command::DeleteView {
        view,
        delete_unassociated: false,
    });
    let wish = |luns| Command::CreateView {
        name: None,
        groups: groups.to_vec(),
        luns,
    };
    assert_eq!(rig.fails(wish(vec![1])).0.kind, Kind::NumberTaken);
    assert!(matches!(rig.done(wish(vec![3])), Effect::View(_)));
    assert_eq!(rig.luns("a"), [1, 3]);
    let rig = rig.restart(false);
    assert_eq!(rig.luns("a"), [1, 3], "a start leaves it alone");
}

#[test]
fn what_another_manager_shows_is_a_view_of_his_that_nobody_changes_here() {
    let rig = Rig::new();
    let theirs = rig.sim.lvcreate(&rig.pool(), "theirs", EXTENT);
    let map = Map {
        port: rig.port(),
        initiator: host("a"),
        lun: 9,
        volume: theirs.expect("there is room"),
    };
    rig.sim.foreign_map(&map).expect("the number is free");
    assert!(rig.wait_until(|now| now.views().count() == 1));
    let now = rig.now();
    let view = now.views().next().expect("one");
    assert_eq!(view.owner, Owner::Foreign);
    assert_eq!(view.luns, [(map.volume.clone(), 9)].into());
    assert_eq!(
        now.maps_of(view),
        slice::from_ref(&map),
        "who sees it, through which port"
    );
    assert_eq!(now.all_maps(), [], "none of it is this array's to show");

    let group = view.volumes.expect("its devices");
    let removal = Command::DeleteGroup { group, force: true };
    assert_eq!(rig.fails(removal).0.kind, Kind::AccessDenied);
    let removal = Command::DeleteView {
        view: view.id,
        delete_unassociated: true,
    };
    assert_eq!(rig.fails(removal).0.kind, Kind::AccessDenied);
    let removal = Command::DeleteInitiator { name: host("a") };
    assert_eq!(rig.fails(removal.clone()).0.kind, Kind::AccessDenied);
    assert_eq!(rig.luns("a"), [9]);
    // Clients take who is listed for introduced.
    let joined = rig.done(Command::CreateGroup {
        name: None,
        members: Members::Initiators([host("a")].into()),
        delete_on_empty: false,
        delete_when_unassociated: false,
    });
    let Effect::Group(group, _) = joined else {
        panic!("a group");
    };
    let force = false;
    rig.done(Command::DeleteGroup { group, force });

    // The initiator can be this array's, too, and then again only his.
    let (_, groups, ours) = rig.show_one();
    assert_eq!(rig.luns("a"), [1, 9]);
    assert_eq!(rig.now().groups_with_initiator(&host("a")).count(), 2);
    rig.done(Command::DeleteView {
        view: ours,
        delete_unassociated: false,
    });
    for group in groups {
        rig.done(Command::DeleteGroup {
            group,
            force: false,
        });
    }
    rig.done(removal);
    let known = rig.now().initiator(&host("a")).map(|known| known.owner);
    assert_eq!(known, Some(Owner::Foreign));

    let rig = rig.restart(false);
    assert_eq!(
        rig.now().view(&view.id),
        Some(view),
        "known by the same identity"
    );
    assert!(rig.sim.lose_map(&host("a"), &map.port, 9));
    assert!(rig.wait_until(|now| now.views().count() == 0));
    assert!(rig.now().initiator(&host("a")).is_none());
    assert_eq!(rig.now().groups().count(), 0);
}

#[test]
fn a_map_that_could_not_be_hidden_is_hidden_later() {
    let rig = Rig::new();
    let (_, groups, view) = rig.show_one();
    rig.done(Command::DeleteView {
        view,
        delete_unassociated: false,
    });
    let hang = rig.sim.hang_step(1);
    let (error, _) = rig.fails(Command::CreateView {
        name: None,
        groups: groups.to_vec(),
        luns: Vec::new(),
    });
    assert_eq!(error.kind, Kind::Timeout);
    hang.release();
    // The next look of the watcher publishes after it has mended.
    let version = rig.now().version;
    assert!(rig.wait_until(|now| now.version > version));
    assert_eq!(rig.luns("a"), NOTHING);
}

#[test]
fn a_view_of_another_manager_is_taken_over_and_changed_like_any_other() {
    let rig = Rig::new();
    let map = rig.theirs("iqn.2026-01.other:theirs");
    let seen = |rig: &Rig| rig.sim.report_luns(&map.initiator, &map.port);
    let before = seen(&rig).expect("it can log in");
    let naa = rig.now().volume(&map.volume).expect("it is listed").naa;
    assert_eq!(before, [(7, naa)].into());
    let view = rig.view_of_another(&map.port);
    let effect = rig.done(Command::TakeOver { view });
    assert_eq!(effect, Effect::View(view), "under the same identity");
    assert_eq!(seen(&rig), Some(before.clone()));
    rig.assert_whole("taken over");
    let now = rig.now();
    assert_eq!(now.view(&view).expect("it is there").owner, Owner::Array);
    let volume = now.volume(&map.volume).expect("it is listed");
    assert_eq!((volume.owner, volume.naa), (Owner::Array, naa));
    assert_eq!(volume.held_by, None);
    let iqn = map.port.iqn().expect("a port of iSCSI").clone();
    assert!(now.made_target(&iqn).is_some());
    assert!(now.port(&map.port).is_some());
    assert_eq!(now.foreign_maps(), []);
    // His files make it again without a mark when the machine starts, and it stays this array's.
    let mut rig = rig;
    for reboot in [false, true, true] {
        rig = rig.restart(reboot);
        assert_eq!(seen(&rig), Some(before.clone()), "reboot {reboot}");
        rig.assert_whole("after a restart");
        assert_eq!(rig.now().foreign_maps(), []);
    }
    let more = rig.create("more", 1);
    rig.done(Command::ExpandView {
        view,
        members: Members::Volumes(vec![more]),
        luns: Vec::new(),
    });
    assert_eq!(seen(&rig).expect("it can log in").len(), 2);
    rig.done(Command::DeleteView {
        view,
        delete_unassociated: true,
    });
    assert_eq!(seen(&rig), None);
    rig.done(Command::DeleteVolumes {
        volumes: vec![map.volume.clone()],
    });
    rig.done(Command::DeleteTarget {
        target: iqn.clone(),
    });
    rig.assert_whole("removed");
    assert!(!rig.sim.kernel_targets().contains(&iqn));
}

#[test]
fn a_volume_that_others_see_too_is_taken_over_view_by_view() {
    let rig = Rig::new();
    let theirs = rig.sim.lvcreate(&rig.pool(), "theirs", EXTENT);
    let theirs = theirs.expect("there is room");
    let maps = ["a", "b"].map(|name| Map {
        port: rig.port(),
        initiator: host(name),
        lun: 3,
        volume: theirs.clone(),
    });
    for map in &maps {
        rig.sim.foreign_map(map).expect("the number is free");
    }
    assert!(rig.wait_until(|now| now.views().count() == 2));
    let views: Vec<_> = rig.now().views().map(|view| view.id).collect();
    rig.done(Command::TakeOver { view: views[0] });
    rig.assert_whole("one of two");
    assert_eq!(rig.now().foreign_maps().len(), 1);
    // The volume is not removed while the other one sees it.
    rig.done(Command::DeleteView {
        view: views[0],
        delete_unassociated: true,
    });
    let removal = Command::DeleteVolumes {
        volumes: vec![theirs.clone()],
    };
    assert_eq!(rig.fails(removal.clone()).0.kind, Kind::InUse);
    rig.done(Command::TakeOver { view: views[1] });
    rig.done(Command::DeleteView {
        view: views[1],
        delete_unassociated: true,
    });
    rig.done(removal);
    rig.assert_whole("removed");
}
