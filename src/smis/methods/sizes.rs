//! The methods of pools that tell what could be made: sizes, and free extents.

use super::pools::{check_disks_for, check_thin_goal};
use super::settings::{Goal, goal};
use super::storage::DONE;
use crate::array::{Pool, SizeRange, group_size_range, pool_size_range, size_range};
use crate::broker::{Invocation, Snapshot as _};
use crate::cim::CimError;
use crate::schema::method::CIM_StoragePool::{
    GetAvailableExtents, GetSupportedSizeRange, GetSupportedSizes,
};
use crate::schema::{Arguments, Outcome, Outputs};
use crate::smis::element::Element;
use crate::smis::pools;
use crate::smis::view::View;

/// `ElementType` in the methods of a pool; other numbers than elsewhere.
const POOL: u16 = 2;
const VOLUME: u16 = 3;
const THIN_VOLUME: u16 = 5;

const USE_RANGE: u32 = 2;
const INVALID_ELEMENT_TYPE: u32 = 3;

/// What can be made somewhere.
#[derive(Clone, Copy)]
enum Makes<'a> {
    /// A volume group from free disks.
    Group,
    /// A thin pool in a group.
    ThinPool(&'a Pool),
    /// A volume in a pool.
    Volume(&'a Pool),
}

impl<'a> Makes<'a> {
    /// What an `ElementType` means in a pool; without one, what the pool is for.
    fn of(view: &'a View, element: &Element, kind: Option<u16>) -> Result<Option<Self>, CimError> {
        let Element::Pool(_) = element else {
            return Ok(match kind {
                None | Some(POOL) => Some(Self::Group),
                Some(_) => None,
            });
        };
        let pool = pools::pool_of(view, element);
        let pool = pool.ok_or_else(|| CimError::not_found("the pool is gone"))?;
        Ok(match (pool.thin().is_some(), kind) {
            (false, Some(POOL)) => Some(Self::ThinPool(pool)),
            (false, None | Some(VOLUME)) | (true, None | Some(THIN_VOLUME)) => {
                Some(Self::Volume(pool))
            }
            _ => None,
        })
    }

    /// The sizes that it can have.
    fn range(self, view: &View, goal: Option<&Goal>) -> Result<SizeRange, CimError> {
        match self {
            Self::Group => {
                let free = || pools::free_disks(view).map(|disk| &**disk);
                if let Some(goal) = goal {
                    check_disks_for(goal, free().count())?;
                }
                Ok(group_size_range(free()))
            }
            Self::ThinPool(group) => {
                check_thin_goal(group, goal)?;
                Ok(pool_size_range(group))
            }
            Self::Volume(pool) => {
                let quality = goal.map(|goal| goal.quality).unwrap_or_default();
                Ok(size_range(&view.inventory, pool, &quality)?)
            }
        }
    }
}

/// The methods of a pool.
pub(super) fn invoke(call: &Invocation<View>, pool: &Element) -> Result<Outcome, CimError> {
    if let Some(arguments) = call.of(GetSupportedSizes) {
        let kind = arguments.of(GetSupportedSizes::ElementType);
        let code = match Makes::of(&call.snapshot, pool, kind)? {
            Some(_) => USE_RANGE,
            None => INVALID_ELEMENT_TYPE,
        };
        return Ok(Outputs::new(GetSupportedSizes).returns(code));
    }
    if let Some(arguments) = call.of(GetSupportedSizeRange) {
        return supported_range(call, &arguments, pool);
    }
    if let Some(arguments) = call.of(GetAvailableExtents) {
        return available_extents(call, &arguments, pool);
    }
    Err(call.not_available())
}

fn supported_range(
    call: &Invocation<View>,
    arguments: &Arguments<GetSupportedSizeRange>,
    pool: &Element,
) -> Result<Outcome, CimError> {
    use GetSupportedSizeRange as Range;
    let view = &call.snapshot;
    let outputs = Outputs::new(Range);
    let kind = arguments.of(Range::ElementType);
    let Some(makes) = Makes::of(view, pool, kind)? else {
        return Ok(outputs.returns(INVALID_ELEMENT_TYPE));
    };
    let wish = call.element(arguments, Range::Goal)?;
    let wish = wish.map(|element| goal(view, Some(element))).transpose()?;
    let range = makes.range(view, wish.as_ref())?;
    Ok(outputs
        .set(Range::MinimumVolumeSize, range.min.min(range.max))
        .set(Range::MaximumVolumeSize, range.max)
        .set(Range::VolumeSizeDivisor, range.divisor)
        .returns(DONE))
}

/// The free extents that a pool can be made from; concrete pools offer none.
fn available_extents(
    call: &Invocation<View>,
    arguments: &Arguments<GetAvailableExtents>,
    pool: &Element,
) -> Result<Outcome, CimError> {
    let view = &call.snapshot;
    let free: Vec<_> = match pool {
        Element::PrimordialPool => pools::free_disks(view)
            .map(|disk| Element::Extent(disk.id.clone()))
            .collect(),
        _ => Vec::new(),
    };
    if let Some(element) = call.element(arguments, GetAvailableExtents::Goal)? {
        check_disks_for(&goal(view, Some(element))?, free.len())?;
    }
    let paths = free.iter().map(|extent| view.path(extent));
    Ok(Outputs::new(GetAvailableExtents)
        .set(
            GetAvailableExtents::AvailableExtents,
            paths.collect::<Vec<_>>(),
        )
        .returns(DONE))
}
