//! The methods that make, change, return and repair volumes.

use super::settings::goal;
use super::storage::{DONE, IN_USE, SIZE_NOT_SUPPORTED, job_outcome, needed, possible};
use super::{Gateway, Ran};
use crate::array::{Command, Effect, Error, Kind, Pool, PoolId, Quality, VolumeId};
use crate::broker::{Invocation, Snapshot as _};
use crate::cim::{CimError, ObjectPath, Status};
use crate::identity::Identity;
use crate::schema::method::CIM_SpareConfigurationService::RebuildStorageExtent as Rebuild;
use crate::schema::method::CIM_StorageConfigurationService::{
    CreateElementsFromStoragePools as CreateMany,
    CreateOrModifyElementFromStoragePool as CreateOrModify,
    ReturnElementsToStoragePool as ReturnMany, ReturnToStoragePool as Return,
};
use crate::schema::{Arguments, Outcome, Outputs};
use crate::smis::element::Element;
use crate::smis::view::View;
use crate::smis::volumes;

/// `ElementType` in the creating methods: of a volume of whatever kind, of a thin one, of a fully
/// provisioned one.
const VOLUME: u16 = 2;
const THIN: u16 = 5;
const FULL: u16 = 7;

/// `Options`: go on when a volume does not exist, or return an error.
const CONTINUE: u16 = 2;
const RETURN_ERROR: u16 = 3;

impl Gateway {
    pub(super) async fn create_or_modify_volume(
        &self,
        who: &Identity,
        call: &Invocation<View>,
        arguments: &Arguments<CreateOrModify>,
    ) -> Result<Outcome, CimError> {
        let command = match call.element(arguments, CreateOrModify::TheElement)? {
            Some(element) => modification(call, arguments, element)?,
            None => creation(call, arguments)?,
        };
        let outputs = Outputs::new(CreateOrModify);
        let (volumes, code, outputs) = match self.run(who, command).await {
            Ok(ran) => {
                let (code, job) = ran.code();
                let job = self.path(Element::Job(job));
                (made(ran), code, outputs.set(CreateOrModify::Job, job))
            }
            Err(error) => return other_size(error, |size| outputs.set(CreateOrModify::Size, size)),
        };
        let Some(volumes) = volumes else {
            return Ok(outputs.returns(code));
        };
        let size = self.size_of(&volumes);
        let volume = volumes.into_iter().next();
        let volume = volume.ok_or_else(|| CimError::failed("the volume is gone already"))?;
        Ok(outputs
            .set(
                CreateOrModify::TheElement,
                self.path(Element::Volume(volume)),
            )
            .set(CreateOrModify::Size, size)
            .returns(code))
    }

    pub(super) async fn create_volumes(
        &self,
        who: &Identity,
        call: &Invocation<View>,
        arguments: &Arguments<CreateMany>,
    ) -> Result<Outcome, CimError> {
        let command = creations(call, arguments)?;
        let outputs = Outputs::new(CreateMany);
        let (volumes, code, outputs) = match self.run(who, command).await {
            Ok(ran) => {
                let (code, job) = ran.code();
                let job = self.path(Element::Job(job));
                (made(ran), code, outputs.set(CreateMany::Job, job))
            }
            Err(error) => return other_size(error, |size| outputs.set(CreateMany::Size, size)),
        };
        let Some(volumes) = volumes else {
            return Ok(outputs.returns(code));
        };
        let size = self.size_of(&volumes);
        let paths = volumes.into_iter().map(|id| self.path(Element::Volume(id)));
        Ok(outputs
            .set(CreateMany::TheElements, paths.collect::<Vec<_>>())
            .set(CreateMany::Size, size)
            .returns(code))
    }

    /// Bytes of volumes that were made together.
    fn size_of(&self, volumes: &[VolumeId]) -> Option<u64> {
        let inventory = self.array.snapshot();
        let volume = inventory.volume(volumes.first()?)?;
        Some(volume.size)
    }

    pub(super) async fn return_volume(
        &self,
        who: &Identity,
        call: &Invocation<View>,
        arguments: &Arguments<Return>,
    ) -> Result<Outcome, CimError> {
        let element = call.element(arguments, Return::TheElement)?;
        let volumes = vec![volume(element, "TheElement")?];
        match self.run(who, Command::DeleteVolumes { volumes }).await {
            Ok(ran) => job_outcome!(self, Return, ran),
            Err(error) => Ok(Outputs::new(Return).returns(needed_by_others(error)?)),
        }
    }

