//! The methods of the replication capabilities: what works for which type of replication.

use super::pairs::{pair, related};
use super::storage::{DONE, NOT_SUPPORTED, needed};
use super::wishes;
use crate::broker::Invocation;
use crate::cim::CimError;
use crate::schema::method::CIM_ReplicationServiceCapabilities::{
    ConvertReplicationTypeToSyncType, ConvertSyncTypeToReplicationType, GetDefaultConsistency,
    GetDefaultGroupPersistency, GetDefaultReplicationSettingData, GetSupportedConsistency,
    GetSupportedCopyStates, GetSupportedFeatures, GetSupportedGroupFeatures,
    GetSupportedGroupOperations, GetSupportedListFeatures, GetSupportedListOperations,
    GetSupportedMaximum, GetSupportedOperations, GetSupportedOperationsForSynchronization,
    GetSupportedReplicationSettingData, GetSupportedReplicationTypesForSystem,
    GetSupportedStorageCompressionFeatures, GetSupportedThinProvisioningFeatures,
    GetSupportedWaitForCopyStates,
};
use crate::schema::{Outcome, Outputs};
use crate::smis::element::Element;
use crate::smis::replication::{
    Deed, GROUP_FEATURES, LOCAL, MODE, OFFERS, Offer, SYNCHRONIZED, WISHES, maximum,
};
use crate::smis::view::View;

/// A property that is not granted at all.
const PROPERTY_NOT_SUPPORTED: u32 = 7;
/// Sequential consistency: what all replicas of one call have.
const SEQUENTIAL: u16 = 2;
/// `ServiceControlling`: 4 Source or Target; there is one service for both.
const EITHER: u16 = 4;
/// `MethodName` of `GetSupportedWaitForCopyStates`: the methods that make replicas, and those that
/// change them.
const CREATING: [u16; 3] = [2, 3, 7];
const CHANGING: [u16; 2] = [4, 5];

/// Answers a method that tells something of a type of replication; of one that is not offered it
/// tells that.
macro_rules! told {
    ($call:ident, $method:ident, |$offer:ident, $arguments:ident, $outputs:ident| $answer:expr) => {
        if let Some($arguments) = $call.of($method) {
            let $outputs = Outputs::new($method);
            return Ok(match offer($arguments.of($method::ReplicationType))? {
                Some($offer) => $answer,
                None => $outputs.returns(NOT_SUPPORTED),
            });
        }
    };
}

/// The deeds as the methods list them, with what goes with each.
macro_rules! deeds {
    ($outputs:expr, $method:ident, $list:ident, $deeds:expr) => {{
        let deeds: Vec<u16> = $deeds.map(Deed::number).collect();
        let count = deeds.len();
        $outputs
            .set($method::$list, deeds)
            .set($method::ServiceControlling, vec![EITHER; count])
            .set($method::RequiresForce, vec![false; count])
            .set($method::UpdatesSynchronizedPath, vec![false; count])
            .returns(DONE)
    }};
}

/// The offer of a type, if it is offered.
fn offer(number: Option<u16>) -> Result<Option<&'static Offer>, CimError> {
    let number = needed(
        number,
        "ReplicationType is needed; SupportedReplicationTypes lists what is offered",
    )?;
    Ok(Offer::numbered(number))
}

