//! Thin pools and thin volumes: what they take, how they fill, and how they heal.

use standpipe::array::{
    Health, JobId, Kind, Layout, Owner, Place, Pool, PoolId, PoolKind, Step, Subject, Thin, Volume,
};

use super::Rig;
use super::bench::*;

/// The step that makes a thin pool with one extent for metadata.
fn create(group: &Pool, job: JobId, name: &str, extents: u64) -> Step {
    Step::CreateThinPool {
        group: group.id.clone(),
        device: device(job),
        name: name.to_owned(),
        size: extents * group.extent,
        metadata: group.extent,
        job,
    }
}

fn made_in(group: &Pool, job: JobId) -> Subject {
    Subject::Made(group.id.clone(), device(job))
}

pub fn thin_of(pool: &Pool) -> &Thin {
    pool.thin().expect("it is thin")
}

/// A finished thin pool in the rig's pool; its group before it.
pub fn thin_pool(rig: &dyn Rig, extents: u64) -> (Pool, Pool) {
    let group = pool(rig);
    let job = JobId::new();
    apply(rig, &create(&group, job, "thin", extents));
    let volume = made_in(&group, job);
    apply(rig, &Step::Unmark { volume, job });
    let mut pools = scan(rig).pools.into_iter();
    let made = pools.find(|pool| pool.device == device(job));
    (made.expect("the thin pool that was made"), group)
}

fn now(rig: &dyn Rig, pool: &Pool) -> Pool {
    pool_now(rig, &pool.id).expect("it is there")
}

/// A finished volume in a thin pool, shown to host `a`.
fn shown(rig: &dyn Rig, pool: &Pool, extents: u64, lun: u16) -> Volume {
    let made = finished_at(rig, pool, extents, &Place::Thin(pool.id.clone()));
    apply(rig, &Step::Map(map(rig, &made.id, &host("a"), lun)));
    made
}

pub fn a_thin_pool_takes_its_room_and_gives_it_back(rig: &mut dyn Rig) {
    let before = pool(rig);
    let job = JobId::new();
    let step = create(&before, job, "Dünn, #1", 8);
    apply(rig, &step);
    idle(rig, &step);
    let facts = rig.engine().scan_group(&before.id).expect("the pool");
    let [made] = &facts.thin_pools[..] else {
        panic!("one thin pool: {:?}", facts.thin_pools);
    };
    assert_eq!((&*made.name, made.owner), ("Dünn, #1", Owner::Array));
    assert_eq!((made.job, &made.health), (Some(job), &Health::Ok));
    assert_eq!((made.size, made.free), (8 * before.extent, made.size));
    assert!(made.available > 0);
    let thin = thin_of(made);
    assert_eq!((&thin.group, thin.promised), (&before.id, 0));
    assert_eq!(thin.metadata, before.extent);
    assert_eq!(thin.consumed, 9 * before.extent);
    assert_eq!(thin.layout, Layout::Linear);
    assert_eq!(
        thin.pieces.iter().map(|piece| piece.length).sum::<u64>(),
        made.size
    );
    // The spare for its metadata is the group's.
    let PoolKind::Group { spare } = facts.group.kind else {
        panic!("a group");
    };
    assert_eq!(spare, before.extent);
    assert_eq!(before.free - facts.group.free, thin.consumed + spare);
    assert!(facts.volumes.is_empty(), "a pool is no volume");
    let listed = rig.lvs();
    let listed: Vec<_> = listed.values().collect();
    assert_eq!(listed, [&(device(job), made.size)]);

    let volume = made_in(&before, job);
    let remove = Step::Remove { volume, job };
    apply(rig, &remove);
    assert_eq!(pool(rig), before);
    assert_eq!(pool_now(rig, &made.id), None);
    assert!(rig.lvs().is_empty());
    idle(rig, &remove);
}

pub fn an_impossible_thin_pool_is_refused(rig: &mut dyn Rig) {
    let group = pool(rig);
    let job = JobId::new();
    let free = group.available / group.extent;
    // Data, metadata, and the spare.
    refused(rig, &create(&group, job, "big", free - 1), Kind::NoSpace);
    let odd = |size: u64, metadata: u64| Step::CreateThinPool {
        group: group.id.clone(),
        device: device(job),
        name: "odd".to_owned(),
        size,
        metadata,
        job,
    };
    let extent = group.extent;
    for (size, metadata) in [(0, extent), (extent + 512, extent), (extent, 512)] {
        refused(rig, &odd(size, metadata), Kind::InvalidArgument);
    }
    let nowhere = Step::CreateThinPool {
        group: PoolId::from("000000-0000-0000-0000-0000-0000-000000"),
        device: device(job),
        name: "nowhere".to_owned(),
        size: extent,
        metadata: extent,
        job,
    };
    refused(rig, &nowhere, Kind::NotFound);
    apply(rig, &create(&group, job, "first", 4));
    refused(rig, &create(&group, job, "first", 5), Kind::AlreadyExists);
    // Volumes are made in finished thin pools only.
    let made = rig.engine().scan_group(&group.id).expect("the pool");
    let place = Place::Thin(made.thin_pools[0].id.clone());
    let volume = creation_at(&group, JobId::new(), 1, &place).remove(0);
    refused(rig, &volume, Kind::InUse);
    let gone = Place::Thin(PoolId::from("no such pool"));
    let volume = creation_at(&group, JobId::new(), 1, &gone).remove(0);
    refused(rig, &volume, Kind::NotFound);
}

