//! The methods that make, change and delete pools.

use super::Gateway;
use super::Ran;
use super::settings::{Goal, goal};
use super::storage::{SIZE_NOT_SUPPORTED, job_outcome, needed, possible};
use crate::array::{Command, DiskId, Effect, Growth, Layout, NEW_EXTENT, Pool, PoolId, group_size};
use crate::broker::{Invocation, Snapshot as _};
use crate::cim::{CimError, ObjectPath, Text};
use crate::identity::Identity;
use crate::schema::method::CIM_StorageConfigurationService::{
    CreateOrModifyStoragePool as CreateOrModify, DeleteStoragePool as Delete,
};
use crate::schema::{Arguments, Outcome, Outputs};
use crate::smis::element::Element;
use crate::smis::view::View;
use crate::smis::{ARRAY, pools};

/// What a call asks for: a command, or a size that cannot be had.
enum Wish {
    Command(Command),
    /// The largest that could.
    TooLarge(u64),
}

impl Gateway {
    pub(super) async fn create_or_modify_pool(
        &self,
        who: &Identity,
        call: &Invocation<View>,
        arguments: &Arguments<CreateOrModify>,
    ) -> Result<Outcome, CimError> {
        let asked = Asked::of(call, arguments)?;
        let wish = match call.element(arguments, CreateOrModify::Pool)? {
            Some(Element::Pool(id)) => asked.modification(&id)?,
            Some(Element::PrimordialPool) => {
                return Err(CimError::not_supported(
                    "the primordial pool is what disks there are and is not modified; leave Pool \
                     out to make a pool from disks",
                ));
            }
            Some(_) => return Err(CimError::invalid_parameter("Pool is not a storage pool")),
            None => asked.creation()?,
        };
        let outputs = Outputs::new(CreateOrModify);
        let command = match wish {
            Wish::Command(command) => command,
            Wish::TooLarge(size) => {
                return Ok(outputs
                    .set(CreateOrModify::Size, size)
                    .returns(SIZE_NOT_SUPPORTED));
            }
        };
        let ran = match self.run(who, command).await {
            Ok(ran) => ran,
            Err(error) => {
                let size = possible(&error).ok_or(error)?;
                return Ok(outputs
                    .set(CreateOrModify::Size, size)
                    .returns(SIZE_NOT_SUPPORTED));
            }
        };
        let (code, job) = ran.code();
        let outputs = outputs.set(CreateOrModify::Job, self.path(Element::Job(job)));
        Ok(match ran {
            Ran::Done(Effect::Pool(id), _) => {
                let size = self
                    .array
                    .snapshot()
                    .pool(&id)
                    .map(|pool| pools::total(pool));
                outputs
                    .set(CreateOrModify::Pool, self.path(Element::Pool(id)))
                    .set(CreateOrModify::Size, size)
                    .returns(code)
            }
            _ => outputs.returns(code),
        })
    }

    pub(super) async fn delete_pool(
        &self,
        who: &Identity,
        call: &Invocation<View>,
        arguments: &Arguments<Delete>,
    ) -> Result<Outcome, CimError> {
        let pool = match call.element(arguments, Delete::Pool)? {
            Some(Element::Pool(id)) => id,
            Some(Element::PrimordialPool) => {
                return Err(CimError::not_supported(
                    "the primordial pool is what disks there are and is not deleted",
                ));
            }
            Some(_) => return Err(CimError::invalid_parameter("Pool is not a storage pool")),
            None => {
                return Err(CimError::invalid_parameter(
                    "Pool is needed; name the pool that is to go",
                ));
            }
        };
        let ran = self.run(who, Command::DeletePool { pool }).await?;
        job_outcome!(self, Delete, ran)
    }
}

/// The arguments of a call, with what they name.
struct Asked<'a> {
    view: &'a View,
    name: Option<String>,
    size: Option<u64>,
    goal: Option<Element>,
    pools: Vec<Element>,
    disks: Vec<DiskId>,
}

