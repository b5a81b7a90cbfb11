//! Persistent reservations that outlive a loss of power (SPC-4 §5.13, "APTPL").
//!
//! The kernel writes the registrations of a unit that asked for it to `<dbroot>/pr/aptpl_<serial>`
//! at each change, and never reads that file. Whoever makes the backstore again has to give them
//! back before the unit is linked into a portal group; a registration then comes to life with the
//! map of its initiator, if that has the number of then and leads to the unit number of then.

use super::backstore;
use super::configfs::{Configfs, ConfigfsError};
use super::fabric;
use std::collections::BTreeSet;
use std::fs;
use std::path::{Path, PathBuf};

/// Where the kernel keeps state of its own, besides where it says: which folder it is was decided
/// anew at each boot, by whoever came first.
const DB_ROOTS: [&str; 3] = ["/etc/target", "/var/target", "/etc/rtslib-fb-target"];
/// Longest file that is read, in bytes: more than the kernel writes for a thousand initiators.
const LONGEST: u64 = 1 << 20;

/// One initiator's registration with a unit.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Registration {
    /// What the kernel is told, `key=value` each.
    pairs: Vec<(String, String)>,
}

impl Registration {
    fn value(&self, key: &str) -> Option<&str> {
        let mut pairs = self.pairs.iter();
        pairs
            .find(|(known, _)| known == key)
            .map(|(_, value)| value.as_str())
    }

    /// Whether it is one at that target.
    pub fn is_at(&self, target: &str) -> bool {
        let (fabric, name) = fabric::split(target);
        let fits = self.value("target_fabric").is_none_or(|f| f == fabric.name);
        fits && self.value("target_node") == Some(&*fabric.plain(name))
    }

    /// The initiator.
    pub fn initiator(&self) -> Option<&str> {
        self.value("initiator_node")
    }

    /// The unit's number in the portal group.
    pub fn unit(&self) -> Option<u64> {
        self.value("target_lun")?.parse().ok()
    }

    /// The number that the initiator sees.
    pub fn number(&self) -> Option<u64> {
        self.value("mapped_lun")?.parse().ok()
    }

    /// As the kernel reads it. It writes the type in hexadecimal digits and reads it as octal ones
    /// where it begins with 0.
    fn text(&self) -> String {
        let pairs = self.pairs.iter().map(|(key, value)| match key.as_str() {
            "res_type" | "res_scope" => {
                let number = u8::from_str_radix(value, 16).unwrap_or_default();
                format!("{key}={number}")
            }
            _ => format!("{key}={value}"),
        });
        pairs.collect::<Vec<_>>().join(",")
    }
}

/// Reads what the kernel wrote.
fn parse(text: &str) -> Vec<Registration> {
    let mut found = Vec::new();
    let mut open: Option<Vec<(String, String)>> = None;
    for line in text.lines() {
        if line.starts_with("PR_REG_START:") {
            open = Some(Vec::new());
        } else if line.starts_with("PR_REG_END:") {
            found.extend(open.take().map(|pairs| Registration { pairs }));
        } else if let (Some(pairs), Some((key, value))) = (&mut open, line.split_once('=')) {
            pairs.push((key.trim().to_owned(), value.trim().to_owned()));
        }
    }
    found
}

/// The folder in which the kernel keeps reservations.
pub fn folder(configfs: &Configfs) -> Option<PathBuf> {
    let root = configfs.read("dbroot").ok()?;
    (!root.is_empty()).then(|| Path::new(&root).join("pr"))
}

/// Makes that folder: without it the kernel refuses every registration that is to last.
pub fn prepare(configfs: &Configfs) {
    if let Some(folder) = folder(configfs)
        && let Err(error) = fs::create_dir_all(&folder)
    {
        tracing::warn!(
            folder = %folder.display(),
            %error,
            "persistent reservations of hosts cannot be kept: the folder cannot be made"
        );
    }
}

/// Every file of reservations, by serial; the newest of each, wherever it was written.
fn files(configfs: &Configfs) -> Vec<(String, PathBuf)> {
    let elsewhere = DB_ROOTS.iter().map(|root| Path::new(root).join("pr"));
    let mut folders: Vec<PathBuf> = folder(configfs).into_iter().chain(elsewhere).collect();
    folders.dedup();
    let entries = folders
        .iter()
        .filter_map(|folder| fs::read_dir(folder).ok())
        .flatten();
    let mut found: Vec<_> = entries
        .filter_map(Result::ok)
        .filter_map(|entry| {
            let name = entry.file_name().into_string().ok()?;
            let serial = name.strip_prefix("aptpl_")?.to_owned();
            let meta = entry.metadata().ok().filter(|meta| meta.len() <= LONGEST)?;
            Some((serial, meta.modified().ok(), entry.path()))
        })
        .collect();
    found.sort_by(|a, b| (&a.0, b.1).cmp(&(&b.0, a.1)));
    found.dedup_by(|later, first| later.0 == first.0);
    found
        .into_iter()
        .map(|(serial, _, path)| (serial, path))
        .collect()
}

