//! What clients wish for a replica beyond its kind: `CIM_ReplicationSettingData`.

use super::settings::Goal;
use crate::array::{Copying, Pool, Quality, Volume};
use crate::cim::{CimError, Instance, Value};
use crate::schema::{Builder, class};
use crate::smis::replication::{Offer, WISHES};

/// The classes of settings that can be wished for.
const SETTINGS: [&str; 2] = [
    "CIM_ReplicationSettingData",
    "Standpipe_ReplicationSettingData",
];

/// `TargetElementGoal`, `TargetElementResourcePool`: 3 Same as source element.
const SAME_AS_SOURCE: u16 = 3;

/// Wishes that can be granted as such, some of them not everywhere.
#[derive(Debug, Default)]
pub(super) struct Wishes {
    methodology: Option<u16>,
    thin: Option<u16>,
    same_goal: bool,
    same_pool: bool,
}

impl Wishes {
    /// Those of a settings instance; refused where one of them cannot come true for that offer.
    pub(super) fn of(offer: &Offer, settings: Option<Instance>) -> Result<Self, CimError> {
        use class::Standpipe_ReplicationSettingData as P;
        let Some(settings) = settings else {
            return Ok(Self::default());
        };
        check(offer, &settings)?;
        let same = |wish: Option<u16>| wish == Some(SAME_AS_SOURCE);
        Ok(Self {
            methodology: P::DesiredCopyMethodology.of(&settings),
            thin: P::ThinProvisioningPolicy.of(&settings),
            same_goal: same(P::TargetElementGoal.of(&settings)),
            same_pool: same(P::TargetElementResourcePool.of(&settings)),
        })
    }

    /// The way of copying that settings ask for, if they ask for one.
    pub(super) fn methodology_of(settings: &Instance) -> Option<u16> {
        use class::Standpipe_ReplicationSettingData as P;
        // 2 Instrumentation decides.
        P::DesiredCopyMethodology
            .of(settings)
            .filter(|wish| *wish != 2)
    }

    /// What a clone is to be like, where it is to be like its source.
    pub(super) fn quality(&self, source: &Volume) -> Option<Quality> {
        self.same_goal.then(|| Goal::like(source.layout).quality)
    }

    /// Refuses what cannot come true for a source and the pool of its replica.
    pub(super) fn check(
        &self,
        offer: &Offer,
        source: &Volume,
        from: &Pool,
        to: &Pool,
    ) -> Result<(), CimError> {
        let (thin, thin_target) = (from.thin().is_some(), to.thin().is_some());
        // 6 Copy-On-Write, 11 Redirect-On-Write.
        let other = match (offer.kind, thin) {
            (Copying::Snapshot, false) => Some(11),
            (Copying::Snapshot, true) => Some(6),
            (Copying::Clone, _) => None,
        };
        if other.is_some() && self.methodology == other {
            return Err(CimError::not_supported(format!(
                "snapshots of volume '{}' are not made by that DesiredCopyMethodology; leave it out",
                source.name
            )));
        }
        let comes_true = match self.thin {
            // 2 thin to thin, 3 thin to full, 4 full to thin.
            Some(2) => !thin || thin_target,
            Some(3) => !thin || !thin_target,
            Some(4) => thin || thin_target,
            // 5 as the source.
            Some(5) => thin == thin_target,
            _ => true,
        };
        if !comes_true {
            return Err(CimError::not_supported(format!(
                "a replica of volume '{}' in pool {} is {}; choose another TargetPool or \
                 ThinProvisioningPolicy",
                source.name,
                to.name,
                if thin_target {
                    "thin"
                } else {
                    "fully provisioned"
                },
            )));
        }
        if self.same_pool && from.id != to.id {
            return Err(CimError::invalid_parameter(format!(
                "volume '{}' does not lie in TargetPool, but TargetElementResourcePool asks for the \
                 source's pool; leave one of them out",
                source.name
            )));
        }
        Ok(())
    }
}

