//! Qualities of service as clients ask for them: goals, the settings that clients make to name
//! them, and what capabilities tell about both.

use super::Gateway;
use super::storage::DONE;
use crate::array::{
    Abilities, Bounds, Command, Effect, Layout, MAX_NAME, Quality, Setting, SettingId,
};
use crate::broker::Invocation;
use crate::cim::{CimError, Instance, Property, Value};
use crate::identity::Identity;
use crate::schema::method::CIM_Capabilities::CreateGoalSettings;
use crate::schema::method::CIM_StorageCapabilities::{
    CreateSetting, GetSupportedParityLayouts, GetSupportedStripeLengthRange,
    GetSupportedStripeLengths,
};
use crate::schema::method::CIM_StorageConfigurationCapabilities::GetElementNameCapabilities;
use crate::schema::{Outcome, Outputs, class};
use crate::smis::capabilities::abilities_of;
use crate::smis::element::{Element, Scope};
use crate::smis::view::View;
use crate::smis::{pools, settings, volumes};

/// What a `Goal` asks for.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Goal {
    pub(super) quality: Quality,
    /// Whether a pool is to be a thin one.
    pub(super) thin: bool,
    /// Room for what changes, in percent, that a snapshot is to have.
    pub(super) room: Option<u8>,
}

impl Goal {
    /// Exactly what something has already.
    pub(super) fn like(layout: Layout) -> Self {
        let quality = Quality {
            survives: Some(layout.survives()),
            copies: Some(layout.copies()),
            stripe_length: Some(layout.stripe_length()),
            no_single_point_of_failure: layout.survives() > 0,
        };
        Self {
            quality,
            ..Self::default()
        }
    }
}

/// What a `Goal` parameter asks for: any setting will do; without one it is nothing special.
pub(super) fn goal(view: &View, element: Option<Element>) -> Result<Goal, CimError> {
    let gone = || CimError::not_found("the setting that Goal names is gone");
    match element {
        None => Ok(Goal::default()),
        Some(Element::Setting(id)) => {
            let volume = volumes::volume(view, &id).ok_or_else(gone)?;
            Ok(Goal::like(volume.layout))
        }
        Some(Element::PoolSetting(id)) => {
            pools::shown(view, &id).ok_or_else(gone)?;
            Ok(Goal::like(abilities_of(view, &Scope::Pool(id)).default))
        }
        Some(Element::ClientSetting(id)) => {
            let setting = view.inventory.setting(&id).ok_or_else(gone)?;
            // What lies outside its bounds is refused here; the planner knows no bounds.
            setting.layout()?;
            Ok(Goal {
                quality: setting.quality(),
                thin: setting.thin,
                room: setting.room,
            })
        }
        Some(_) => Err(CimError::invalid_parameter("Goal is not a storage setting")),
    }
}

/// `SettingType`: the defaults and nothing else, or all that is possible.
const DEFAULT: u16 = 2;
const ALL: u16 = 3;

const USE_RANGE: u32 = 3;
const NO_CHOICE: u32 = 2;

impl Gateway {
    /// The methods of storage capabilities.
    pub(super) async fn invoke_capabilities(
        &self,
        who: &Identity,
        call: &Invocation<View>,
        scope: &Scope,
    ) -> Result<Outcome, CimError> {
        let able = abilities_of(&call.snapshot, scope);
        if let Some(arguments) = call.of(CreateSetting) {
            let kind = arguments.of(CreateSetting::SettingType);
            let setting = new_setting(scope, &able, kind)?;
            let (effect, _) = self.finish(who, Command::PutSetting { setting }).await?;
            let Effect::Setting(id) = effect else {
                return Err(CimError::failed("the setting is gone already"));
            };
            return Ok(Outputs::new(CreateSetting)
                .set(
                    CreateSetting::NewSetting,
                    self.path(Element::ClientSetting(id)),
                )
                .returns(DONE));
        }
        if let Some(arguments) = call.of(CreateGoalSettings) {
            let templates = arguments.of(CreateGoalSettings::TemplateGoalSettings);
            return goal_settings(&able, templates.unwrap_or_default());
        }
        if call.of(GetSupportedStripeLengths).is_some() {
            return Ok(Outputs::new(GetSupportedStripeLengths).returns(USE_RANGE));
        }
        if call.of(GetSupportedStripeLengthRange).is_some() {
            use GetSupportedStripeLengthRange as Range;
            return Ok(Outputs::new(Range)
                .set(Range::MinimumStripeLength, able.stripe_length.min)
                .set(Range::MaximumStripeLength, able.stripe_length.max)
                .set(Range::StripeLengthDivisor, 1u32)
                .returns(DONE));
        }
        if call.of(GetSupportedParityLayouts).is_some() {
            return Ok(parity_layouts(&able));
        }
        Err(call.not_available())
    }
}

const ALTERNATIVE: u16 = 6;
/// The classes of settings that can be wished for.
const TEMPLATES: [&str; 2] = ["CIM_StorageSetting", "Standpipe_StorageSetting"];