pub fn only_a_marked_unused_thin_pool_is_removed(rig: &mut dyn Rig) {
    let (thin, group) = thin_pool(rig, 8);
    let (job, other) = (JobId::new(), JobId::new());
    let subject = || Subject::Pool(thin.id.clone());
    let mark = |job| Step::Mark {
        volume: subject(),
        job,
    };
    let remove = |job| Step::Remove {
        volume: subject(),
        job,
    };
    refused(rig, &remove(job), Kind::InUse);
    apply(rig, &mark(job));
    idle(rig, &mark(job));
    assert_eq!(now(rig, &thin).job, Some(job));
    refused(rig, &mark(other), Kind::InUse);
    refused(rig, &remove(other), Kind::InUse);
    let unmark = Step::Unmark {
        volume: subject(),
        job,
    };
    apply(rig, &unmark);
    idle(rig, &unmark);
    let volume = finished_at(rig, &thin, 1, &Place::Thin(thin.id.clone()));
    apply(rig, &mark(job));
    refused(rig, &remove(job), Kind::InUse);
    let known = Subject::Known(volume.id);
    apply(
        rig,
        &Step::Mark {
            volume: known.clone(),
            job,
        },
    );
    apply(rig, &Step::Remove { volume: known, job });
    apply(rig, &remove(job));
    assert_eq!(pool(rig), group);
    idle(rig, &remove(job));
}

pub fn a_thin_volume_takes_what_is_written(rig: &mut dyn Rig) {
    let (thin, _) = thin_pool(rig, 16);
    let extent = thin.extent;
    let a = host("a");
    let made = shown(rig, &thin, 40, 1);
    assert_eq!((&made.pool, made.size), (&thin.id, 40 * extent));
    assert_eq!((made.consumed, made.layout), (Some(0), Layout::Linear));
    assert!(made.pieces.is_empty());
    assert_eq!(rig.thin_used(&made.id), 0);
    assert_eq!(thin_of(&now(rig, &thin)).promised, made.size);
    assert_eq!(rig.capacity(&a, 1), Some(made.size));
    assert!(rig.reads(&a, 1, 0..4 * extent, 0));
    assert!(rig.reads(&a, 1, 39 * extent..40 * extent, 0));
    assert_eq!(rig.thin_used(&made.id), 0, "reading takes nothing");

    assert!(rig.writes(&a, 1, 3 * extent..5 * extent, 0x17));
    assert!(rig.writes(&a, 1, 39 * extent..40 * extent, 0x18));
    assert!(rig.writes(&a, 1, 4 * extent..5 * extent, 0x19));
    assert_eq!(rig.thin_used(&made.id), 3 * extent);
    let after = volume(rig, &made.id).expect("it is there");
    assert_eq!(after.consumed, Some(3 * extent));
    let pool = now(rig, &thin);
    assert_eq!((pool.size, pool.free), (thin.size, thin.size - 3 * extent));
    for (extents, byte) in [
        (2..3, 0),
        (3..4, 0x17),
        (4..5, 0x19),
        (5..6, 0),
        (39..40, 0x18),
    ] {
        let range = extents.start * extent..extents.end * extent;
        assert!(rig.reads(&a, 1, range, byte), "{extents:?}");
    }
    // A second one sees nothing of it.
    shown(rig, &thin, 4, 2);
    assert!(rig.reads(&a, 2, 0..4 * extent, 0));
}

pub fn a_thin_volume_grows(rig: &mut dyn Rig) {
    let (thin, _) = thin_pool(rig, 8);
    let extent = thin.extent;
    let made = shown(rig, &thin, 2, 1);
    assert!(rig.writes(&host("a"), 1, 0..2 * extent, 0x21));
    let grow = |volume: &Volume, extents: u64| Step::GrowThin {
        volume: volume.id.clone(),
        size: extents * extent,
    };
    apply(rig, &grow(&made, 30));
    idle(rig, &grow(&made, 30));
    let after = volume(rig, &made.id).expect("it is there");
    assert_eq!((after.size, after.naa), (30 * extent, made.naa));
    assert_eq!(rig.thin_used(&made.id), 2 * extent);
    assert_eq!(rig.capacity(&host("a"), 1), Some(30 * extent));
    assert!(rig.reads(&host("a"), 1, 0..2 * extent, 0x21));
    assert!(rig.reads(&host("a"), 1, 2 * extent..30 * extent, 0));
    for extents in [0, 29] {
        refused(rig, &grow(&made, extents), Kind::InvalidArgument);
    }
    let thick = finished(rig, "thick", 1);
    refused(rig, &grow(&thick, 2), Kind::InvalidArgument);
    let shrink = Step::Shrink {
        volume: made.id,
        size: extent,
    };
    refused(rig, &shrink, Kind::InvalidArgument);
}