impl<'a> Asked<'a> {
    fn of(
        call: &'a Invocation<View>,
        arguments: &Arguments<CreateOrModify>,
    ) -> Result<Self, CimError> {
        let view = &call.snapshot;
        let pools = arguments.of(CreateOrModify::InPools).unwrap_or_default();
        let extents = arguments.of(CreateOrModify::InExtents).unwrap_or_default();
        let pools = pools.iter().map(|text| named(view, "InPools", text));
        let disks = extents.iter().map(|text| {
            let element = named(view, "InExtents", text)?;
            disk(&element).ok_or_else(|| {
                CimError::invalid_parameter(format!(
                    "InExtents names {text}, which is no extent that a pool can be made from"
                ))
            })
        });
        let name = arguments.of(CreateOrModify::ElementName);
        Ok(Self {
            view,
            name: name.map(|name| name.to_string()),
            size: arguments.of(CreateOrModify::Size),
            goal: call.element(arguments, CreateOrModify::Goal)?,
            pools: pools.collect::<Result<_, _>>()?,
            disks: disks.collect::<Result<_, _>>()?,
        })
    }

    fn pool(&self, id: &PoolId) -> Result<&'a Pool, CimError> {
        let pool = pools::shown(self.view, id);
        pool.map(|pool| &**pool)
            .ok_or_else(|| CimError::not_found("the pool is gone"))
    }

    /// What a call without `Pool` means: a volume group from disks, or a thin pool in a group.
    fn creation(self) -> Result<Wish, CimError> {
        let goal = goal(self.view, self.goal.clone())?;
        match (&self.pools[..], self.disks.is_empty()) {
            ([] | [Element::PrimordialPool], false) => self.group(&goal),
            ([Element::Pool(_)], false) => Err(CimError::not_supported(
                "a pool is made from InExtents or in a pool of InPools, not both; leave one out",
            )),
            ([Element::Pool(group)], true) => {
                let group = self.pool(group)?;
                check_thin_goal(group, self.goal.is_some().then_some(&goal))?;
                Ok(Wish::Command(Command::CreateThinPool {
                    group: group.id.clone(),
                    name: self.name,
                    size: needed(
                        self.size,
                        "Size is needed; give the size of the thin pool in bytes",
                    )?,
                }))
            }
            ([] | [Element::PrimordialPool], true) => Err(CimError::invalid_parameter(
                "name the free extents that the pool is to be made from in InExtents, or in InPools \
                 the volume group that a thin pool is to be made in",
            )),
            ([_], _) => Err(CimError::invalid_parameter(
                "InPools does not name a storage pool",
            )),
            ([_, _, ..], _) => Err(CimError::not_supported(
                "a pool is made in one pool; name one in InPools",
            )),
        }
    }

    /// A volume group from disks.
    fn group(self, goal: &Goal) -> Result<Wish, CimError> {
        if goal.thin {
            return Err(CimError::not_supported(
                "a thin pool is made in a volume group, not from extents; name the group in InPools",
            ));
        }
        check_disks_for(goal, self.disks.len())?;
        let room = given(self.view, &self.disks, NEW_EXTENT);
        if self.size.is_some_and(|size| size > room) {
            return Ok(Wish::TooLarge(room));
        }
        Ok(Wish::Command(Command::CreatePool {
            name: self.name,
            disks: self.disks,
        }))
    }

    /// What a call with `Pool` means: growth, another name, or both.
    fn modification(self, id: &PoolId) -> Result<Wish, CimError> {
        let pool = self.pool(id)?;
        let fits = |element: &Element| match (element, pool.thin()) {
            (Element::PrimordialPool, None) => true,
            (Element::Pool(group), Some(thin)) => *group == thin.group,
            _ => false,
        };
        if !self.pools.iter().all(fits) {
            return Err(CimError::not_supported(format!(
                "pool {} does not lie in what InPools names and is not moved; leave InPools out",
                pool.name
            )));
        }
        if let Some(goal) = &self.goal
            && *goal != Element::PoolSetting(id.clone())
        {
            return Err(CimError::not_supported(format!(
                "the quality of service of pool {} is not changed; leave Goal out",
                pool.name
            )));
        }
        let by = match (self.disks.is_empty(), self.size) {
            (false, size) => {
                let more = given(self.view, &self.disks, pool.extent);
                let room = pools::total(pool).saturating_add(more);
                if size.is_some_and(|size| size > room) {
                    return Ok(Wish::TooLarge(room));
                }
                Some(Growth::Disks(self.disks))
            }
            (true, Some(size)) if size < pools::total(pool) => {
                return Err(CimError::not_supported(format!(
                    "pool {} has {} bytes and is not made smaller; ask for more, or leave Size out",
                    pool.name,
                    pools::total(pool)
                )));
            }
            (true, Some(size)) if size > pools::total(pool) => Some(Growth::To(size)),
            (true, _) => None,
        };
        let pool = id.clone();
        Ok(Wish::Command(match (by, self.name) {
            (Some(by), name) => Command::GrowPool { pool, by, name },
            (None, Some(name)) => Command::RenamePool { pool, name },
            (None, None) => {
                return Err(CimError::invalid_parameter(
                    "nothing is to be modified; give InExtents, a larger Size or an ElementName",
                ));
            }
        }))
    }
}

