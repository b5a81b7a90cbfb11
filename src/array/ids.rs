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
    /// An iSCSI target: its qualified name, in lower case.
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

/// What initiators reach the array over.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
#[allow(missing_docs)]
pub enum Fabric {
    Iscsi,
    FibreChannel,
}

impl fmt::Display for Fabric {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Iscsi => "iSCSI",
            Self::FibreChannel => "Fibre Channel",
        })
    }
}

/// The world-wide name of a Fibre Channel port (FC-FS, Name_Identifier): 64 bits. Clients know it as
/// 16 upper-case hex digits.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(into = "String", try_from = "String")]
pub struct Wwn(u64);

impl Wwn {
    /// The name that this text spells: 16 hex digits, by themselves, after `0x` or `naa.`, or in
    /// pairs between colons. All zeros and all ones are what ports bear that have no name.
    pub fn parse(text: &str) -> Option<Self> {
        let text = text.to_ascii_lowercase();
        let digits = match text.split(':').collect::<Vec<_>>()[..] {
            [alone] => {
                let prefixed = alone.strip_prefix("0x").or(alone.strip_prefix("naa."));
                prefixed.unwrap_or(alone).to_owned()
            }
            ref pairs if pairs.len() == 8 && pairs.iter().all(|pair| pair.len() == 2) => {
                pairs.concat()
            }
            _ => return None,
        };
        if digits.len() != 16 || !digits.bytes().all(|b| b.is_ascii_hexdigit()) {
            return None;
        }
        let name = u64::from_str_radix(&digits, 16).ok()?;
        (name != 0 && name != u64::MAX).then_some(Self(name))
    }

    /// In lower-case pairs between colons, as Linux and its tools write it.
    pub fn in_pairs(self) -> String {
        self.0
            .to_be_bytes()
            .map(|byte| format!("{byte:02x}"))
            .join(":")
    }
}

impl fmt::Display for Wwn {
    /// 16 upper-case hex digits.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:016X}", self.0)
    }
}

impl From<Wwn> for String {
    fn from(wwn: Wwn) -> Self {
        wwn.to_string()
    }
}

impl TryFrom<String> for Wwn {
    type Error = String;

    fn try_from(text: String) -> Result<Self, String> {
        Self::parse(&text).ok_or_else(|| format!("'{text}' is not a world-wide name"))
    }
}

/// A port that initiators log in to.
#[derive(Clone, Debug, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(untagged)]
pub enum PortId {
    /// One target portal group of an iSCSI target. Hosts and clients know it as
    /// `<iqn>,t,0x<tag in 4 hex digits>`.
    Iscsi {
        /// The target.
        iqn: Iqn,
        /// The target portal group tag.
        tag: u16,
    },
    /// A Fibre Channel port, by its world-wide name.
    FibreChannel(Wwn),
}

impl PortId {
    /// The port that this text names, in the form that `Display` writes.
    pub fn parse(text: &str) -> Option<Self> {
        let id = match text.rsplit_once(",t,0x") {
            Some((iqn, tag)) => Self::Iscsi {
                iqn: iqn.into(),
                tag: u16::from_str_radix(tag, 16).ok()?,
            },
            None => Self::FibreChannel(Wwn::parse(text)?),
        };
        (id.to_string() == text).then_some(id)
    }

    /// What it is reached over.
    pub fn fabric(&self) -> Fabric {
        match self {
            Self::Iscsi { .. } => Fabric::Iscsi,
            Self::FibreChannel(_) => Fabric::FibreChannel,
        }
    }

    /// The iSCSI target that it belongs to, if it is a port of one.
    pub fn iqn(&self) -> Option<&Iqn> {
        match self {
            Self::Iscsi { iqn, .. } => Some(iqn),
            Self::FibreChannel(_) => None,
        }
    }

    /// Whether an initiator of that name can reach it at all.
    pub fn is_reached_by(&self, initiator: &InitiatorName) -> bool {
        self.fabric() == initiator.fabric()
    }
}

impl fmt::Display for PortId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Iscsi { iqn, tag } => write!(f, "{iqn},t,{tag:#06x}"),
            Self::FibreChannel(wwn) => wwn.fmt(f),
        }
    }
}

/// The name of an initiator: its iSCSI name as it was given, or the world-wide name of its Fibre
/// Channel port as 16 upper-case hex digits. Compared without regard to ASCII case, because the
/// kernel folds iSCSI names at login.
#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(transparent)]
pub struct InitiatorName(Arc<str>);

impl InitiatorName {
    /// Checks and takes a name of either fabric, told apart by its form: what begins with `iqn.`,
    /// `eui.` or `naa.` is an iSCSI name, hex digits alone or in pairs are a Fibre Channel port.
    ///
    /// # Errors
    /// [`Kind::InvalidArgument`](super::Kind::InvalidArgument) with what is wrong.
    pub fn parse(text: &str) -> Result<Self, Error> {
        Self::iscsi(text).or_else(|error| Wwn::parse(text).map(Self::from).ok_or(error))
    }

    /// Checks and takes an iSCSI name: `iqn.YYYY-MM.…`, `eui.` and 16 hex digits, or `naa.` and 16 or
    /// 32 (RFC 7143 §4.2.7; no blank, no underscore, at most 223 bytes).
    ///
    /// # Errors
    /// [`Kind::InvalidArgument`](super::Kind::InvalidArgument) with what is wrong.
    pub fn iscsi(text: &str) -> Result<Self, Error> {
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
        Err(Error::invalid(format!(
            "'{}' is not an iSCSI initiator name; give iqn.YYYY-MM.reversed.domain:name, \
             eui. with 16 hex digits, or naa. with 16 or 32",
            beginning(text)
        )))
    }

