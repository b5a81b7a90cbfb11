//! The methods of the storage configuration service and of pools.

use super::{Gateway, Ran};
use crate::array::{Command, Effect, Error, Kind, PoolId, Quality, VolumeId, size_range};
use crate::broker::Invocation;
use crate::cim::CimError;
use crate::identity::Identity;
use crate::schema::method::CIM_StorageConfigurationService::{
    CreateOrModifyElementFromStoragePool as CreateOrModify, ReturnToStoragePool as Return,
};
use crate::schema::method::CIM_StoragePool::{GetSupportedSizeRange, GetSupportedSizes};
use crate::schema::{Arguments, Outcome, Outputs};
use crate::smis::element::Element;
use crate::smis::view::View;

/// The work is done.
const DONE: u32 = 0;
/// A job was started.
const JOB_STARTED: u32 = 4096;
/// No such size; the size that would do is returned.
const SIZE_NOT_SUPPORTED: u32 = 4097;
/// `ElementType` of a volume and of a fully provisioned volume in the creating method.
const VOLUME_TYPES: [u16; 2] = [2, 7];

impl Gateway {
    pub(super) async fn invoke_storage(
        &self,
        who: &Identity,
        call: &Invocation<View>,
    ) -> Result<Outcome, CimError> {
        if let Some(arguments) = call.of(CreateOrModify) {
            let command = creation(call, &arguments)?;
            let ran = self.run(who, command).await;
            return self.creation_outcome(ran);
        }
        if let Some(arguments) = call.of(Return) {
            let element = call.element(&arguments, Return::TheElement)?;
            let volume = volume(element, "TheElement")?;
            return match self
                .run(
                    who,
                    Command::DeleteVolumes {
                        volumes: vec![volume],
                    },
                )
                .await?
            {
                Ran::Done(_, job) => Ok(Outputs::new(Return)
                    .set(Return::Job, self.path(Element::Job(job)))
                    .returns(DONE)),
                Ran::Started(job) => Ok(Outputs::new(Return)
                    .set(Return::Job, self.path(Element::Job(job)))
                    .returns(JOB_STARTED)),
            };
        }
        Err(call.not_available())
    }

    fn creation_outcome(&self, ran: Result<Ran, Error>) -> Result<Outcome, CimError> {
        let outputs = Outputs::new(CreateOrModify);
        match ran {
            Ok(Ran::Done(effect, job)) => {
                let outputs = outputs.set(CreateOrModify::Job, self.path(Element::Job(job)));
                let id = match effect {
                    Effect::Volumes(ids) => ids.into_iter().next(),
                    _ => None,
                };
                let id = id.ok_or_else(|| CimError::failed("the volume is gone already"))?;
                let size = self.array.snapshot().volume(&id).map(|volume| volume.size);
                Ok(outputs
                    .set(CreateOrModify::TheElement, self.path(Element::Volume(id)))
                    .set(CreateOrModify::Size, size)
                    .returns(DONE))
            }
            Ok(Ran::Started(job)) => Ok(outputs
                .set(CreateOrModify::Job, self.path(Element::Job(job)))
                .returns(JOB_STARTED)),
            Err(Error {
                kind: Kind::NoSpace | Kind::SizeNotSupported,
                largest: Some(size),
                ..
            }) => Ok(outputs
                .set(CreateOrModify::Size, size)
                .returns(SIZE_NOT_SUPPORTED)),
            Err(error) => Err(error.into()),
        }
    }
}