/// The settings nearest to templates that can be had; the default where there are none. Nothing is
/// made: they last as long as the answer.
fn goal_settings(able: &Abilities, templates: Vec<Instance>) -> Result<Outcome, CimError> {
    let wishes: Vec<Setting> = match templates.is_empty() {
        true => vec![wish(able)],
        false => templates
            .into_iter()
            .map(|template| wished(able, template))
            .collect::<Result<_, _>>()?,
    };
    let mut supported = Vec::new();
    let mut all = true;
    for wish in &wishes {
        let (setting, is_it) = able.nearest(wish)?;
        all &= is_it;
        supported.push(settings::proposed(&setting));
    }
    let outputs = Outputs::new(CreateGoalSettings);
    Ok(outputs
        .set(CreateGoalSettings::SupportedGoalSettings, supported)
        .returns(if all { 0 } else { ALTERNATIVE }))
}

/// What is wished for where nothing is said: the default, and anything else would do.
fn wish(able: &Abilities) -> Setting {
    let any = |goal| Bounds {
        min: 0,
        goal,
        max: u16::MAX,
    };
    Setting {
        id: SettingId::new(),
        name: "proposal".to_owned(),
        pool: None,
        lasting: false,
        survives: any(able.default.survives()),
        copies: any(able.default.copies()),
        stripe_length: any(able.default.stripe_length()),
        no_single_point_of_failure: false,
        thin: false,
        room: None,
    }
}

/// What a template wishes for.
fn wished(able: &Abilities, template: Instance) -> Result<Setting, CimError> {
    use class::Standpipe_StorageSetting as P;
    if !TEMPLATES.iter().any(|class| template.class == **class) {
        return Err(CimError::invalid_parameter(format!(
            "a template is of class {}; give instances of CIM_StorageSetting",
            template.class
        )));
    }
    // What only names or describes a setting, and what follows from the rest, is no wish.
    let silent = [
        P::InstanceID.name(),
        P::Caption.name(),
        P::Description.name(),
        P::ParityLayout.name(),
        P::ChangeableType.name(),
    ];
    let says = |property: &Property| {
        property.value.is_some() && !silent.iter().any(|name| property.name == **name)
    };
    let said = template.properties.into_iter().filter(says).collect();
    modified(&wish(able), said)
}

/// Parity wanders over the disks wherever there is any.
fn parity_layouts(able: &Abilities) -> Outcome {
    use GetSupportedParityLayouts as Layouts;
    let least = Quality {
        survives: Some(1),
        ..Quality::default()
    };
    let outputs = Outputs::new(Layouts);
    match least.layout() {
        Ok(layout)
            if layout.legs() <= able.stripe_length.max
                && able.survives.max > 0
                && able.copies.min == 1 =>
        {
            outputs.set(Layouts::ParityLayout, [3u16]).returns(DONE)
        }
        _ => outputs.returns(NO_CHOICE),
    }
}

/// A setting that was made from abilities just now.
fn new_setting(scope: &Scope, able: &Abilities, kind: Option<u16>) -> Result<Setting, CimError> {
    let pool = match scope {
        Scope::Array => None,
        Scope::Pool(id) => Some(id.clone()),
        Scope::Primordial => {
            return Err(CimError::not_supported(
                "settings are not made for the primordial pool; use the capabilities of the \
                 storage configuration service or of a concrete pool",
            ));
        }
    };
    let bounds = |all: Bounds| match kind {
        Some(DEFAULT) => Bounds::just(all.goal),
        _ => all,
    };
    if let Some(other) = kind.filter(|kind| ![DEFAULT, ALL].contains(kind)) {
        return Err(CimError::invalid_parameter(format!(
            "SettingType {other} means nothing here; 2 makes the defaults, 3 a goal"
        )));
    }
    let id = SettingId::new();
    Ok(Setting {
        name: format!("setting-{}", &id.hex()[..12]),
        id,
        pool,
        lasting: false,
        survives: bounds(able.survives),
        copies: bounds(able.copies),
        stripe_length: bounds(able.stripe_length),
        no_single_point_of_failure: able.default.survives() > 0,
        thin: false,
        room: None,
    })
}

