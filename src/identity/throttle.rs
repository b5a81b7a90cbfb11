//! Slows down addresses that present wrong credentials again and again.
//!
//! After a few failures the attempts of one address are taken one at a time, each failure with a
//! growing pause, so that guessing is slow and never takes more than one of the few slots for
//! password verification. A remembered credential is not slowed down.

use std::collections::HashMap;
use std::net::{IpAddr, Ipv6Addr};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

/// Failures that cost nothing: people mistype.
const FREE_FAILURES: u32 = 5;
/// The pause after the first failure that is not free; it doubles with each further one.
const FIRST_PAUSE: Duration = Duration::from_millis(100);
/// The longest pause.
const LONGEST_PAUSE: Duration = Duration::from_secs(1);
/// A quiet time after which an address starts anew.
const FORGET_AFTER: Duration = Duration::from_secs(300);
/// How many addresses are kept; beyond it the one that failed longest ago is forgotten.
const MAX_ADDRESSES: usize = 1024;

/// The turn of an address: whoever holds its lock is the one attempt under way.
pub(super) type Turn = Arc<tokio::sync::Mutex<()>>;

#[derive(Default)]
pub(super) struct Throttle {
    addresses: Mutex<HashMap<IpAddr, Failures>>,
}

struct Failures {
    count: u32,
    last: Instant,
    turn: Turn,
}

impl Throttle {
    /// The lock to hold during an attempt from `address`; `None` while it is in good standing.
    pub(super) fn turn(&self, address: IpAddr) -> Option<Turn> {
        let addresses = self
            .addresses
            .lock()
            .unwrap_or_else(PoisonError::into_inner);
        let failures = addresses.get(&network(address))?;
        let slow = failures.count >= FREE_FAILURES && failures.last.elapsed() < FORGET_AFTER;
        slow.then(|| Arc::clone(&failures.turn))
    }

    /// Notes a failure; the answer to it has to wait for the returned time.
    pub(super) fn failed(&self, address: IpAddr) -> Duration {
        let now = Instant::now();
        let mut addresses = self
            .addresses
            .lock()
            .unwrap_or_else(PoisonError::into_inner);
        let address = network(address);
        if addresses.len() >= MAX_ADDRESSES && !addresses.contains_key(&address) {
            let oldest = addresses
                .iter()
                .min_by_key(|(_, f)| f.last)
                .map(|(a, _)| *a);
            if let Some(oldest) = oldest {
                addresses.remove(&oldest);
            }
        }
        let failures = addresses.entry(address).or_insert_with(|| Failures {
            count: 0,
            last: now,
            turn: Turn::default(),
        });
        if now.duration_since(failures.last) >= FORGET_AFTER {
            failures.count = 0;
        }
        failures.count = failures.count.saturating_add(1);
        failures.last = now;
        pause(failures.count)
    }

    /// Notes a success: the address is in good standing again.
    pub(super) fn succeeded(&self, address: IpAddr) {
        let mut addresses = self
            .addresses
            .lock()
            .unwrap_or_else(PoisonError::into_inner);
        addresses.remove(&network(address));
    }
}

fn pause(failures: u32) -> Duration {
    match failures.checked_sub(FREE_FAILURES + 1) {
        None => Duration::ZERO,
        Some(doublings) => FIRST_PAUSE
            .saturating_mul(1 << doublings.min(8))
            .min(LONGEST_PAUSE),
    }
}

/// What counts as one address: an IPv6 host owns its whole /64.
fn network(address: IpAddr) -> IpAddr {
    match address.to_canonical() {
        IpAddr::V6(v6) => {
            let [a, b, c, d, ..] = v6.segments();
            IpAddr::V6(Ipv6Addr::new(a, b, c, d, 0, 0, 0, 0))
        }
        v4 => v4,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn pauses_start_late_grow_and_end_with_a_success() {
        let throttle = Throttle::default();
        let peer: IpAddr = "192.0.2.1".parse().expect("address");
        let other: IpAddr = "192.0.2.2".parse().expect("address");
        let pauses: Vec<_> = (0..12).map(|_| throttle.failed(peer)).collect();
        assert!(pauses[..5].iter().all(Duration::is_zero));
        assert_eq!(pauses[5], FIRST_PAUSE);
        assert_eq!(pauses[6], FIRST_PAUSE * 2);
        assert_eq!(pauses[11], LONGEST_PAUSE);
        assert!(throttle.turn(peer).is_some() && throttle.turn(other).is_none());
        throttle.succeeded(peer);
        assert!(throttle.turn(peer).is_none());
        assert_eq!(throttle.failed(peer), Duration::ZERO);
    }

    #[test]
    fn one_v6_network_is_one_address_and_the_table_is_bounded() {
        let throttle = Throttle::default();
        for host in 0..10u16 {
            throttle.failed(Ipv6Addr::new(0x2001, 0xdb8, 0, 1, 0, 0, 0, host).into());
        }
        let sibling = Ipv6Addr::new(0x2001, 0xdb8, 0, 1, 9, 9, 9, 9);
        assert!(throttle.turn(sibling.into()).is_some());
        for net in 0..2000u16 {
            throttle.failed(Ipv6Addr::new(0x2001, 0xdb8, 1, net, 0, 0, 0, 1).into());
        }
        let held = throttle.addresses.lock().expect("no panic").len();
        assert_eq!(held, MAX_ADDRESSES);
    }
}
