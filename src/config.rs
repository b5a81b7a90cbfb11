//! The configuration file: TOML, read into checked types before anything is bound or opened.
//!
//! Unknown keys are errors, and every error names file, line, reason and remedy. What the values
//! do is other rooms' business; whether the machine can fulfil them is for `standpipe check`.

mod chap;
mod raw;
mod storage;
#[cfg(test)]
mod tests;

use std::fmt;
use std::fs::File;
use std::io::Read as _;
use std::net::SocketAddr;
use std::ops::Range;
use std::os::unix::fs::PermissionsExt as _;
use std::path::{Path, PathBuf};
use std::time::Duration;

use crate::array::{ChapTable, DriftPolicy, Erasing, Wwn};
use crate::http::{Limits, ListenUrl};
use crate::identity::User;
use zeroize::Zeroizing;

/// Longest configuration file that is read, in bytes.
const MAX_FILE: u64 = 1 << 20;

/// A whole, checked configuration.
#[derive(Clone, Debug)]
pub struct Config {
    /// Who is served, where, and where the state is kept.
    pub server: Server,
    /// Everyone who may log in; at least one.
    pub users: Vec<User>,
    /// Which storage is managed, through which programs.
    pub storage: Storage,
    /// The iSCSI targets that export it.
    pub targets: Vec<Target>,
    /// The Fibre Channel ports that export it. At least one target or port is there.
    pub fc_ports: Vec<Wwn>,
    /// Under which numbers hosts see volumes.
    pub masking: Masking,
    /// The initiators that have to prove who they are there.
    pub chap: ChapTable,
    /// Bounds on what clients may cost.
    pub limits: Limits,
}

/// The `[server]` table.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Server {
    /// Where to listen; at least one URL.
    pub listen: Vec<ListenUrl>,
    /// Certificate and key; there whenever an `https` URL is.
    pub tls: Option<TlsFiles>,
    /// Where the store and other state live.
    pub state_dir: PathBuf,
    /// Where the machine stands, for people.
    pub location: Option<String>,
}

/// The PEM files of the server's certificate.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct TlsFiles {
    /// The certificate and the chain above it.
    pub certificate: PathBuf,
    /// Its private key.
    pub key: PathBuf,
}

/// The `[storage]` table.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Storage {
    /// The LVM volume groups to manage, besides those that are made from `disks`. No other is ever
    /// touched.
    pub volume_groups: Vec<String>,
    /// The disks that pools may be made from: paths below `/dev`, with `*`, `?` or `[a-f]` in
    /// the last part standing for several. At least one volume group or disk is there.
    pub disks: Vec<PathBuf>,
    /// How much the volumes of a thin pool may have together, in percent of the pool.
    pub thin_overcommit_percent: u64,
    /// From how full on a thin pool counts as low on space, in percent.
    pub low_space_percent: u16,
    /// Room for what changes, in percent of its source, that a snapshot of a volume gets which is
    /// not thin.
    pub snapshot_percent: u8,
    /// Whether volumes may be made smaller.
    pub allow_shrink: bool,
    /// What is done to what a volume holds before it is removed.
    pub erase: Option<Erasing>,
    /// The `lvm` program.
    pub lvm: PathBuf,
    /// The `blkid` program.
    pub blkid: PathBuf,
    /// The `dmsetup` program.
    pub dmsetup: PathBuf,
    /// Where configfs is mounted.
    pub configfs: PathBuf,
}

/// The `[target]` table, or one of several `[[target]]` tables.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Target {
    /// The target's name.
    pub iqn: Iqn,
    /// Where initiators reach it; at least one.
    pub portals: Vec<SocketAddr>,
}

/// The `[masking]` table.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Masking {
    /// For how long a device number that was hidden from an initiator is not chosen for another
    /// volume there; zero for not at all.
    pub lun_quarantine: Duration,
    /// The greatest device number.
    pub max_lun: u16,
    /// What is done when somebody changes by hand what hosts are shown.
    pub drift: DriftPolicy,
    /// The file of targetcli's in which this array's objects are kept, too.
    pub saveconfig: Option<PathBuf>,
}

/// An iSCSI qualified name (RFC 3720 §3.2.6.3.1), in lower case.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Iqn(String);

impl Iqn {
    /// Longest name, in bytes (RFC 3720 §3.2.6.1).
    pub const MAX_LENGTH: usize = 223;

    /// Reads `iqn.YYYY-MM.reversed.domain[:anything]`; upper case becomes lower case.
    pub fn parse(text: &str) -> Option<Self> {
        let name = text.to_ascii_lowercase();
        let (date, authority) = name.strip_prefix("iqn.")?.split_once('.')?;
        let (year, month) = date.split_once('-')?;
        let digits = |part: &str| part.bytes().all(|b| b.is_ascii_digit());
        let dated = year.len() == 4
            && digits(year)
            && month.len() == 2
            && digits(month)
            && (1..=12).contains(&month.parse::<u8>().ok()?);
        let plain = |b: u8| matches!(b, b'a'..=b'z' | b'0'..=b'9' | b'.' | b'-' | b':');
        let named = authority.starts_with(|c: char| c.is_ascii_alphanumeric())
            && authority.bytes().all(plain);
        (dated && named && name.len() <= Self::MAX_LENGTH).then_some(Self(name))
    }

    /// The name.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl fmt::Display for Iqn {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

/// Why a configuration cannot be used.
#[derive(Debug, thiserror::Error)]
pub enum ConfigError {
    /// The file cannot be read.
    #[error("cannot read the configuration file {file}")]
    Unreadable {
        /// The file.
        file: PathBuf,
        /// Why.
        #[source]
        source: std::io::Error,
    },
    /// Its content is wrong.
    #[error("{file}:{line}: {reason}")]
    Wrong {
        /// The file.
        file: PathBuf,
        /// The line, counted from 1.
        line: usize,
        /// What is wrong and what would be right.
        reason: String,
    },
    /// It holds secrets that others than its owner can read.
    #[error("{file} holds CHAP secrets and not only its owner can open it; run: chmod 600 {file}")]
    Exposed {
        /// The file.
        file: PathBuf,
    },
}

impl Config {
    /// Reads and checks a configuration file.
    pub fn load(file: &Path) -> Result<Self, ConfigError> {
        let unreadable = |source| ConfigError::Unreadable {
            file: file.into(),
            source,
        };
        let mut opened = File::open(file).map_err(unreadable)?;
        let state = opened.metadata().map_err(unreadable)?;
        if state.len() > MAX_FILE {
            return Err(unreadable(std::io::Error::other("it is longer than 1 MiB")));
        }
        let mut text = Zeroizing::new(String::new());
        opened.read_to_string(&mut text).map_err(unreadable)?;
        let config = Self::parse(file, &text)?;
        let is_private = state.permissions().mode() & 0o077 == 0;
        match config.chap.is_empty() || is_private {
            true => Ok(config),
            false => Err(ConfigError::Exposed { file: file.into() }),
        }
    }

    /// Checks the text of a configuration; `file` is only for messages.
    pub fn parse(file: &Path, text: &str) -> Result<Self, ConfigError> {
        raw::read(text).map_err(|Wrong { at, reason }| ConfigError::Wrong {
            file: file.into(),
            line: line_of(text, at.start),
            reason,
        })
    }
}

/// What is wrong, and where in the text.
struct Wrong {
    at: Range<usize>,
    reason: String,
}

fn line_of(text: &str, offset: usize) -> usize {
    let before = text.as_bytes().get(..offset).unwrap_or(text.as_bytes());
    before.iter().filter(|&&byte| byte == b'\n').count() + 1
}