    pub(super) async fn return_volumes(
        &self,
        who: &Identity,
        call: &Invocation<View>,
        arguments: &Arguments<ReturnMany>,
    ) -> Result<Outcome, CimError> {
        let paths = needed(
            arguments.of(ReturnMany::TheElements),
            "TheElements is needed; name the volumes that are to go",
        )?;
        let skip = match arguments.of(ReturnMany::Options) {
            Some(CONTINUE) => true,
            None | Some(RETURN_ERROR) => false,
            Some(other) => {
                return Err(CimError::invalid_parameter(format!(
                    "Options {other} means nothing here; 2 goes on when a volume does not exist, \
                     3 returns an error"
                )));
            }
        };
        let volumes = existing(call, &paths, skip)?;
        if volumes.is_empty() && skip {
            return Ok(Outputs::new(ReturnMany).returns(DONE));
        }
        match self.run(who, Command::DeleteVolumes { volumes }).await {
            Ok(ran) => job_outcome!(self, ReturnMany, ran),
            Err(error) => Ok(Outputs::new(ReturnMany).returns(needed_by_others(error)?)),
        }
    }

    /// The only method that the service for spares has: spares are whatever room the pool has.
    pub(super) async fn invoke_sparing(
        &self,
        who: &Identity,
        call: &Invocation<View>,
    ) -> Result<Outcome, CimError> {
        let Some(arguments) = call.of(Rebuild) else {
            return Err(call.not_available());
        };
        let target = call.element(&arguments, Rebuild::Target)?;
        let volume = volume(target, "Target")?;
        let ran = self.run(who, Command::RepairVolume { volume }).await?;
        job_outcome!(self, Rebuild, ran)
    }
}

/// The code that tells of snapshots which are nothing without a volume; every other refusal is an
/// error.
fn needed_by_others(error: Error) -> Result<u32, CimError> {
    match error.kind {
        Kind::HasDependents => Ok(IN_USE),
        _ => Err(error.into()),
    }
}

/// The volumes that were made or changed, if that is done.
pub(super) fn made(ran: Ran) -> Option<Vec<VolumeId>> {
    match ran {
        Ran::Done(Effect::Volumes(volumes), _) => Some(volumes),
        Ran::Done(..) => Some(Vec::new()),
        Ran::Started(_) => None,
    }
}

/// 4097 with the size that would do, where a size was refused.
fn other_size<M: crate::schema::TypedMethod<Returns = u32>>(
    error: Error,
    with: impl FnOnce(u64) -> Outputs<M>,
) -> Result<Outcome, CimError> {
    match possible(&error) {
        Some(size) => Ok(with(size).returns(SIZE_NOT_SUPPORTED)),
        None => Err(error.into()),
    }
}

/// The command that a creating call means.
fn creation(
    call: &Invocation<View>,
    arguments: &Arguments<CreateOrModify>,
) -> Result<Command, CimError> {
    let pool = needed(
        call.element(arguments, CreateOrModify::InPool)?,
        "InPool is needed; choose a pool for the new volume",
    )?;
    let pool = pool_for_volumes(&pool, "InPool")?;
    let kind = arguments.of(CreateOrModify::ElementType);
    let goal = call.element(arguments, CreateOrModify::Goal)?;
    let name = arguments.of(CreateOrModify::ElementName);
    Ok(Command::CreateVolumes {
        quality: quality(call, &pool, kind, goal)?,
        pool,
        names: name.map(|name| name.to_string()).into_iter().collect(),
        count: 1,
        size: needed(
            arguments.of(CreateOrModify::Size),
            "Size is needed; give the size of the volume in bytes",
        )?,
    })
}

/// The command that a call which creates several volumes means.
fn creations(
    call: &Invocation<View>,
    arguments: &Arguments<CreateMany>,
) -> Result<Command, CimError> {
    let pools = call.elements(arguments, CreateMany::InPools)?;
    let pool = match pools.as_deref() {
        Some([pool]) => pool_for_volumes(pool, "InPools")?,
        Some([_, _, ..]) => {
            return Err(CimError::not_supported(
                "volumes are made in one pool at a time; name one pool in InPools",
            ));
        }
        None | Some([]) => {
            return Err(CimError::invalid_parameter(
                "InPools is needed; choose a pool for the new volumes",
            ));
        }
    };
    let kind = arguments.of(CreateMany::ElementType);
    let goal = call.element(arguments, CreateMany::Goal)?;
    let names: Vec<String> = arguments
        .of(CreateMany::ElementNames)
        .unwrap_or_default()
        .iter()
        .map(ToString::to_string)
        .collect();
    let count = match arguments.of(CreateMany::ElementCount) {
        Some(count) => usize::try_from(count).unwrap_or(usize::MAX),
        None => names.len().max(1),
    };
    Ok(Command::CreateVolumes {
        quality: quality(call, &pool, kind, goal)?,
        pool,
        names,
        count,
        size: needed(
            arguments.of(CreateMany::Size),
            "Size is needed; give the size of each volume in bytes",
        )?,
    })
}

/// The pool that volumes are to be made in.
pub(super) fn pool_for_volumes(element: &Element, parameter: &str) -> Result<PoolId, CimError> {
    match element {
        Element::Pool(id) => Ok(id.clone()),
        Element::PrimordialPool => Err(CimError::invalid_parameter(format!(
            "volumes are not made in the primordial pool; choose a concrete pool as {parameter}"
        ))),
        _ => Err(CimError::invalid_parameter(format!(
            "{parameter} is not a storage pool"
        ))),
    }
}