/// The element that an object path in a string names.
fn named(view: &View, parameter: &str, text: &Text) -> Result<Element, CimError> {
    let path = ObjectPath::parse(text).ok_or_else(|| {
        CimError::invalid_parameter(format!(
            "{parameter} holds '{}', which is not an object path; write it as \
             namespace:Class.key=\"value\"",
            text.chars().take(200).collect::<String>()
        ))
    })?;
    let path = match path.namespace {
        Some(_) => path,
        None => path.in_namespace(ARRAY.name),
    };
    view.resolve(&path).map_err(|error| CimError {
        description: format!("parameter {parameter}: {}", error.description),
        ..error
    })
}

/// The disk that an element stands for.
fn disk(element: &Element) -> Option<DiskId> {
    match element {
        Element::Extent(id) => Some(id.clone()),
        _ => None,
    }
}

/// Bytes that these disks give to a group with such extents.
fn given(view: &View, disks: &[DiskId], extent: u64) -> u64 {
    let disks = disks.iter().filter_map(|id| view.inventory.disk(id));
    disks.map(|disk| group_size(disk.size, extent)).sum()
}

/// Refuses a goal that so many disks cannot fulfil.
pub(super) fn check_disks_for(goal: &Goal, disks: usize) -> Result<(), CimError> {
    let layout = goal.quality.layout()?;
    let needed = usize::from(layout.legs());
    match needed <= disks {
        true => Ok(()),
        false => Err(CimError::not_supported(format!(
            "{} needs {needed} disks, {disks} were given; name more, or ask for less redundancy or \
             shorter stripes",
            layout.name()
        ))),
    }
}

/// Refuses a goal that thin pools in a group do not have; the data of a thin pool is linear.
pub(super) fn check_thin_goal(group: &Pool, goal: Option<&Goal>) -> Result<(), CimError> {
    let Some(goal) = goal else { return Ok(()) };
    if !goal.thin {
        return Err(CimError::not_supported(format!(
            "a pool that is made in pool {} is a thin pool; set ThinProvisionedPoolType in the \
             goal, or leave Goal out",
            group.name
        )));
    }
    match goal.quality.layout()? {
        Layout::Linear => Ok(()),
        other => Err(CimError::not_supported(format!(
            "thin pools are {} and not {}; ask for no redundancy and no stripes, or leave Goal out",
            Layout::Linear.name(),
            other.name()
        ))),
    }
}