/// The command that a creating or modifying call means.
fn creation(
    call: &Invocation<View>,
    arguments: &Arguments<CreateOrModify>,
) -> Result<Command, CimError> {
    let name = arguments
        .of(CreateOrModify::ElementName)
        .map(|name| name.to_string());
    let size = arguments.of(CreateOrModify::Size);
    let pool = match call.element(arguments, CreateOrModify::InPool)? {
        None => None,
        Some(Element::Pool(id)) => Some(id),
        Some(Element::PrimordialPool) => {
            return Err(CimError::invalid_parameter(
                "volumes are not made in the primordial pool; choose a concrete pool as InPool",
            ));
        }
        Some(_) => return Err(CimError::invalid_parameter("InPool is not a storage pool")),
    };
    match arguments.of(CreateOrModify::ElementType) {
        None => {}
        Some(kind) if VOLUME_TYPES.contains(&kind) => {}
        Some(kind) => {
            return Err(CimError::not_supported(format!(
                "elements of type {kind} are not made here; ask for ElementType 2 (StorageVolume)"
            )));
        }
    }
    // There is one quality of service, so every setting of a volume here describes it.
    match call.element(arguments, CreateOrModify::Goal)? {
        None | Some(Element::Setting(_)) => {}
        Some(_) => return Err(CimError::invalid_parameter("Goal is not a storage setting")),
    }
    match call.element(arguments, CreateOrModify::TheElement)? {
        Some(element) => modification(call, volume(Some(element), "TheElement")?, pool, size, name),
        None => Ok(Command::CreateVolumes {
            pool: pool.ok_or_else(|| {
                CimError::invalid_parameter("InPool is needed; choose a pool for the new volume")
            })?,
            names: name.into_iter().collect(),
            count: 1,
            size: size.ok_or_else(|| {
                CimError::invalid_parameter("Size is needed; give the size of the volume in bytes")
            })?,
            quality: Quality::default(),
        }),
    }
}

fn modification(
    call: &Invocation<View>,
    volume: VolumeId,
    pool: Option<PoolId>,
    size: Option<u64>,
    name: Option<String>,
) -> Result<Command, CimError> {
    let present = call
        .snapshot
        .inventory
        .volume(&volume)
        .map(|v| v.pool.clone());
    if pool.is_some() && pool != present {
        return Err(CimError::not_supported(
            "the volume lies in another pool than InPool and is not moved; leave InPool out",
        ));
    }
    match (size, name) {
        (Some(size), name) => Ok(Command::ResizeVolume { volume, size, name }),
        (None, Some(name)) => Ok(Command::RenameVolume { volume, name }),
        (None, None) => Err(CimError::invalid_parameter(
            "nothing is to be modified; give a Size or an ElementName",
        )),
    }
}

/// The volume that a parameter names.
fn volume(element: Option<Element>, parameter: &str) -> Result<VolumeId, CimError> {
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

/// The methods of a pool: which sizes a new volume can have.
pub(super) fn invoke_pool(call: &Invocation<View>, id: &PoolId) -> Result<Outcome, CimError> {
    /// `ElementType` of a volume in the methods of a pool; other numbers than elsewhere.
    const VOLUME: u16 = 3;
    const USE_RANGE: u32 = 2;
    const INVALID_ELEMENT_TYPE: u32 = 3;
    if let Some(arguments) = call.of(GetSupportedSizes) {
        let known = arguments
            .of(GetSupportedSizes::ElementType)
            .is_none_or(|kind| kind == VOLUME);
        let code = if known {
            USE_RANGE
        } else {
            INVALID_ELEMENT_TYPE
        };
        return Ok(Outputs::new(GetSupportedSizes).returns(code));
    }
    let Some(arguments) = call.of(GetSupportedSizeRange) else {
        return Err(call.not_available());
    };
    let outputs = Outputs::new(GetSupportedSizeRange);
    if arguments
        .of(GetSupportedSizeRange::ElementType)
        .is_some_and(|kind| kind != VOLUME)
    {
        return Ok(outputs.returns(INVALID_ELEMENT_TYPE));
    }
    let pool = call.snapshot.inventory.pool(id);
    let pool = pool.ok_or_else(|| CimError::not_found("the pool is gone"))?;
    let range = size_range(&call.snapshot.inventory, pool, &Quality::default())?;
    Ok(outputs
        .set(
            GetSupportedSizeRange::MinimumVolumeSize,
            range.min.min(range.max),
        )
        .set(GetSupportedSizeRange::MaximumVolumeSize, range.max)
        .set(GetSupportedSizeRange::VolumeSizeDivisor, range.divisor)
        .returns(DONE))
}