/// The methods of the replication capabilities.
pub(super) fn invoke(call: &Invocation<View>) -> Result<Outcome, CimError> {
    told!(call, GetSupportedFeatures, |offer, _arguments, outputs| {
        let features = offer.features.to_vec();
        outputs
            .set(GetSupportedFeatures::Features, features)
            .returns(DONE)
    });
    told!(call, GetSupportedOperations, |offer, arguments, outputs| {
        use GetSupportedOperations as M;
        let deeds = offer.deeds_in(arguments.of(M::CopyState));
        deeds!(outputs, M, SupportedOperations, deeds)
    });
    told!(
        call,
        GetSupportedListOperations,
        |offer, arguments, outputs| {
            use GetSupportedListOperations as M;
            let deeds = offer.deeds_in(arguments.of(M::CopyState));
            let deeds = deeds.filter(|deed| deed.takes_several());
            deeds!(outputs, M, SupportedListOperations, deeds)
        }
    );
    told!(call, GetSupportedCopyStates, |offer, arguments, outputs| {
        use GetSupportedCopyStates as M;
        let deed = arguments.of(M::Operation);
        let states = offer.states.iter().copied();
        let states: Vec<u16> = states
            .filter(|state| {
                let mut deeds = offer.deeds_in(Some(*state));
                deed.is_none_or(|number| deeds.any(|deed| deed.number() == number))
            })
            .collect();
        let accessible = states.iter().map(|state| *state == SYNCHRONIZED);
        let accessible: Vec<bool> = accessible.collect();
        outputs
            .set(M::SupportedCopyStates, states)
            .set(M::HostAccessible, accessible)
            .returns(DONE)
    });
    told!(
        call,
        GetSupportedWaitForCopyStates,
        |offer, arguments, outputs| {
            use GetSupportedWaitForCopyStates as M;
            let method = arguments.of(M::MethodName);
            let wish = arguments.of(M::Operation);
            outputs
                .set(M::SupportedCopyStates, awaited(offer, method, wish))
                .returns(DONE)
        }
    );
    told!(
        call,
        ConvertReplicationTypeToSyncType,
        |offer, _arguments, outputs| {
            use ConvertReplicationTypeToSyncType as M;
            outputs
                .set(M::SyncType, offer.sync_type)
                .set(M::Mode, MODE)
                .set(M::LocalOrRemote, LOCAL)
                .returns(DONE)
        }
    );
    told!(
        call,
        GetSupportedThinProvisioningFeatures,
        |_offer, _arguments, outputs| {
            use GetSupportedThinProvisioningFeatures as M;
            // 2: what a thin source does not hold reads as zeros in the replica.
            outputs
                .set(M::SupportedThinProvisioningFeatures, [2u16])
                .returns(DONE)
        }
    );
    told!(call, GetSupportedMaximum, |_offer, arguments, outputs| {
        use GetSupportedMaximum as M;
        let component = needed(
            arguments.of(M::Component),
            "Component is needed; say of what the maximum is asked for",
        )?;
        match maximum(component) {
            Some(most) => outputs.set(M::MaxValue, most).returns(DONE),
            None => outputs.returns(NOT_SUPPORTED),
        }
    });
    invoke_settings(call)
}

