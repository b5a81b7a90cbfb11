//! Crashes: a plan is cut between any two steps, the machine restarts, and what was begun can be
//! completed or undone.

use standpipe::array::{Facts, JobId, Layout, Place, Step, Subject, VolumeGroup};

use super::Rig;
use super::bench::*;

/// Restarts and converges to nothing.
fn restart(rig: &mut dyn Rig) {
    rig.reboot();
    rig.engine().converge(&[]).expect("converged");
}

/// The facts without who happens to be logged in.
fn lasting(rig: &dyn Rig) -> Facts {
    Facts {
        sessions: Vec::new(),
        ..scan(rig)
    }
}

pub fn a_creation_cut_anywhere_can_be_undone(rig: &mut dyn Rig) {
    let before = pool(rig);
    // After the last step of a creation nothing is left to undo.
    for cut in 0..=2 {
        let job = JobId::new();
        for step in &creation(rig, job, "cut", 2)[..cut] {
            apply(rig, step);
        }
        restart(rig);
        let marked = scan(rig)
            .volumes
            .into_iter()
            .filter(|volume| volume.job == Some(job));
        assert_eq!(
            marked.count(),
            cut.min(1),
            "the mark survives, cut after step {cut}"
        );
        let volume = made(rig, job);
        apply(rig, &Step::Remove { volume, job });
        assert!(rig.lvs().is_empty(), "cut after step {cut}");
        assert_eq!(pool(rig), before, "cut after step {cut}");
    }
}

pub fn a_creation_cut_anywhere_can_be_completed(rig: &mut dyn Rig) {
    for cut in 0..=2 {
        let job = JobId::new();
        let steps = creation(rig, job, "cut", 2);
        for step in &steps[..cut] {
            apply(rig, step);
        }
        restart(rig);
        for step in &steps {
            apply(rig, step);
        }
        let volume = by_device(rig, &device(job)).expect("it is there");
        assert_eq!(volume.job, None);
        let lun = u16::try_from(cut).expect("small") + 1;
        apply(rig, &Step::Map(map(rig, &volume.id, &host("a"), lun)));
        assert!(
            rig.reads(&host("a"), lun, 0..volume.size, 0),
            "cut after step {cut}"
        );
    }
    assert_eq!(rig.lvs().len(), 3);
}

pub fn a_growth_cut_anywhere_leaves_old_or_new(rig: &mut dyn Rig) {
    let extent = extent(rig);
    let id = finished(rig, "grows", 1).id;
    for cut in 0..=3 {
        let job = JobId::new();
        let size = volume(rig, &id).expect("it is there").size;
        let reserve = made(rig, job);
        let steps = [
            create(rig, job, "reserve", 1),
            Step::Zero {
                volume: reserve.clone(),
                job,
            },
            Step::Absorb {
                volume: id.clone(),
                reserve: reserve.clone(),
                size: size + extent,
                job,
            },
        ];
        for step in &steps[..cut] {
            apply(rig, step);
        }
        restart(rig);
        let undo = Step::Remove {
            volume: reserve,
            job,
        };
        apply(rig, &undo);
        let grown = if cut == 3 { extent } else { 0 };
        assert_eq!(volume(rig, &id).expect("it is there").size, size + grown);
        assert_eq!(rig.lvs().len(), 1, "cut after step {cut}");
    }
}

pub fn a_removal_cut_anywhere_can_be_completed(rig: &mut dyn Rig) {
    let before = pool(rig);
    for cut in 0..=2 {
        let id = finished(rig, "goes", 1).id;
        let (volume, job) = (Subject::Known(id), JobId::new());
        let steps = [
            Step::Mark {
                volume: volume.clone(),
                job,
            },
            Step::Remove { volume, job },
        ];
        for step in &steps[..cut] {
            apply(rig, step);
        }
        restart(rig);
        // What is gone cannot be marked again; the rest can.
        for step in steps.iter().skip(cut) {
            apply(rig, step);
        }
        assert_eq!(pool(rig), before, "cut after step {cut}");
    }
}

pub fn everything_is_the_same_after_a_reboot(rig: &mut dyn Rig) {
    let extent = extent(rig);
    let (one, two) = (finished(rig, "one", 2), finished(rig, "two", 1));
    let job = JobId::new();
    apply(rig, &create(rig, job, "unfinished", 1));
    rig.lvcreate("somebodys", extent);
    let maps = [
        map(rig, &one.id, &host("a"), 5),
        map(rig, &two.id, &host("a"), 6),
    ];
    for map in &maps {
        apply(rig, &Step::Map(map.clone()));
    }
    assert!(rig.writes(&host("a"), 5, extent..2 * extent, 0x77));
    let (facts, listed, seen) = (lasting(rig), rig.lvs(), rig.luns(&host("a")));

    rig.reboot();
    assert_eq!(rig.lvs(), listed);
    assert_eq!(scan(rig).volumes, facts.volumes);
    rig.engine().converge(&maps).expect("converged");
    assert_eq!(lasting(rig), facts);
    assert_eq!(rig.luns(&host("a")), seen);
    assert!(rig.reads(&host("a"), 5, extent..2 * extent, 0x77));
    assert!(rig.reads(&host("a"), 5, 0..extent, 0));
    // A new volume gets a new identity and no extent that is taken.
    let three = finished(rig, "three", 1);
    assert!(!listed.contains_key(&three.id));
    assert!(rig.reads(&host("a"), 5, extent..2 * extent, 0x77));
}