/// What a setting becomes by changes.
pub(super) fn modified(setting: &Setting, changes: Vec<Property>) -> Result<Setting, CimError> {
    use class::Standpipe_StorageSetting as P;
    let mut new = setting.clone();
    for change in changes {
        let name = &change.name;
        let number = match change.value {
            Some(Value::Uint16(number)) => Some(number),
            _ => None,
        };
        let places = [
            (P::PackageRedundancyMin.name(), &mut new.survives.min),
            (P::PackageRedundancyGoal.name(), &mut new.survives.goal),
            (P::PackageRedundancyMax.name(), &mut new.survives.max),
            (P::DataRedundancyMin.name(), &mut new.copies.min),
            (P::DataRedundancyGoal.name(), &mut new.copies.goal),
            (P::DataRedundancyMax.name(), &mut new.copies.max),
            (P::ExtentStripeLengthMin.name(), &mut new.stripe_length.min),
            (P::ExtentStripeLength.name(), &mut new.stripe_length.goal),
            (P::ExtentStripeLengthMax.name(), &mut new.stripe_length.max),
        ];
        let place = places.into_iter().find(|(known, _)| *name == *known);
        match (place, &change.value) {
            (Some((_, place)), Some(Value::Uint16(number))) => *place = *number,
            (None, Some(Value::String(text))) if *name == P::ElementName.name() => {
                new.name = text.to_string();
            }
            (None, Some(Value::Boolean(flag))) if *name == P::NoSinglePointOfFailure.name() => {
                new.no_single_point_of_failure = *flag;
            }
            (None, _) if *name == P::ChangeableType.name() => match number {
                Some(1) => new.lasting = false,
                Some(2) => new.lasting = true,
                _ => {
                    return Err(CimError::not_supported(
                        "ChangeableType is 1 (transient) or 2 (persistent) for a setting that a \
                         client made",
                    ));
                }
            },
            (None, Some(Value::Uint8(room))) if *name == P::DeltaReservationGoal.name() => {
                new.room = Some(*room);
            }
            (None, None) if *name == P::DeltaReservationGoal.name() => new.room = None,
            (None, value) if *name == P::ThinProvisionedPoolType.name() => match number {
                Some(7..=9) => new.thin = true,
                None if value.is_none() => new.thin = false,
                _ => {
                    return Err(CimError::not_supported(
                        "ThinProvisionedPoolType is 7, 8 or 9, or NULL",
                    ));
                }
            },
            _ => {
                return Err(CimError::not_supported(format!(
                    "property {name} cannot be changed to that"
                )));
            }
        }
    }
    Ok(new)
}

/// `ElementType` in `GetElementNameCapabilities`: volumes, thin volumes, pools.
const NAMED: [u16; 3] = [2, 5, 7];
const NOT_SUPPORTED: u32 = 1;

/// Where names can be given and changed, and how long they may be.
pub(super) fn invoke_names(call: &Invocation<View>) -> Result<Outcome, CimError> {
    use GetElementNameCapabilities as Names;
    let Some(arguments) = call.of(Names) else {
        return Err(call.not_available());
    };
    let outputs = Outputs::new(Names);
    let kind = arguments.of(Names::ElementType);
    if kind.is_some_and(|kind| !NAMED.contains(&kind)) {
        return Ok(outputs.returns(NOT_SUPPORTED));
    }
    Ok(outputs
        // 2 at creation, 3 by the method, 4 by ModifyInstance.
        .set(Names::SupportedFeatures, [2u16, 3, 4])
        .set(
            Names::MaxElementNameLen,
            u16::try_from(MAX_NAME).unwrap_or(u16::MAX),
        )
        .set(
            Names::ElementNameMask,
            "^[^[:cntrl:]]*[^[:cntrl:][:space:]][^[:cntrl:]]*$",
        )
        .returns(DONE))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::cim::Type;

    fn setting() -> Setting {
        new_setting(&Scope::Array, &Abilities::of_disks(6), Some(ALL)).expect("made")
    }

    fn change(name: &str, ty: Type, value: Option<Value>) -> Vec<Property> {
        vec![Property::new(name, ty, false, value)]
    }

    #[test]
    fn a_new_setting_is_the_defaults_or_covers_all_that_is_possible() {
        let able = Abilities::of_disks(6);
        let all = setting();
        assert_eq!((all.survives, all.copies), (able.survives, able.copies));
        let default = new_setting(&Scope::Array, &able, Some(DEFAULT)).expect("made");
        assert_eq!(default.survives, Bounds::just(0));
        assert!(new_setting(&Scope::Array, &able, Some(4)).is_err());
        assert!(new_setting(&Scope::Primordial, &able, Some(ALL)).is_err());
        for setting in [all, default] {
            setting.check().expect("it can be fulfilled");
        }
    }

    #[test]
    fn properties_of_a_setting_are_changed_by_name_in_any_case() {
        let old = setting();
        let goal = Some(Value::Uint16(1));
        let new = modified(&old, change("packageredundancygoal", Type::Uint16, goal));
        assert_eq!(new.expect("changed").survives.goal, 1);
        let lasting = Some(Value::Uint16(2));
        let new = modified(&old, change("ChangeableType", Type::Uint16, lasting));
        assert!(new.expect("changed").lasting);
        for (name, ty, value) in [
            ("ChangeableType", Type::Uint16, Some(Value::Uint16(0))),
            (
                "ThinProvisionedPoolType",
                Type::Uint16,
                Some(Value::Uint16(6)),
            ),
            ("DataRedundancyGoal", Type::Uint16, None),
            ("SpaceLimit", Type::Uint64, Some(Value::Uint64(1))),
        ] {
            assert!(modified(&old, change(name, ty, value)).is_err(), "{name}");
        }
    }
}
