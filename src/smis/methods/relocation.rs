//! Storage Relocation: volumes and pools are moved to other disks while they are used, and volumes
//! into other pools while they are not.
//!
//! A volume moves to the extents that are named. A thin pool does, too, within its volume group. A
//! volume group that is moved lies on exactly these extents afterwards: free ones join it, what lies
//! on its others is moved, and those are free then. That is how a disk is emptied.

use super::storage::{job_outcome, needed};
use super::volumes::{made, pool_for_volumes, volume};
use super::{Gateway, settings};
use crate::array::{Command, DiskId};
use crate::broker::Invocation;
use crate::cim::CimError;
use crate::identity::Identity;
use crate::schema::method::CIM_StorageRelocationService::{
    RelocateStoragePoolToStorageExtents as MovePool,
    RelocateStorageVolumeToStorageExtents as MoveVolume,
    RelocateStorageVolumesToStoragePool as Relocate,
};
use crate::schema::{Arguments, Outcome, Outputs};
use crate::smis::element::Element;
use crate::smis::view::View;
use crate::smis::volumes;

impl Gateway {
    pub(super) async fn invoke_relocation(
        &self,
        who: &Identity,
        call: &Invocation<View>,
    ) -> Result<Outcome, CimError> {
        if let Some(arguments) = call.of(Relocate) {
            return self.relocate_volumes(who, call, &arguments).await;
        }
        if let Some(arguments) = call.of(MoveVolume) {
            return self.move_volume(who, call, &arguments).await;
        }
        if let Some(arguments) = call.of(MovePool) {
            return self.move_pool(who, call, &arguments).await;
        }
        Err(call.not_available())
    }

    /// The volumes are others afterwards: the call, or its job, says which.
    async fn relocate_volumes(
        &self,
        who: &Identity,
        call: &Invocation<View>,
        arguments: &Arguments<Relocate>,
    ) -> Result<Outcome, CimError> {
        let volumes = needed(
            call.elements(arguments, Relocate::TheElements)?,
            "TheElements is needed; name the volumes that are to be moved",
        )?;
        let volumes = volumes.into_iter();
        let volumes = volumes.map(|element| volume(Some(element), "TheElements"));
        let target = needed(
            call.element(arguments, Relocate::TargetPool)?,
            "TargetPool is needed; name the pool that they are to lie in",
        )?;
        let goal = call.element(arguments, Relocate::TargetSettingGoal)?;
        let goal = goal.map(|goal| settings::goal(&call.snapshot, Some(goal)));
        let command = Command::RelocateVolumes {
            volumes: volumes.collect::<Result<_, _>>()?,
            pool: pool_for_volumes(&target, "TargetPool")?,
            quality: goal.transpose()?.map(|goal| goal.quality),
        };
        let ran = self.run(who, command).await?;
        let (code, job) = ran.code();
        let outputs = Outputs::new(Relocate).set(Relocate::Job, self.path(Element::Job(job)));
        let Some(volumes) = made(ran) else {
            return Ok(outputs.returns(code));
        };
        let paths = volumes.into_iter().map(|id| self.path(Element::Volume(id)));
        Ok(outputs
            .set(Relocate::TheElements, paths.collect::<Vec<_>>())
            .returns(code))
    }

    async fn move_volume(
        &self,
        who: &Identity,
        call: &Invocation<View>,
        arguments: &Arguments<MoveVolume>,
    ) -> Result<Outcome, CimError> {
        let element = call.element(arguments, MoveVolume::TheElement)?;
        let Some(Element::Volume(volume)) = element else {
            return Err(CimError::invalid_parameter(
                "TheElement is needed; name the volume that is to be moved",
            ));
        };
        let present = volumes::volume(&call.snapshot, &volume);
        let present = present.ok_or_else(|| CimError::not_found("the volume is gone"))?;
        let goal = call.element(arguments, MoveVolume::TargetSettingGoal)?;
        if goal.is_some()
            && settings::goal(&call.snapshot, goal)?.quality.layout()? != present.layout
        {
            return Err(CimError::not_supported(
                "what is moved keeps its quality of service; leave TargetSettingGoal out, and \
                 change it by CreateOrModifyElementFromStoragePool",
            ));
        }
        let onto = disks(call.elements(arguments, MoveVolume::InElements)?)?;
        let command = Command::MoveVolume { volume, onto };
        let ran = self.run(who, command).await?;
        job_outcome!(self, MoveVolume, ran)
    }

    async fn move_pool(
        &self,
        who: &Identity,
        call: &Invocation<View>,
        arguments: &Arguments<MovePool>,
    ) -> Result<Outcome, CimError> {
        let pool = match call.element(arguments, MovePool::TheElement)? {
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
        let goal = call.element(arguments, MovePool::TargetSettingGoal)?;
        if goal.is_some_and(|goal| goal != Element::PoolSetting(pool.clone())) {
            return Err(CimError::not_supported(
                "a pool that is moved keeps its quality of service; leave TargetSettingGoal out",
            ));
        }
        let onto = disks(call.elements(arguments, MovePool::InElements)?)?;
        let ran = self.run(who, Command::MovePool { pool, onto }).await?;
        job_outcome!(self, MovePool, ran)
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
