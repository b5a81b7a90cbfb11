//! Health in the words of CIM (`CIM_ManagedSystemElement.OperationalStatus`, `HealthState`).

use crate::array::Health;

/// `OperationalStatus`: 2 OK, 3 Degraded, 6 Error, 0 Unknown.
pub(super) fn operational_status(health: &Health) -> u16 {
    match health {
        Health::Ok => 2,
        Health::Degraded(_) => 3,
        Health::Failed(_) => 6,
        Health::Unknown(_) => 0,
    }
}

/// `HealthState`: 5 OK, 10 Degraded, 25 Critical failure, 0 Unknown.
pub(super) fn health_state(health: &Health) -> u16 {
    match health {
        Health::Ok => 5,
        Health::Degraded(_) => 10,
        Health::Failed(_) => 25,
        Health::Unknown(_) => 0,
    }
}

/// `StatusDescriptions`: what is wrong, as one sentence; nothing where all is well.
pub(super) fn status_descriptions(health: &Health) -> Option<[String; 1]> {
    match health {
        Health::Ok => None,
        Health::Degraded(why) | Health::Failed(why) | Health::Unknown(why) => Some([why.clone()]),
    }
}

/// Sets every property that tells a health, of whatever class.
macro_rules! set_health {
    ($out:expr, $class:ident, $health:expr) => {{
        use $crate::smis::status::{health_state, operational_status, status_descriptions};
        let health: &$crate::array::Health = $health;
        $out.set($class::OperationalStatus, [operational_status(health)])
            .set($class::HealthState, health_state(health))
            .set_some($class::StatusDescriptions, status_descriptions(health))
    }};
}

pub(super) use set_health;

/// How bad it is, compared with others.
pub(super) fn rank(health: &Health) -> u8 {
    match health {
        Health::Ok => 0,
        Health::Unknown(_) => 1,
        Health::Degraded(_) => 2,
        Health::Failed(_) => 3,
    }
}

/// The worst of several.
pub(super) fn worst<'a>(all: impl IntoIterator<Item = &'a Health>) -> Health {
    all.into_iter()
        .max_by_key(|health| rank(health))
        .cloned()
        .unwrap_or_default()
}
