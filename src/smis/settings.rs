//! Block Services: qualities of service as settings: what volumes have, what pools give where
//! nothing is said, and what clients made to ask for (SMI-S 1.6.1 block book, Block Services
//! Package).

use crate::array::{Bounds, Layout, Setting, SettingId};
use crate::cim::{Instance, Keys};
use crate::schema::{Builder, PathBuilder, class};

use super::capabilities::abilities_of;
use super::element::{Element, Scope};
use super::view::View;
use super::{pools, volumes};

const SETTING: &str = "Standpipe:StorageSetting:";
const OF_POOL: &str = "pool:";
const OF_CLIENT: &str = "goal:";

pub(super) fn list_of_volumes(view: &View) -> Vec<Element> {
    volumes::shown(view)
        .map(|volume| Element::Setting(volume.id.clone()))
        .collect()
}

pub(super) fn list_of_pools(view: &View) -> Vec<Element> {
    pools::all_shown(view)
        .map(|pool| Element::PoolSetting(pool.id.clone()))
        .collect()
}

pub(super) fn list_of_clients(view: &View) -> Vec<Element> {
    let settings = view.inventory.settings();
    settings
        .map(|setting| Element::ClientSetting(setting.id))
        .collect()
}

/// A setting of whichever kind.
pub(super) fn find(view: &View, keys: &Keys) -> Option<Element> {
    let id = keys.text("InstanceID")?.strip_prefix(SETTING)?;
    if let Some(id) = id.strip_prefix(OF_POOL) {
        let pool = pools::shown(view, &id.into());
        return pool.map(|pool| Element::PoolSetting(pool.id.clone()));
    }
    if let Some(id) = id.strip_prefix(OF_CLIENT) {
        let id = SettingId::parse(id)?;
        return view
            .inventory
            .setting(&id)
            .map(|_| Element::ClientSetting(id));
    }
    volumes::volume(view, &id.into()).map(|volume| Element::Setting(volume.id.clone()))
}

pub(super) fn path_keys(
    _view: &View,
    element: &Element,
    path: PathBuilder<class::Standpipe_StorageSetting>,
) -> PathBuilder<class::Standpipe_StorageSetting> {
    let id = match element {
        Element::Setting(volume) => format!("{SETTING}{volume}"),
        Element::PoolSetting(pool) => format!("{SETTING}{OF_POOL}{pool}"),
        Element::ClientSetting(id) => format!("{SETTING}{OF_CLIENT}{id}"),
        _ => return path,
    };
    path.key(class::Standpipe_StorageSetting::InstanceID, id)
}

/// What a setting says.
struct Said {
    name: String,
    survives: Bounds,
    copies: Bounds,
    stripe_length: Bounds,
    no_single_point_of_failure: bool,
    /// Whether there is parity; it always wanders over the disks.
    parity: bool,
    /// Whether it asks for a thin pool.
    thin: bool,
    /// Room for what changes, in percent: the least, what is asked for, the most.
    room: Option<[u8; 3]>,
    /// 0 Fixed, 1 Changeable - Transient, 2 Changeable - Persistent.
    changeable: u16,
}

impl Said {
    /// What something has, and nothing else.
    fn fixed(name: String, layout: Layout) -> Self {
        Self {
            name,
            survives: Bounds::just(layout.survives()),
            copies: Bounds::just(layout.copies()),
            stripe_length: Bounds::just(layout.stripe_length()),
            no_single_point_of_failure: layout.survives() > 0,
            parity: has_parity(layout),
            thin: false,
            room: None,
            changeable: 0,
        }
    }

    fn by(setting: &Setting) -> Self {
        Self {
            name: setting.name.clone(),
            survives: setting.survives,
            copies: setting.copies,
            stripe_length: setting.stripe_length,
            no_single_point_of_failure: setting.no_single_point_of_failure,
            parity: setting.layout().is_ok_and(has_parity),
            thin: setting.thin,
            room: setting.room.map(|room| [1, room, 100]),
            changeable: if setting.lasting { 2 } else { 1 },
        }
    }
}