/// Refuses an instance that holds a wish which never comes true.
fn check(offer: &Offer, settings: &Instance) -> Result<(), CimError> {
    use class::Standpipe_ReplicationSettingData as P;
    if !SETTINGS.iter().any(|class| settings.class == **class) {
        return Err(CimError::invalid_parameter(format!(
            "ReplicationSettingData is of class {}; give an instance of CIM_ReplicationSettingData",
            settings.class
        )));
    }
    // What only names or describes the settings is no wish.
    let silent = [
        P::InstanceID.name(),
        P::ElementName.name(),
        P::Caption.name(),
        P::Description.name(),
        P::ChangeableType.name(),
    ];
    for property in &settings.properties {
        let Some(value) = &property.value else {
            continue;
        };
        if silent.iter().any(|name| property.name == **name) {
            continue;
        }
        let wish = WISHES.iter().find(|wish| property.name == *wish.name);
        let granted = wish.zip(number(value));
        if !granted.is_some_and(|(wish, value)| wish.granted(offer.kind).contains(&value)) {
            return Err(CimError::not_supported(format!(
                "{} of ReplicationSettingData cannot be had as it is; leave it out, or ask \
                 GetSupportedReplicationSettingData what can be had",
                property.name
            )));
        }
    }
    Ok(())
}

/// A value as `GetSupportedReplicationSettingData` numbers it: 2 false, 3 true.
fn number(value: &Value) -> Option<u64> {
    match value {
        Value::Boolean(flag) => Some(if *flag { 3 } else { 2 }),
        Value::Uint16(number) => Some((*number).into()),
        Value::Uint64(number) => Some(*number),
        _ => None,
    }
}

/// What comes true where nothing is wished for.
pub(super) fn default(offer: &Offer) -> Instance {
    use class::Standpipe_ReplicationSettingData as P;
    let name = match offer.kind {
        Copying::Snapshot => "Default of snapshots",
        Copying::Clone => "Default of clones",
    };
    Builder::new(class::Standpipe_ReplicationSettingData)
        .set(P::ElementName, name)
        .set(P::ConsistentPointInTime, true)
        .set(P::DesiredCopyMethodology, 2u16)
        .set(P::Multihop, 1u16)
        .set(P::OnGroupOrListError, 3u16)
        .set(P::UnequalGroupsAction, 2u16)
        .set(P::UnequalListsAction, 2u16)
        .set(P::TargetElementSupplier, 2u16)
        // 6 Target pool decides.
        .set(P::ThinProvisioningPolicy, 6u16)
        .set(P::Pairing, 3u16)
        .set(P::FailedCopyStopsHostIO, false)
        .set(P::CopyRecoveryMode, 4u16)
        .set(P::StorageCompressionPolicy, 7u16)
        .set(P::TargetElementResourcePool, 2u16)
        .set(P::TargetElementGoal, 2u16)
        .set(P::AutoDelete, false)
        .set(P::ConsistencyExempt, false)
        .set(P::ConsistentAsyncCopy, false)
        .build()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::cim::{Property, Type};
    use crate::smis::replication::OFFERS;

    #[test]
    fn the_defaults_are_among_what_is_granted() {
        for offer in &OFFERS {
            Wishes::of(offer, Some(default(offer))).expect("granted");
        }
    }

    #[test]
    fn a_wish_that_never_comes_true_is_refused_by_name() {
        let [snapshot, clone] = &OFFERS;
        let with = |name: &'static str, ty, value| {
            let mut settings = Instance::new("cim_replicationsettingdata");
            let property = Property::new(name, ty, false, Some(value));
            settings.properties.push(property);
            Some(settings)
        };
        let full = || with("DesiredCopyMethodology", Type::Uint16, Value::Uint16(3));
        assert!(Wishes::of(clone, full()).is_ok());
        let refused = Wishes::of(snapshot, full()).expect_err("a snapshot is no full copy");
        assert!(refused.description.contains("DesiredCopyMethodology"));
        let read_only = with("ReadOnly", Type::Uint16, Value::Uint16(3));
        assert!(Wishes::of(clone, read_only).is_err());
        let other = Some(Instance::new("CIM_StorageSetting"));
        assert!(Wishes::of(clone, other).is_err());
        assert!(Wishes::of(clone, None).is_ok());
    }
}
