//! Storage Relocation: volumes and pools are moved to other disks while they are used.
//!
//! A volume moves to the extents that are named. A thin pool does, too, within its volume group. A
//! volume group that is moved lies on exactly these extents afterwards: free ones join it, what lies
//! on its others is moved, and those are free then. That is how a disk is emptied.

use super::storage::{job_outcome, needed};
use super::{Gateway, settings};
use crate::array::{Command, DiskId};
use crate::broker::Invocation;
use crate::cim::CimError;
use crate::identity::Identity;
use crate::schema::Outcome;
use crate::schema::method::CIM_StorageRelocationService::{
    RelocateStoragePoolToStorageExtents as MovePool,
    RelocateStorageVolumeToStorageExtents as MoveVolume,
};
use crate::smis::element::Element;
use crate::smis::view::View;
use crate::smis::volumes;

impl Gateway {
    pub(super) async fn invoke_relocation(
        &self,
        who: &Identity,
        call: &Invocation<View>,
    ) -> Result<Outcome, CimError> {
        if let Some(arguments) = call.of(MoveVolume) {
            let element = call.element(&arguments, MoveVolume::TheElement)?;
            let Some(Element::Volume(volume)) = element else {
                return Err(CimError::invalid_parameter(
                    "TheElement is needed; name the volume that is to be moved",
                ));
            };
            let present = volumes::volume(&call.snapshot, &volume);
            let present = present.ok_or_else(|| CimError::not_found("the volume is gone"))?;
            let goal = call.element(&arguments, MoveVolume::TargetSettingGoal)?;
            if goal.is_some()
                && settings::goal(&call.snapshot, goal)?.quality.layout()? != present.layout
            {
                return Err(CimError::not_supported(
                    "what is moved keeps its quality of service; leave TargetSettingGoal out, and \
                     change it by CreateOrModifyElementFromStoragePool",
                ));
            }
            let onto = disks(call.elements(&arguments, MoveVolume::InElements)?)?;
            let command = Command::MoveVolume { volume, onto };
            let ran = self.run(who, command).await?;
            return job_outcome!(self, MoveVolume, ran);
        }
        if let Some(arguments) = call.of(MovePool) {
            let pool = match call.element(&arguments, MovePool::TheElement)? {
                Some(Element::Pool(pool)) => pool,
                Some(Element::PrimordialPool) => {
                    return Err(CimError::not_supported(
                        "the primordial pool is what disks there are and is not moved",
                    ));
                }
                _ => {
                    return Err(CimError::invalid_parameter(
                        "TheElement is needed; name the pool that is to be moved",
                    ));
                }
            };
            let goal = call.element(&arguments, MovePool::TargetSettingGoal)?;
            if goal.is_some_and(|goal| goal != Element::PoolSetting(pool.clone())) {
                return Err(CimError::not_supported(
                    "a pool that is moved keeps its quality of service; leave TargetSettingGoal out",
                ));
            }
            let onto = disks(call.elements(&arguments, MovePool::InElements)?)?;
            let ran = self.run(who, Command::MovePool { pool, onto }).await?;
            return job_outcome!(self, MovePool, ran);
        }
        Err(call.not_available())
    }
}

/// The disks that something is to lie on.
fn disks(elements: Option<Vec<Element>>) -> Result<Vec<DiskId>, CimError> {
    let elements = needed(
        elements,
        "InElements is needed; name the extents that it is to lie on",
    )?;
    let disks = elements.into_iter().map(|element| match element {
        Element::Extent(disk) => Ok(disk),
        _ => Err(CimError::invalid_parameter(
            "InElements names something that is no extent of a disk",
        )),
    });
    disks.collect()
}