/// What new volumes of that type are to be like.
fn quality(
    call: &Invocation<View>,
    pool: &PoolId,
    kind: Option<u16>,
    goal: Option<Element>,
) -> Result<Quality, CimError> {
    if let (Some(kind), Some(pool)) = (kind, call.snapshot.inventory.pool(pool)) {
        check_type(kind, pool)?;
    }
    // Whether a pool made for it were thin says nothing of a volume.
    goal_quality(call, goal)
}

fn goal_quality(call: &Invocation<View>, element: Option<Element>) -> Result<Quality, CimError> {
    Ok(goal(&call.snapshot, element)?.quality)
}

/// Checks that volumes of a type are made in a pool: thin ones in thin pools, and no others there.
fn check_type(kind: u16, pool: &Pool) -> Result<(), CimError> {
    let sentence = match (kind, pool.thin().is_some()) {
        (VOLUME | FULL, false) | (THIN, true) => return Ok(()),
        (VOLUME | FULL, true) => format!(
            "pool {} is a thin pool; ask for ElementType 5 (ThinlyProvisionedStorageVolume) there, \
             or choose a volume group",
            pool.name
        ),
        (THIN, false) => format!(
            "pool {} is not a thin pool; choose a thin pool for ElementType 5 \
             (ThinlyProvisionedStorageVolume), or make one in it",
            pool.name
        ),
        _ => format!(
            "elements of type {kind} are not made here; ask for ElementType 2 (StorageVolume) or 5 \
             (ThinlyProvisionedStorageVolume)"
        ),
    };
    Err(CimError::not_supported(sentence))
}

/// The command that a modifying call means.
fn modification(
    call: &Invocation<View>,
    arguments: &Arguments<CreateOrModify>,
    element: Element,
) -> Result<Command, CimError> {
    let id = volume(Some(element), "TheElement")?;
    let present = volumes::volume(&call.snapshot, &id)
        .ok_or_else(|| CimError::not_found("the volume is gone"))?;
    match call.element(arguments, CreateOrModify::InPool)? {
        None => {}
        Some(Element::Pool(pool)) if pool == present.pool => {}
        Some(_) => {
            return Err(CimError::not_supported(
                "the volume lies in another pool than InPool and is not moved; leave InPool out",
            ));
        }
    }
    let is_thin = volumes::is_thin(&call.snapshot, present);
    match (arguments.of(CreateOrModify::ElementType), is_thin) {
        (None | Some(VOLUME), _) | (Some(THIN), true) | (Some(FULL), false) => {}
        (Some(kind), _) => {
            return Err(CimError::not_supported(format!(
                "the volume is not of type {kind} and does not become so; leave ElementType out"
            )));
        }
    }
    let goal = call.element(arguments, CreateOrModify::Goal)?;
    let name = arguments.of(CreateOrModify::ElementName);
    let name = name.map(|name| name.to_string());
    let size = arguments.of(CreateOrModify::Size);
    if goal.is_some() {
        let quality = goal_quality(call, goal)?;
        if quality.layout()? != present.layout {
            if size.is_some_and(|size| size != present.size) || name.is_some() {
                return Err(CimError::not_supported(
                    "redundancy is changed by itself; leave Size and ElementName out, and change \
                     them by another call",
                ));
            }
            return Ok(Command::ChangeQuality {
                volume: id,
                quality,
            });
        }
    }
    match (size, name) {
        (Some(size), name) => Ok(Command::ResizeVolume {
            volume: id,
            size,
            name,
        }),
        (None, Some(name)) => Ok(Command::RenameVolume { volume: id, name }),
        (None, None) => Err(CimError::invalid_parameter(
            "nothing is to be modified; give a Size or an ElementName",
        )),
    }
}

/// The volume that a parameter names.
pub(super) fn volume(element: Option<Element>, parameter: &str) -> Result<VolumeId, CimError> {
    match element {
        Some(Element::Volume(id)) => Ok(id),
        Some(_) => Err(CimError::invalid_parameter(format!(
            "{parameter} is not a storage volume"
        ))),
        None => Err(CimError::invalid_parameter(format!(
            "{parameter} is needed"
        ))),
    }
}

/// The volumes that paths name; `skip` leaves out those that do not exist.
fn existing(
    call: &Invocation<View>,
    paths: &[ObjectPath],
    skip: bool,
) -> Result<Vec<VolumeId>, CimError> {
    let mut found = Vec::new();
    for path in paths {
        match call.snapshot.resolve(path) {
            Ok(element) => found.push(volume(Some(element), "TheElements")?),
            Err(error) if skip && error.status == Status::NotFound => {}
            Err(error) => return Err(error),
        }
    }
    Ok(found)
}
