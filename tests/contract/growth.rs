//! Growth: a volume takes exactly the zeroed extents that were set aside for it.

use standpipe::array::{JobId, Kind, Step, Subject, VolumeId};

use super::Rig;
use super::bench::*;

/// Makes and zeroes a reserve; returns its job.
fn reserve(rig: &dyn Rig, extents: u64) -> JobId {
    let job = JobId::new();
    apply(rig, &create(rig, job, "reserve", extents));
    let volume = made(rig, job);
    apply(rig, &Step::Zero { volume, job });
    job
}

fn absorb(rig: &dyn Rig, volume: &VolumeId, extents: u64, job: JobId) -> Step {
    Step::Absorb {
        volume: volume.clone(),
        reserve: made(rig, job),
        size: extents * extent(rig),
        job,
    }
}

pub fn the_new_part_holds_zeros_and_the_old_part_its_data(rig: &mut dyn Rig) {
    let extent = extent(rig);
    let before = finished(rig, "grows", 2);
    // Something between the two parts, so that they are no neighbours.
    finished(rig, "between", 1);
    let first = map(rig, &before.id, &host("a"), 1);
    apply(rig, &Step::Map(first.clone()));
    assert!(rig.writes(&host("a"), 1, 0..2 * extent, 0x5a));
    apply(rig, &Step::Unmap(first.clone()));

    let job = reserve(rig, 3);
    let free = pool(rig).free;
    apply(rig, &absorb(rig, &before.id, 5, job));
    let after = volume(rig, &before.id).expect("still there");
    assert_eq!((after.size, after.naa), (5 * extent, before.naa));
    assert_eq!((after.name, after.job), (before.name, None));
    assert_eq!(by_device(rig, &device(job)), None);
    assert_eq!(rig.lvs().len(), 2);
    assert_eq!(rig.lvs()[&before.id].1, 5 * extent);
    assert_eq!(pool(rig).free, free);

    apply(rig, &Step::Map(first));
    assert_eq!(rig.capacity(&host("a"), 1), Some(5 * extent));
    assert!(rig.reads(&host("a"), 1, 0..2 * extent, 0x5a));
    assert!(rig.reads(&host("a"), 1, 2 * extent..5 * extent, 0));
}

pub fn growing_twice_is_once(rig: &mut dyn Rig) {
    let id = finished(rig, "grows", 1).id;
    let job = reserve(rig, 1);
    let step = absorb(rig, &id, 2, job);
    apply(rig, &step);
    idle(rig, &step);
}

pub fn a_mapped_volume_grows(rig: &mut dyn Rig) {
    let extent = extent(rig);
    let id = finished(rig, "grows", 1).id;
    apply(rig, &Step::Map(map(rig, &id, &host("a"), 3)));
    assert!(rig.writes(&host("a"), 3, 0..extent, 0x11));
    let job = reserve(rig, 1);
    apply(rig, &absorb(rig, &id, 2, job));
    assert_eq!(rig.capacity(&host("a"), 3), Some(2 * extent));
    assert!(rig.reads(&host("a"), 3, 0..extent, 0x11));
    assert!(rig.reads(&host("a"), 3, extent..2 * extent, 0));
}

pub fn only_the_marked_reserve_is_taken(rig: &mut dyn Rig) {
    let extent = extent(rig);
    let grows = finished(rig, "grows", 1).id;
    let other = finished(rig, "other", 1).id;
    let job = reserve(rig, 1);
    let taking = |reserve, job| Step::Absorb {
        volume: grows.clone(),
        reserve,
        size: 2 * extent,
        job,
    };
    refused(rig, &taking(Subject::Known(other), job), Kind::InUse);
    refused(rig, &taking(made(rig, job), JobId::new()), Kind::InUse);
    let foreign = rig.lvcreate("somebodys", extent);
    refused(
        rig,
        &taking(Subject::Known(foreign), job),
        Kind::AccessDenied,
    );
    // Another job is at the volume.
    let volume = Subject::Known(grows.clone());
    let job_of_other = JobId::new();
    apply(
        rig,
        &Step::Mark {
            volume,
            job: job_of_other,
        },
    );
    refused(rig, &taking(made(rig, job), job), Kind::InUse);
}

pub fn a_wrong_size_is_refused(rig: &mut dyn Rig) {
    let extent = extent(rig);
    let id = finished(rig, "grows", 2).id;
    let job = reserve(rig, 2);
    for size in [0, extent, 3 * extent, 5 * extent, 4 * extent + 512] {
        let step = Step::Absorb {
            volume: id.clone(),
            reserve: made(rig, job),
            size,
            job,
        };
        refused(rig, &step, Kind::InvalidArgument);
    }
    let itself = by_device(rig, &device(job)).expect("the reserve").id;
    let step = absorb(rig, &itself, 4, job);
    refused(rig, &step, Kind::InvalidArgument);
}

pub fn a_lost_reserve_is_an_error(rig: &mut dyn Rig) {
    let id = finished(rig, "grows", 1).id;
    let job = JobId::new();
    refused(rig, &absorb(rig, &id, 2, job), Kind::NotFound);
    let gone = VolumeId::from("000000-0000-0000-0000-0000-0000-000000");
    refused(rig, &absorb(rig, &gone, 2, job), Kind::NotFound);
}
