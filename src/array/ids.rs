//! Identities: what stays the same when names, sizes and places change.

use std::fmt;
use std::sync::Arc;

use serde::{Deserialize, Serialize};
use uuid::Uuid;

use super::error::Error;

macro_rules! text_id {
    ($($(#[$doc:meta])* $name:ident),* $(,)?) => {$(
        $(#[$doc])*
        #[derive(Clone, Debug, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
        #[serde(transparent)]
        pub struct $name(Arc<str>);

        impl $name {
            /// The identity as text.
            pub fn as_str(&self) -> &str {
                &self.0
            }
        }

        impl From<&str> for $name {
            fn from(text: &str) -> Self {
                Self(text.into())
            }
        }

        impl From<String> for $name {
            fn from(text: String) -> Self {
                Self(text.into())
            }
        }

        impl fmt::Display for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str(&self.0)
            }
        }
    )*};
}

text_id! {
    /// A pool: the UUID of the LVM volume group, or of the thin pool's logical volume.
    PoolId,
    /// A volume: the UUID of the LVM logical volume.
    VolumeId,
    /// A disk, partition or array of disks: what identifies it best (world-wide name, serial, UUID,
    /// else the UUID of its physical volume).
    DiskId,
    /// A target: its iSCSI qualified name, in lower case.
    Iqn,
}

macro_rules! made_id {
    ($($(#[$doc:meta])* $name:ident),* $(,)?) => {$(
        $(#[$doc])*
        #[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
        #[serde(transparent)]
        pub struct $name(Uuid);

        impl $name {
            /// A new, random identity.
            #[allow(clippy::new_without_default)]
            pub fn new() -> Self {
                Self(Uuid::new_v4())
            }

            /// The identity that this text spells, if it spells one in its usual form.
            pub fn parse(text: &str) -> Option<Self> {
                let id = Self(Uuid::try_parse(text).ok()?);
                (id.to_string() == text).then_some(id)
            }

            /// The 32 lower-case hex digits, without dashes.
            pub fn hex(&self) -> String {
                self.0.simple().to_string()
            }
        }

        impl fmt::Display for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                self.0.hyphenated().fmt(f)
            }
        }
    )*};
}

made_id! {
    /// A masking group.
    GroupId,
    /// A masking view.
    ViewId,
    /// A quality of service that a client made.
    SettingId,
    /// A group of volumes that are replicated together.
    ReplicationGroupId,
    /// A job; also the mark that what it made bears until it is finished.
    JobId,
}

macro_rules! found_id {
    ($($name:ident),*) => {$(
        impl $name {
            /// The identity of what was not made here but found, and is known by that text.
            pub(super) fn found(text: &str) -> Self {
                Self(Uuid::new_v5(&FOUND, text.as_bytes()))
            }
        }
    )*};
}

found_id!(GroupId, ViewId);

/// The namespace in which identities are derived for what was found. Clients know it by what comes
/// out.
const FOUND: Uuid = Uuid::from_u128(0x1d0c_83b6_7f25_5a4e_9c61_02e8_b47d_93fa);

/// A port: one target portal group of a target. Hosts and clients know it as
/// `<iqn>,t,0x<tag in 4 hex digits>`.
#[derive(Clone, Debug, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
pub struct PortId {
    /// The target.
    pub iqn: Iqn,
    /// The target portal group tag.
    pub tag: u16,
}

impl PortId {
    /// The port that this text names, in the form that `Display` writes.
    pub fn parse(text: &str) -> Option<Self> {
        let (iqn, tag) = text.rsplit_once(",t,0x")?;
        let id = Self {
            iqn: iqn.into(),
            tag: u16::from_str_radix(tag, 16).ok()?,
        };
        (id.to_string() == text).then_some(id)
    }
}

impl fmt::Display for PortId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{},t,{:#06x}", self.iqn, self.tag)
    }
}

/// The name of an initiator, as it was given; compared without regard to ASCII case, because the
/// kernel folds it at login.
#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(transparent)]
pub struct InitiatorName(Arc<str>);

impl InitiatorName {
    /// Checks and takes a name: `iqn.YYYY-MM.…`, `eui.` and 16 hex digits, or `naa.` and 16 or 32
    /// (RFC 7143 §4.2.7; no blank, no underscore, at most 223 bytes).
    ///
    /// # Errors
    /// [`Kind::InvalidArgument`](super::Kind::InvalidArgument) with what is wrong.
    pub fn parse(text: &str) -> Result<Self, Error> {
        let folded = text.to_ascii_lowercase();
        let hex = |digits: &str, lengths: &[usize]| {
            lengths.contains(&digits.len()) && digits.bytes().all(|b| b.is_ascii_hexdigit())
        };
        let good = if let Some(rest) = folded.strip_prefix("iqn.") {
            iqn_tail_is_good(rest) && folded.len() <= 223
        } else if let Some(digits) = folded.strip_prefix("eui.") {
            hex(digits, &[16])
        } else if let Some(digits) = folded.strip_prefix("naa.") {
            hex(digits, &[16, 32])
        } else {
            false
        };
        if good {
            return Ok(Self(text.into()));
        }
        let shown: String = text.chars().take(80).collect();
        Err(Error::invalid(format!(
            "'{shown}' is not an iSCSI initiator name; give iqn.YYYY-MM.reversed.domain:name, \
             eui. with 16 hex digits, or naa. with 16 or 32"
        )))
    }