fn has_parity(layout: Layout) -> bool {
    matches!(layout, Layout::Parity { .. })
}

fn said(view: &View, element: &Element) -> Option<Said> {
    match element {
        Element::Setting(id) => {
            let volume = volumes::volume(view, id)?;
            let name = format!("Quality of service of {}", volume.name);
            let room = volumes::delta_reservation(volume);
            Some(Said {
                room: room.map(|room| [room; 3]),
                ..Said::fixed(name, volume.layout)
            })
        }
        Element::PoolSetting(id) => {
            let name = format!("Default of pool {}", pools::shown(view, id)?.name);
            let able = abilities_of(view, &Scope::Pool(id.clone()));
            Some(Said::fixed(name, able.default))
        }
        Element::ClientSetting(id) => {
            let setting = view.inventory.setting(id)?;
            Some(Said::by(setting))
        }
        _ => None,
    }
}

pub(super) fn fill(
    view: &View,
    element: &Element,
    out: Builder<class::Standpipe_StorageSetting>,
) -> Builder<class::Standpipe_StorageSetting> {
    match said(view, element) {
        Some(said) => tell(said, out),
        None => out,
    }
}

/// A setting that is proposed and not made: it has no identity.
pub(super) fn proposed(setting: &Setting) -> Instance {
    tell(
        Said::by(setting),
        Builder::new(class::Standpipe_StorageSetting),
    )
    .build()
}

fn tell(
    said: Said,
    out: Builder<class::Standpipe_StorageSetting>,
) -> Builder<class::Standpipe_StorageSetting> {
    use class::Standpipe_StorageSetting as P;
    out.set(P::ElementName, said.name)
        .set(P::NoSinglePointOfFailure, said.no_single_point_of_failure)
        .set(P::DataRedundancyMin, said.copies.min)
        .set(P::DataRedundancyMax, said.copies.max)
        .set(P::DataRedundancyGoal, said.copies.goal)
        .set(P::PackageRedundancyMin, said.survives.min)
        .set(P::PackageRedundancyMax, said.survives.max)
        .set(P::PackageRedundancyGoal, said.survives.goal)
        .set(P::ExtentStripeLength, said.stripe_length.goal)
        .set(P::ExtentStripeLengthMin, said.stripe_length.min)
        .set(P::ExtentStripeLengthMax, said.stripe_length.max)
        // 2 Rotated Parity.
        .set_some(P::ParityLayout, said.parity.then_some(2u16))
        // 9 ThinlyProvisionedLimitlessStoragePool.
        .set_some(P::ThinProvisionedPoolType, said.thin.then_some(9u16))
        .set_some(P::DeltaReservationMin, said.room.map(|[least, ..]| least))
        .set_some(P::DeltaReservationGoal, said.room.map(|[_, goal, _]| goal))
        .set_some(P::DeltaReservationMax, said.room.map(|[.., most]| most))
        .set(P::ChangeableType, said.changeable)
}

/// The settings that clients made from capabilities.
pub(super) fn generated(view: &View, capabilities: &Element) -> Vec<Element> {
    let pool = match capabilities {
        Element::StorageCapabilities(Scope::Array) => None,
        Element::StorageCapabilities(Scope::Pool(id)) => Some(id.clone()),
        _ => return Vec::new(),
    };
    let settings = view.inventory.settings_of(&pool);
    settings
        .map(|setting| Element::ClientSetting(setting.id))
        .collect()
}

/// The capabilities that a client made a setting from.
pub(super) fn generated_from(view: &View, setting: &Element) -> Vec<Element> {
    let Element::ClientSetting(id) = setting else {
        return Vec::new();
    };
    let scope = match view.inventory.setting(id).map(|s| s.pool.as_ref()) {
        None => return Vec::new(),
        Some(None) => Scope::Array,
        Some(Some(pool)) if pools::shown(view, pool).is_some() => Scope::Pool(pool.clone()),
        Some(Some(_)) => return Vec::new(),
    };
    vec![Element::StorageCapabilities(scope)]
}