/// The lasting registrations with the unit of a serial.
pub fn registrations(configfs: &Configfs, serial: &str) -> Vec<Registration> {
    let found = files(configfs)
        .into_iter()
        .find(|(known, _)| known == serial);
    let text = found.and_then(|(_, path)| fs::read_to_string(path).ok());
    text.map(|text| parse(&text)).unwrap_or_default()
}

/// The unit numbers of a target that lasting registrations with other serials name: whoever is made
/// again later needs his own.
pub fn units_of_others(configfs: &Configfs, iqn: &str, serial: &str) -> BTreeSet<u64> {
    let others = files(configfs)
        .into_iter()
        .filter(|(known, _)| known != serial);
    let texts = others.filter_map(|(_, path)| fs::read_to_string(path).ok());
    let all = texts.flat_map(|text| parse(&text));
    all.filter(|registration| registration.is_at(iqn))
        .filter_map(|registration| registration.unit())
        .collect()
}

/// Gives the lasting registrations back to an open backstore that no unit leads to yet. One that
/// the kernel does not take is told and left out.
pub fn restore(configfs: &Configfs, place: &str, serial: &str) {
    for registration in registrations(configfs, serial) {
        let path = format!("core/{place}/pr/res_aptpl_metadata");
        if let Err(error) = configfs.write(&path, &registration.text()) {
            tracing::error!(
                place,
                initiator = registration.initiator(),
                %error,
                "a persistent reservation of a host could not be restored"
            );
        }
    }
}

/// The lasting registrations with a backstore that has never known any: somebody made it again
/// without them. Where hosts have registered since, or an administrator cleared what was there, what
/// the kernel says is newer than the file.
pub fn lost(configfs: &Configfs, place: &str) -> Result<Vec<Registration>, ConfigfsError> {
    let generation = configfs.read(&format!("core/{place}/pr/res_pr_generation"))?;
    match generation.trim_start_matches("0x").trim_start_matches('0') {
        "" => {
            let serial = backstore::serial(configfs, place)?.unwrap_or_default();
            Ok(registrations(configfs, &serial))
        }
        _ => Ok(Vec::new()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const TEXT: &str = "PR_REG_START: 0\ninitiator_fabric=iSCSI\ninitiator_node=iqn.2026-01.example:a\n\
        initiator_sid=00023d000001\nsa_res_key=1234\nres_holder=1\nres_type=08\nres_scope=00\n\
        res_all_tg_pt=0\nmapped_lun=3\ntarget_fabric=iSCSI\ntarget_node=iqn.2026-01.example:t\n\
        tpgt=1\nport_rtpi=1\ntarget_lun=5\nPR_REG_END: 0\nPR_REG_START: 1\n\
        initiator_node=iqn.2026-01.example:b\nres_holder=0\nmapped_lun=4\n\
        target_node=iqn.2026-01.example:t\ntarget_lun=5\nPR_REG_END: 1\n";

    /// A configfs whose state lies below it.
    fn kernel() -> (tempfile::TempDir, Configfs) {
        let root = tempfile::tempdir().expect("a temporary folder");
        let state = root.path().join("db");
        fs::write(root.path().join("dbroot"), state.to_str().expect("a name")).expect("written");
        let configfs = Configfs::new(root.path());
        prepare(&configfs);
        (root, configfs)
    }

    #[test]
    fn what_the_kernel_wrote_is_told_it_as_it_reads_it() {
        let all = parse(TEXT);
        assert_eq!(all.len(), 2);
        assert_eq!((all[0].unit(), all[0].number()), (Some(5), Some(3)));
        let text = all[0].text();
        assert!(text.starts_with("initiator_fabric=iSCSI,initiator_node=iqn.2026-01.example:a,"));
        assert!(
            text.contains(",res_type=8,res_scope=0,") && !text.contains("PR_REG"),
            "{text}"
        );
        assert_eq!(parse("No Registrations or Reservations"), []);
    }

    #[test]
    fn numbers_of_lasting_registrations_are_kept_for_them() {
        let (root, configfs) = kernel();
        fs::write(root.path().join("db/pr/aptpl_one"), TEXT).expect("written");
        assert_eq!(registrations(&configfs, "one").len(), 2);
        assert_eq!(registrations(&configfs, "two"), []);
        let target = "iqn.2026-01.example:t";
        assert_eq!(units_of_others(&configfs, target, "two"), [5].into());
        assert_eq!(units_of_others(&configfs, target, "one"), [].into());
        assert_eq!(
            units_of_others(&configfs, "iqn.2026-01.example:u", "two"),
            [].into()
        );
    }
}