    /// The name as it was given.
    pub fn as_str(&self) -> &str {
        &self.0
    }

    /// The name as the kernel compares it.
    pub fn folded(&self) -> String {
        self.0.to_ascii_lowercase()
    }
}

/// Checks what follows `iqn.`: year, month, reversed domain and an optional `:suffix`.
fn iqn_tail_is_good(tail: &str) -> bool {
    let bytes = tail.as_bytes();
    let Some((date, name)) = bytes.split_at_checked(8) else {
        return false;
    };
    let digits = |range: &[u8]| range.iter().all(u8::is_ascii_digit);
    let month = std::str::from_utf8(&date[5..7])
        .ok()
        .and_then(|m| m.parse::<u8>().ok());
    digits(&date[..4])
        && date[4] == b'-'
        && digits(&date[5..7])
        && month.is_some_and(|m| (1..=12).contains(&m))
        && date[7] == b'.'
        && name.first().is_some_and(u8::is_ascii_alphanumeric)
        && name
            .iter()
            .all(|b| b.is_ascii_alphanumeric() || b"-.:".contains(b))
}

impl PartialEq for InitiatorName {
    fn eq(&self, other: &Self) -> bool {
        self.0.eq_ignore_ascii_case(&other.0)
    }
}

impl Eq for InitiatorName {}

impl std::hash::Hash for InitiatorName {
    fn hash<H: std::hash::Hasher>(&self, state: &mut H) {
        self.folded().hash(state);
    }
}

impl PartialOrd for InitiatorName {
    fn partial_cmp(&self, other: &Self) -> Option<std::cmp::Ordering> {
        Some(self.cmp(other))
    }
}

impl Ord for InitiatorName {
    fn cmp(&self, other: &Self) -> std::cmp::Ordering {
        self.folded().cmp(&other.folded())
    }
}

impl fmt::Display for InitiatorName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

/// A session: an initiator logged in to a port. It lives as long as the session does; an initiator
/// that logs in again with the same identifier continues under the same identity.
///
/// Its text is the initiator port and the target port of the nexus,
/// `<initiator>,i,0x<12 hex digits>+<port>` (RFC 7143 §4.2.7.1).
#[derive(Clone, Debug, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
pub struct SessionId {
    /// Where.
    pub port: PortId,
    /// Who.
    pub initiator: InitiatorName,
    /// The identifier that the initiator gave the session (ISID): 6 bytes.
    pub isid: [u8; 6],
}

impl SessionId {
    /// The session that this text names, in the form that `Display` writes.
    pub fn parse(text: &str) -> Option<Self> {
        let (initiator_port, port) = text.split_once('+')?;
        let (initiator, isid) = initiator_port.rsplit_once(",i,0x")?;
        let isid = u64::from_str_radix(isid, 16).ok()?.to_be_bytes();
        let id = Self {
            port: PortId::parse(port)?,
            initiator: InitiatorName::parse(initiator).ok()?,
            isid: *isid.last_chunk()?,
        };
        (id.to_string() == text).then_some(id)
    }
}

impl fmt::Display for SessionId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{},i,0x", self.initiator.folded())?;
        for byte in self.isid {
            write!(f, "{byte:02x}")?;
        }
        write!(f, "+{}", self.port)
    }
}

/// The NAA type 6 identifier under which hosts see a volume (SPC-4 §7.8.6.6.5): 128 bits.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(transparent)]
pub struct Naa(u128);

/// The namespace in which unit serials are derived from volume identities. Never change it: hosts
/// know their disks by what comes out.
const SERIALS: Uuid = Uuid::from_u128(0x7a3d_5c1e_9b42_5f6a_8e10_c4d7_2f93_b651);

impl Naa {
    /// The company id that LIO uses unless it is told another one.
    pub const LIO_COMPANY: u32 = 0x00_1405;