pub fn ports_are_closed_until_converged(rig: &mut dyn Rig) {
    let volume = finished(rig, "shown", 1);
    let shown = map(rig, &volume.id, &host("a"), 1);
    apply(rig, &Step::Map(shown.clone()));
    assert!(scan(rig).targets[0].ports[0].enabled);
    rig.reboot();
    assert_eq!(rig.luns(&host("a")), None);
    let targets = scan(rig).targets;
    let mut ports = targets.iter().flat_map(|target| &target.ports);
    assert!(ports.all(|port| !port.enabled), "a port is open early");
    rig.engine().converge(&[shown]).expect("converged");
    assert!(scan(rig).targets[0].ports[0].enabled);
    assert_eq!(rig.luns(&host("a")), Some([(1, volume.naa)].into()));
}

pub fn every_change_moves_the_fingerprint(rig: &mut dyn Rig) {
    let mark = |rig: &dyn Rig| rig.engine().fingerprint().expect("a mark");
    let mut last = mark(rig);
    assert_eq!(mark(rig), last, "nothing has changed");
    let job = JobId::new();
    let [create, zero, unmark] = creation(rig, job, "watched", 1);
    apply(rig, &create);
    apply(rig, &zero);
    let id = by_device(rig, &device(job)).expect("it is there").id;
    let mut moved = |rig: &dyn Rig, what: &str| {
        let now = mark(rig);
        assert_ne!(std::mem::replace(&mut last, now), now, "{what}");
    };
    moved(rig, "create");
    apply(rig, &unmark);
    moved(rig, "unmark");
    apply(
        rig,
        &Step::Rename {
            volume: id.clone(),
            name: "seen".to_owned(),
        },
    );
    moved(rig, "rename");
    rig.lvcreate("somebodys", extent(rig));
    moved(rig, "a foreign volume");
    apply(rig, &Step::Map(map(rig, &id, &host("a"), 1)));
    moved(rig, "map");
    apply(rig, &Step::Unmap(map(rig, &id, &host("a"), 1)));
    moved(rig, "unmap");
}

pub fn pools_legs_and_thin_volumes_are_the_same_after_a_reboot(rig: &mut dyn Rig) {
    let group = wide_group(rig);
    let layout = Layout::Parity {
        stripes: 2,
        parity: 1,
    };
    let raid = finished_at(rig, &group, 4, &on_last(&group, layout));
    let job = JobId::new();
    let create = Step::CreateThinPool {
        group: group.id.clone(),
        device: device(job),
        name: "thin".to_owned(),
        size: 8 * group.extent,
        metadata: group.extent,
        job,
    };
    apply(rig, &create);
    let volume = Subject::Made(group.id.clone(), device(job));
    apply(rig, &Step::Unmark { volume, job });
    let facts = rig.engine().scan_group(&group.id).expect("the group");
    let place = Place::Thin(facts.thin_pools[0].id.clone());
    let thin = finished_at(rig, &group, 20, &place);
    let extent = group.extent;
    let maps = [
        map(rig, &raid.id, &host("a"), 1),
        map(rig, &thin.id, &host("a"), 2),
    ];
    for map in &maps {
        apply(rig, &Step::Map(map.clone()));
    }
    assert!(rig.writes(&host("a"), 1, extent..2 * extent, 0x71));
    assert!(rig.writes(&host("a"), 2, 10 * extent..12 * extent, 0x72));
    let facts = lasting(rig);

    rig.reboot();
    rig.engine()
        .manage(&[VolumeGroup::Known(group.id)], &[])
        .expect("the groups are listed");
    rig.engine().converge(&maps).expect("converged");
    assert_eq!(lasting(rig), facts);
    assert_eq!(rig.thin_used(&thin.id), 2 * extent);
    let a = host("a");
    assert!(rig.reads(&a, 1, extent..2 * extent, 0x71));
    assert!(rig.reads(&a, 1, 2 * extent..4 * extent, 0));
    assert!(rig.reads(&a, 2, 10 * extent..12 * extent, 0x72));
    assert!(rig.reads(&a, 2, 12 * extent..20 * extent, 0));
    // New volumes take nothing that is taken.
    finished_at(rig, &facts_group(rig, &raid.pool), 4, &Place::ANYWHERE);
    assert!(rig.reads(&a, 1, extent..2 * extent, 0x71));
    assert!(rig.reads(&a, 2, 10 * extent..12 * extent, 0x72));
}

fn facts_group(rig: &dyn Rig, id: &standpipe::array::PoolId) -> standpipe::array::Pool {
    rig.engine().scan_group(id).expect("the group").group
}