pub fn a_removed_thin_volume_gives_its_room_back(rig: &mut dyn Rig) {
    let (thin, _) = thin_pool(rig, 4);
    let extent = thin.extent;
    let made = shown(rig, &thin, 4, 1);
    assert!(rig.writes(&host("a"), 1, 0..3 * extent, 0x31));
    assert_eq!(now(rig, &thin).free, extent);
    apply(rig, &Step::Unmap(map(rig, &made.id, &host("a"), 1)));
    let (job, volume) = (JobId::new(), Subject::Known(made.id));
    let mark = Step::Mark {
        volume: volume.clone(),
        job,
    };
    apply(rig, &mark);
    apply(rig, &Step::Remove { volume, job });
    let pool = now(rig, &thin);
    assert_eq!((pool.free, thin_of(&pool).promised), (4 * extent, 0));
    // What the next one is given are blocks that held something.
    shown(rig, &thin, 4, 2);
    assert!(rig.writes(&host("a"), 2, extent..2 * extent, 0x32));
    assert!(rig.reads(&host("a"), 2, 0..extent, 0));
    assert!(rig.reads(&host("a"), 2, 2 * extent..4 * extent, 0));
}

pub fn a_full_thin_pool_heals_when_it_grows(rig: &mut dyn Rig) {
    let (thin, group) = thin_pool(rig, 4);
    let extent = thin.extent;
    let a = host("a");
    let made = shown(rig, &thin, 10, 1);
    assert!(rig.writes(&a, 1, 0..4 * extent, 0x44));
    assert!(!rig.writes(&a, 1, 4 * extent..5 * extent, 0x45));
    let full = now(rig, &thin);
    assert_eq!((full.free, full.available), (0, 0));
    let volume = volume(rig, &made.id).expect("it is there");
    for health in [&full.health, &volume.health] {
        let is_told = matches!(health, Health::Degraded(why) if why.contains("grow"));
        assert!(is_told, "what is read still is no failure: {health:?}");
    }
    assert!(rig.reads(&a, 1, 0..4 * extent, 0x44), "what is there stays");
    let place = Place::Thin(thin.id.clone());
    let more = creation_at(&group, JobId::new(), 1, &place).remove(0);
    refused(rig, &more, Kind::NoSpace);

    let grow = Step::GrowThinPool {
        pool: thin.id.clone(),
        size: 8 * extent,
        metadata: extent,
    };
    apply(rig, &grow);
    let healed = now(rig, &thin);
    assert_eq!((&healed.health, healed.size), (&Health::Ok, 8 * extent));
    assert!(healed.available > 0);
    assert!(rig.writes(&a, 1, 4 * extent..5 * extent, 0x45));
    assert!(rig.reads(&a, 1, 0..4 * extent, 0x44));
    assert!(rig.reads(&a, 1, 4 * extent..5 * extent, 0x45));
    apply(rig, &more);
}

pub fn a_thin_pool_grows_within_its_group(rig: &mut dyn Rig) {
    let (thin, _) = thin_pool(rig, 4);
    let extent = thin.extent;
    let grow = |data: u64, metadata: u64| Step::GrowThinPool {
        pool: thin.id.clone(),
        size: data * extent,
        metadata: metadata * extent,
    };
    idle(rig, &grow(4, 1));
    idle(rig, &grow(1, 1));
    let free = pool(rig).free;
    apply(rig, &grow(6, 2));
    idle(rig, &grow(6, 2));
    let grown = now(rig, &thin);
    assert_eq!((grown.size, grown.free), (6 * extent, 6 * extent));
    assert_eq!(thin_of(&grown).metadata, 2 * extent);
    // The spare of the group is as large as the largest metadata.
    assert_eq!(pool(rig).kind, PoolKind::Group { spare: 2 * extent });
    assert_eq!(free - pool(rig).free, 4 * extent);
    let most = pool(rig).available / extent;
    refused(rig, &grow(6 + most + 1, 2), Kind::NoSpace);
    let odd = Step::GrowThinPool {
        pool: thin.id.clone(),
        size: 7 * extent + 512,
        metadata: extent,
    };
    refused(rig, &odd, Kind::InvalidArgument);
    let not_thin = Step::GrowThinPool {
        pool: rig.pool(),
        size: extent,
        metadata: extent,
    };
    refused(rig, &not_thin, Kind::NotFound);
}

pub fn a_thin_pool_is_renamed(rig: &mut dyn Rig) {
    let (thin, _) = thin_pool(rig, 2);
    let rename = Step::RenamePool {
        pool: thin.id.clone(),
        name: "Other = 1 %".to_owned(),
    };
    apply(rig, &rename);
    idle(rig, &rename);
    let renamed = now(rig, &thin);
    assert_eq!(renamed.name, "Other = 1 %");
    assert_eq!(renamed.device, thin.device);
}