    /// What the kernel's LIO target makes of a unit serial: `6`, the 24-bit company id, then the
    /// first 25 hex digits of the serial, other characters skipped, zeros where digits lack.
    pub fn from_serial(company: u32, serial: &str) -> Self {
        let digits = serial
            .chars()
            .filter_map(|c| c.to_digit(16))
            .chain(std::iter::repeat(0));
        let head = (0x6 << 24) | u128::from(company & 0xff_ffff);
        Self(
            digits
                .take(25)
                .fold(head, |naa, digit| (naa << 4) | u128::from(digit)),
        )
    }

    /// The identifier that 32 hex digits spell, if it is of type 6.
    pub fn parse(text: &str) -> Option<Self> {
        let value = u128::from_str_radix(text, 16).ok()?;
        (text.len() == 32 && value >> 124 == 6).then_some(Self(value))
    }
}

impl fmt::Display for Naa {
    /// 32 upper-case hex digits.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:032X}", self.0)
    }
}

impl VolumeId {
    /// The unit serial of this volume unless a tag says otherwise: known before the first export,
    /// the same after every re-export, on every node (lower-case UUID form, as LIO tools write it).
    pub fn unit_serial(&self) -> String {
        Uuid::new_v5(&SERIALS, self.as_str().as_bytes())
            .hyphenated()
            .to_string()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn initiator_names() {
        let long = format!("iqn.2026-01.a:{}", "x".repeat(210));
        for bad in [
            "",
            "iqn.",
            "iqn.2026-13.a",
            "iqn.2026-00.a",
            "iqn.26-01.a",
            "iqn.2026-01.",
            "x",
            "iqn.2026-01.a b",
            "iqn.2026-01.a_b",
            "iqn.2026-01.é",
            "eui.123",
            "naa.x",
            &long,
            "iqn.2026-01.a/b",
            "iqn.\u{1F600}",
            "iqn.2026-0\u{e9}.ab",
        ] {
            assert!(InitiatorName::parse(bad).is_err(), "{bad}");
        }
        for good in [
            "iqn.2026-01.com.example:Host-1",
            "eui.0123456789abcdeF",
            "naa.0123456789abcdef",
        ] {
            assert_eq!(
                InitiatorName::parse(good)
                    .map(|n| n.to_string())
                    .ok()
                    .as_deref(),
                Some(good)
            );
        }
        assert_eq!(
            InitiatorName::parse("iqn.2026-01.a:B").ok(),
            InitiatorName::parse("iqn.2026-01.a:b").ok()
        );
    }

    #[test]
    fn naa_is_what_the_kernel_derives() {
        let naa = Naa::from_serial(Naa::LIO_COMPANY, "11111111222233334444555566667777");
        assert_eq!(naa.to_string(), "60014051111111122223333444455556");
        assert_eq!(
            Naa::from_serial(Naa::LIO_COMPANY, "1-z-2").to_string(),
            format!("600140512{}", "0".repeat(23))
        );
        assert_eq!(Naa::parse(&naa.to_string()), Some(naa));
        assert_eq!(Naa::parse("50014051111111122223333444455556"), None);
    }

    #[test]
    fn serials_never_change() {
        let id = VolumeId::from("AbCdEf-0123-4567-89ab-cdef-0123-456789");
        assert_eq!(id.unit_serial(), "f1313da1-275b-5918-926c-a30daaa53374");
    }

    #[test]
    fn ports_round_trip() {
        let port = PortId {
            iqn: "iqn.2026-01.a:b".into(),
            tag: 1,
        };
        assert_eq!(port.to_string(), "iqn.2026-01.a:b,t,0x0001");
        assert_eq!(PortId::parse(&port.to_string()), Some(port));
        assert_eq!(PortId::parse("iqn.2026-01.a:b,t,0x1"), None);
    }

    #[test]
    fn sessions_round_trip() {
        let id = SessionId {
            port: PortId {
                iqn: "iqn.2026-01.a:b".into(),
                tag: 1,
            },
            initiator: InitiatorName::parse("iqn.2026-01.host:H").expect("a name"),
            isid: [0x80, 0, 0, 0x0a, 0xff, 1],
        };
        let text = "iqn.2026-01.host:h,i,0x8000000aff01+iqn.2026-01.a:b,t,0x0001";
        assert_eq!(id.to_string(), text);
        assert_eq!(SessionId::parse(text), Some(id));
        for bad in [
            "iqn.2026-01.host:h,i,0x8000000aff01",
            "iqn.2026-01.host:h,i,0x8000000AFF01+iqn.2026-01.a:b,t,0x0001",
            "iqn.2026-01.host:h,i,0x018000000aff01+iqn.2026-01.a:b,t,0x0001",
            "iqn.2026-01.HOST:h,i,0x8000000aff01+iqn.2026-01.a:b,t,0x0001",
            "host,i,0x8000000aff01+iqn.2026-01.a:b,t,0x0001",
        ] {
            assert_eq!(SessionId::parse(bad), None, "{bad}");
        }
    }
}