    /// Takes the world-wide name of a Fibre Channel port in any of its [forms](Wwn::parse).
    ///
    /// # Errors
    /// [`Kind::InvalidArgument`](super::Kind::InvalidArgument) with what is wrong.
    pub fn port_wwn(text: &str) -> Result<Self, Error> {
        Wwn::parse(text).map(Self::from).ok_or_else(|| {
            Error::invalid(format!(
                "'{}' is not the name of a Fibre Channel port; give its 16 hex digits",
                beginning(text)
            ))
        })
    }

    /// The name as it was given.
    pub fn as_str(&self) -> &str {
        &self.0
    }

    /// The name as the kernel compares it.
    pub fn folded(&self) -> String {
        self.0.to_ascii_lowercase()
    }

    /// The Fibre Channel port that it is the name of, if it is one.
    pub fn wwn(&self) -> Option<Wwn> {
        let is_bare = self.0.bytes().all(|b| b.is_ascii_hexdigit());
        is_bare.then(|| Wwn::parse(&self.0)).flatten()
    }

    /// What the initiator reaches ports over.
    pub fn fabric(&self) -> Fabric {
        match self.wwn() {
            Some(_) => Fabric::FibreChannel,
            None => Fabric::Iscsi,
        }
    }
}

impl From<Wwn> for InitiatorName {
    fn from(wwn: Wwn) -> Self {
        Self(wwn.to_string().into())
    }
}

/// As much of a client's text as fits into a sentence.
fn beginning(text: &str) -> String {
    text.chars().take(80).collect()
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
            initiator: InitiatorName::iscsi(initiator).ok()?,
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
        let port = PortId::Iscsi {
            iqn: "iqn.2026-01.a:b".into(),
            tag: 1,
        };
        assert_eq!(port.to_string(), "iqn.2026-01.a:b,t,0x0001");
        assert_eq!(PortId::parse(&port.to_string()).as_ref(), Some(&port));
        assert_eq!(PortId::parse("iqn.2026-01.a:b,t,0x1"), None);
        let json = serde_json::to_string(&port).expect("plain data");
        assert_eq!(
            json, r#"{"iqn":"iqn.2026-01.a:b","tag":1}"#,
            "as it is stored"
        );
        assert_eq!(serde_json::from_str::<PortId>(&json).ok(), Some(port));

        let port = PortId::parse("21000024FF123456").expect("a Fibre Channel port");
        assert_eq!(port.fabric(), Fabric::FibreChannel);
        assert_eq!(port.to_string(), "21000024FF123456");
        let json = serde_json::to_string(&port).expect("plain data");
        assert_eq!(json, r#""21000024FF123456""#);
        assert_eq!(serde_json::from_str::<PortId>(&json).ok(), Some(port));
        for other in ["21000024ff123456", "21:00:00:24:ff:12:34:56", "2100"] {
            assert_eq!(PortId::parse(other), None, "one port has one name");
        }
    }

    #[test]
    fn world_wide_names_are_one_in_all_their_forms() {
        let forms = [
            "21000024ff12ab56",
            "21000024FF12AB56",
            "21:00:00:24:ff:12:ab:56",
            "0x21000024ff12ab56",
            "naa.21000024FF12AB56",
        ];
        for form in forms {
            let wwn = Wwn::parse(form).expect(form);
            assert_eq!(wwn.to_string(), "21000024FF12AB56", "{form}");
            assert_eq!(wwn.in_pairs(), "21:00:00:24:ff:12:ab:56", "{form}");
            let name = InitiatorName::port_wwn(form).expect(form);
            assert_eq!(name.as_str(), "21000024FF12AB56", "{form}");
            assert_eq!(name.wwn(), Some(wwn), "{form}");
        }
        for bad in [
            "",
            "21000024ff12ab5",
            "21000024ff12ab567",
            "2100:0024:ff12:ab56",
            "21:00:00:24:ff:12:ab",
            "21:00:00:24:ff:12:ab:5",
            "0x+1000024ff12ab56",
            "+1000024ff12ab567",
            "0000000000000000",
            "ffffffffffffffff",
            "iqn.2026-01.a",
            "é1000024ff12ab5",
        ] {
            assert_eq!(Wwn::parse(bad), None, "{bad}");
        }
    }

    #[test]
    fn the_form_of_a_name_tells_its_fabric() {
        for (name, fabric) in [
            ("iqn.2026-01.a:b", Fabric::Iscsi),
            ("eui.0123456789abcdef", Fabric::Iscsi),
            ("naa.0123456789abcdef", Fabric::Iscsi),
            ("0123456789abcdef", Fabric::FibreChannel),
            ("ee:23:45:67:89:ab:cd:ef", Fabric::FibreChannel),
        ] {
            let parsed = InitiatorName::parse(name).expect(name);
            assert_eq!(parsed.fabric(), fabric, "{name}");
        }
        let iscsi = InitiatorName::iscsi("naa.0123456789abcdef").expect("a name");
        let fc = InitiatorName::port_wwn("naa.0123456789abcdef").expect("a name");
        assert_ne!(iscsi, fc, "what it is used as decides");
        assert!(InitiatorName::iscsi("0123456789abcdef").is_err());
        assert!(InitiatorName::port_wwn("iqn.2026-01.a:b").is_err());
    }

    #[test]
    fn sessions_round_trip() {
        let id = SessionId {
            port: PortId::Iscsi {
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
