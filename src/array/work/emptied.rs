//! What lies on the disks that a plan empties, when nothing new comes there any more.

use crate::array::engine::Engine;
use crate::array::error::Error;
use crate::array::ids::DiskId;
use crate::array::model::Piece;
use crate::array::plan::Plan;
use crate::array::step::{Step, Subject};

/// Looks again when nothing new comes to the disks that a plan empties any more: what did since it was
/// made is told at once, not at the end of the last move, which may be tomorrow.
pub(super) fn look_again(plan: &Plan, taken: usize, engine: &dyn Engine) -> Result<(), Error> {
    let closes = |place: usize| match plan.steps.get(place).map(|planned| &planned.step) {
        Some(Step::CloseDisk { group, .. }) => Some(group),
        _ => None,
    };
    let (Some(group), None) = (closes(taken), closes(taken + 1)) else {
        return Ok(());
    };
    let facts = engine.scan_group(group)?;
    let moves = |what: &Subject, on: &DiskId| {
        plan.steps.iter().any(|planned| {
            matches!(&planned.step, Step::Move { what: w, from, .. } if w == what && from == on)
        })
    };
    let closed = plan.steps.iter().filter_map(|planned| match &planned.step {
        Step::CloseDisk { disk, .. } => Some(disk),
        _ => None,
    });
    for disk in closed {
        let on = |pieces: &[Piece]| pieces.iter().any(|piece| piece.disk == *disk);
        let volumes = facts.volumes.iter().filter(|volume| on(&volume.pieces));
        let volumes = volumes.map(|v| (Subject::Known(v.id.clone()), &v.name, "volume"));
        let pools = facts.thin_pools.iter();
        let pools = pools.filter(|pool| pool.disks.contains(disk));
        let pools = pools.map(|pool| (Subject::Pool(pool.id.clone()), &pool.name, "pool"));
        let mut all = volumes.chain(pools);
        if let Some((_, name, noun)) = all.find(|(what, ..)| !moves(what, disk)) {
            return Err(Error::in_use(format!(
                "{noun} '{name}' has come to lie on a disk that is to be empty; ask again"
            )));
        }
    }
    Ok(())
}