/// The methods that tell of settings and of several replicas at once.
fn invoke_settings(call: &Invocation<View>) -> Result<Outcome, CimError> {
    told!(
        call,
        GetDefaultReplicationSettingData,
        |offer, _arguments, outputs| {
            use GetDefaultReplicationSettingData as M;
            outputs
                .set(M::DefaultInstance, wishes::default(offer))
                .returns(DONE)
        }
    );
    told!(
        call,
        GetSupportedReplicationSettingData,
        |offer, arguments, outputs| {
            use GetSupportedReplicationSettingData as M;
            let property = needed(
                arguments.of(M::PropertyName),
                "PropertyName is needed; say of which property the values are asked for",
            )?;
            match WISHES.iter().find(|wish| wish.number == property) {
                Some(wish) => outputs
                    .set(M::SupportedValues, wish.granted(offer.kind).to_vec())
                    .returns(DONE),
                None => outputs.returns(PROPERTY_NOT_SUPPORTED),
            }
        }
    );
    told!(
        call,
        GetSupportedConsistency,
        |_offer, _arguments, outputs| {
            use GetSupportedConsistency as M;
            outputs
                .set(M::SupportedConsistency, [SEQUENTIAL])
                .returns(DONE)
        }
    );
    told!(
        call,
        GetDefaultConsistency,
        |_offer, _arguments, outputs| {
            use GetDefaultConsistency as M;
            outputs.set(M::DefaultConsistency, SEQUENTIAL).returns(DONE)
        }
    );
    told!(
        call,
        GetSupportedListFeatures,
        |_offer, _arguments, outputs| {
            use GetSupportedListFeatures as M;
            // 2 List is supported, 3 Sequential consistency, 4 No consistency: whoever asks for less
            // gets more.
            outputs.set(M::GroupFeatures, [2u16, 3, 4]).returns(DONE)
        }
    );
    told!(
        call,
        GetSupportedStorageCompressionFeatures,
        |_offer, _arguments, outputs| {
            use GetSupportedStorageCompressionFeatures as M;
            // 1 Storage compression is not supported.
            outputs
                .set(M::SupportedStorageCompressionFeatures, [1u16])
                .returns(DONE)
        }
    );
    if let Some(arguments) = call.of(ConvertSyncTypeToReplicationType) {
        use ConvertSyncTypeToReplicationType as M;
        let sync_type = needed(
            arguments.of(M::SyncType),
            "SyncType is needed; 7 is a snapshot, 8 a clone",
        )?;
        let is_local = arguments
            .of(M::LocalOrRemote)
            .is_none_or(|place| place == LOCAL);
        let offer = Offer::with(sync_type, arguments.of(M::Mode));
        let outputs = Outputs::new(M);
        return Ok(match offer.filter(|_| is_local) {
            Some(offer) => outputs
                .set(M::SupportedReplicationTypes, offer.number)
                .returns(DONE),
            None => outputs.returns(NOT_SUPPORTED),
        });
    }
    if let Some(arguments) = call.of(GetSupportedOperationsForSynchronization) {
        use GetSupportedOperationsForSynchronization as M;
        let path = arguments.need(M::Synchronization)?;
        let replicas = related(call, &path)?;
        let mut deeds = Deed::ALL.to_vec();
        for replica in &replicas {
            let possible = pair(call, replica)?.deeds(&call.snapshot);
            deeds.retain(|deed| possible.contains(deed));
        }
        let is_group = path.class == *"CIM_GroupSynchronized";
        deeds.retain(|deed| !is_group || deed.suits_groups());
        let deeds = deeds.into_iter();
        return Ok(deeds!(Outputs::new(M), M, SupportedOperations, deeds));
    }
    if let Some(arguments) = call.of(GetSupportedReplicationTypesForSystem) {
        use GetSupportedReplicationTypesForSystem as M;
        let types: Vec<u16> = match call.element(&arguments, M::System)? {
            Some(Element::System) => OFFERS.iter().map(|offer| offer.number).collect(),
            _ => Vec::new(),
        };
        return Ok(Outputs::new(M)
            .set(M::SupportedReplicationTypes, types)
            .returns(DONE));
    }
    invoke_groups(call)
}

/// The methods that tell of groups.
fn invoke_groups(call: &Invocation<View>) -> Result<Outcome, CimError> {
    told!(
        call,
        GetSupportedGroupFeatures,
        |_offer, _arguments, outputs| {
            use GetSupportedGroupFeatures as M;
            outputs.set(M::GroupFeatures, GROUP_FEATURES).returns(DONE)
        }
    );
    told!(
        call,
        GetSupportedGroupOperations,
        |offer, arguments, outputs| {
            use GetSupportedGroupOperations as M;
            let deeds = offer.deeds_in(arguments.of(M::CopyState));
            let deeds = deeds.filter(|deed| deed.suits_groups());
            deeds!(outputs, M, SupportedGroupOperations, deeds)
        }
    );
    if call.of(GetDefaultGroupPersistency).is_some() {
        use GetDefaultGroupPersistency as M;
        // 2 Persistent.
        return Ok(Outputs::new(M)
            .set(M::DefaultGroupPersistency, 2u16)
            .returns(DONE));
    }
    Err(call.not_available())
}

/// The states that a method can wait for: the one that it ends in.
fn awaited(offer: &Offer, method: Option<u16>, operation: Option<u16>) -> Vec<u16> {
    let mut states = Vec::new();
    if method.is_none_or(|method| CREATING.contains(&method)) {
        states.push(SYNCHRONIZED);
    }
    if method.is_none_or(|method| CHANGING.contains(&method)) {
        let deeds = offer.deeds.iter();
        let meant = deeds.filter(|deed| operation.is_none_or(|number| deed.number() == number));
        states.extend(meant.map(|deed| deed.leads_to()));
    }
    states.sort_unstable();
    states.dedup();
    states
}
