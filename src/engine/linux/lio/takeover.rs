//! Taking over what another manager shows to an initiator, under living sessions: nothing is removed
//! and made again. Links and backstores keep the names that he gave them; what is written are marks
//! that no host is told of: of the backstores, of the target, and of the ACL, which makes its rows ours.

use super::acl::{self, Mark};
use super::backstore;
use super::chap::{self, Demands};
use super::configfs::{Configfs, ConfigfsError};
use super::export::{self, Row};
use super::made;
use super::read::{self, State};
use super::target;
use crate::array::{Error, Iqn, MadeTarget, Naa, Takeover, VolumeId};
use std::collections::{BTreeMap, BTreeSet};
use std::net::SocketAddr;

/// The model that hosts are told of a block device, where nobody says another one.
const MODEL: &str = "IBLOCK";
/// What clears the tag of an ACL in the kernel.
const NONE: &str = "NULL";
/// The alias that the kernel gives every target.
const ALIAS: &str = "LIO Target";

/// What is to be taken over.
#[derive(Debug, Clone)]
pub struct Wanted {
    /// Where, and what.
    pub view: Takeover,
    /// Major and minor number of each volume's device.
    pub devices: BTreeMap<VolumeId, (u32, u32)>,
}

/// A volume that was taken over.
#[derive(Debug, Clone)]
pub struct Taken {
    /// Its LVM UUID.
    pub uuid: String,
    /// The unit serial that it has kept.
    pub serial: String,
    /// Its device's major and minor number.
    pub number: (u32, u32),
}

/// What hosts know of a volume and are to know for ever.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Known {
    /// The unit serial, from which the identifier is derived.
    pub serial: String,
    /// The model, where it is not the kernel's.
    pub model: Option<String>,
    /// Where its backstore is.
    place: String,
}

/// What hosts know of each volume, if all of it can be taken over: refused is what could not be made
/// again as it is.
pub fn inspect(
    configfs: &Configfs,
    wanted: &Wanted,
    demands: &Demands,
) -> Result<BTreeMap<VolumeId, Known>, Error> {
    let (iqn, initiator) = (wanted.iqn(), wanted.initiator());
    let group = target::group(iqn);
    if !configfs.exists(&acl::folder(iqn, &initiator)) {
        return Err(changed(iqn, &initiator));
    }
    if is(configfs, &format!("{group}/attrib/generate_node_acls"), "1") {
        return Err(Error::not_supported(format!(
            "target {iqn} lets in every initiator and shows it everything (generate_node_acls = 1), \
             and no masking view says so; let only named initiators in there first"
        )));
    }
    if let Some(target) = &wanted.view.target {
        check_target(configfs, target, &initiator, demands)?;
    }
    check_tag(configfs, iqn, &initiator)?;
    chap::mark_for(configfs, iqn, &initiator, demands).map_err(Error::access_denied)?;
    let rows = read::numbered(configfs, &acl::folder(iqn, &initiator))?;
    let numbers = rows.iter().map(|(number, _)| *number);
    let expected = wanted.view.rows.keys().map(|number| u64::from(*number));
    if numbers.collect::<BTreeSet<_>>() != expected.collect() {
        return Err(changed(iqn, &initiator));
    }
    let mut known = BTreeMap::new();
    for (number, path) in rows {
        let volume = u16::try_from(number).ok();
        let volume = volume.and_then(|number| wanted.view.rows.get(&number));
        let volume = volume.ok_or_else(|| changed(iqn, &initiator))?;
        let mapped = read::mapped(configfs, &path)?;
        if mapped.read_only {
            return Err(Error::not_supported(format!(
                "device number {number} of {initiator} is read-only, and what a masking view shows \
                 can be written to; let it be written to there first, or move it to an initiator \
                 name of its own"
            )));
        }
        known.insert(
            volume.clone(),
            backstore_of(configfs, wanted, volume, &mapped)?,
        );
    }
    Ok(known)
}

/// What hosts know of the volume behind a row.
fn backstore_of(
    configfs: &Configfs,
    wanted: &Wanted,
    volume: &VolumeId,
    mapped: &read::Mapped,
) -> Result<Known, Error> {
    let gone = || changed(wanted.iqn(), &wanted.initiator());
    let unit = mapped.unit.map(|unit| target::unit(wanted.iqn(), unit));
    let links = configfs.links(&unit.ok_or_else(gone)?)?;
    let place = links.first().and_then(|(_, to)| to.strip_prefix("core/"));
    let place = place.ok_or_else(gone)?;
    let found = read::backstore(configfs, place);
    if !place.starts_with("iblock_") || found.device.as_ref() != wanted.devices.get(volume) {
        return Err(gone());
    }
    let refused = |why: &str| Err(Error::not_supported(format!("backstore {place} {why}")));
    match found.volume {
        Some(other) if other != volume.as_str() => return Err(gone()),
        _ => {}
    }
    let attribute = |name: &str| configfs.read(&format!("core/{place}/attrib/{name}"));
    if attribute("block_size").ok() != attribute("hw_block_size").ok() {
        return refused(
            "shows hosts blocks of another size than its device has, which this array does not; \
             export the volume anew without that",
        );
    }
    let info = configfs.read(&format!("core/{place}/info"))?;
    if info.contains("readonly: 1") {
        return refused("is read-only, and what this array shows can be written to");
    }
    if backstore::company(configfs, place).is_some_and(|id| id != Naa::LIO_COMPANY) {
        return refused(
            "has a company identifier of its own, which this array does not give; set the kernel's \
             back, or export the volume anew",
        );
    }
    let Some(serial) = found.serial.filter(|serial| !serial.is_empty()) else {
        return refused("has no unit serial by which hosts could know it; give it one there");
    };
    let model = configfs.read(&format!("core/{place}/wwn/product_id"));
    Ok(Known {
        serial,
        model: model
            .ok()
            .filter(|model| !model.is_empty() && model != MODEL),
        place: place.to_owned(),
    })
}

/// Refuses a target that could not be made again as it is, or that would shut others out then.
fn check_target(
    configfs: &Configfs,
    wanted: &MadeTarget,
    initiator: &str,
    demands: &Demands,
) -> Result<(), Error> {
    let iqn = wanted.iqn.as_str();
    let group = target::group(iqn);
    let groups = configfs.folders(&format!("iscsi/{iqn}"))?;
    if groups
        .iter()
        .filter(|name| name.starts_with("tpgt_"))
        .count()
        != 1
    {
        return Err(Error::not_supported(format!(
            "target {iqn} has several portal groups, and targets of this array have one; show the \
             volumes through a target of their own"
        )));
    }
    let names = configfs.folders(&format!("{group}/np"))?;
    let portals = names.iter().map(|name| name.parse::<SocketAddr>().ok());
    let is_same = portals.collect::<Option<BTreeSet<_>>>() == Some(wanted.portals.clone());
    if !is_same || !target::is_open(configfs, iqn) {
        return Err(Error::in_use(format!(
            "target {iqn} is closed or listens elsewhere now; look again"
        )));
    }
    let transports = names.iter().flat_map(|name| {
        ["iser", "cxgbit"].map(|transport| format!("{group}/np/{name}/{transport}"))
    });
    if let Some(path) = transports.into_iter().find(|path| is(configfs, path, "1")) {
        return Err(Error::not_supported(format!(
            "target {iqn} listens otherwise than by TCP ({path}), and targets of this array do not"
        )));
    }
    let acls = configfs.folders(&format!("{group}/acls"))?;
    let other = acls.iter().find(|name| *name != initiator);
    match other.filter(|_| !demands.is_empty() && !chap::is_demanding(configfs, iqn)) {
        None => Ok(()),
        Some(other) => Err(Error::access_denied(format!(
            "the configuration has credentials, so target {iqn} would demand some, and {other} would \
             no longer be let in there; let the target demand credentials first (authentication = 1)"
        ))),
    }
}

/// Refuses an ACL that another manager has put into a group of his.
fn check_tag(configfs: &Configfs, iqn: &str, initiator: &str) -> Result<(), Error> {
    let tag = tag(configfs, iqn, initiator)?;
    match tag.is_empty() || Mark::of(&tag, initiator).is_some() {
        true => Ok(()),
        false => Err(Error::access_denied(format!(
            "the ACL of {initiator} belongs to the group '{tag}' of another manager, who changes it \
             with that; take it out of the group there first"
        ))),
    }
}

/// Makes the rows of an ACL ours, with what they lead to. What is not as it was to be is not begun.
pub fn take(configfs: &Configfs, wanted: &Wanted, demands: &Demands) -> Result<(), Error> {
    let known = inspect(configfs, wanted, demands)?;
    let (iqn, initiator) = (wanted.iqn(), wanted.initiator());
    let mark = chap::mark_for(configfs, iqn, &initiator, demands).map_err(Error::access_denied)?;
    let marked = || -> Result<(), ConfigfsError> {
        for (volume, known) in &known {
            if backstore::exports(configfs, &known.place).is_none() {
                backstore::mark(configfs, &known.place, volume.as_str())?;
            }
        }
        if wanted.view.target.is_some() {
            made::set_alias(configfs, iqn, made::MARK)?;
        }
        // This makes the rows ours, all at once.
        put_tag(configfs, iqn, &initiator, &mark.tag(&initiator))
    };
    let done = marked();
    if done.is_err() {
        // The first error is the one to tell.
        let _ = give_back(configfs, &wanted.view);
    }
    Ok(done?)
}

/// Takes the marks off again: what they marked is another manager's as before.
pub fn give_back(configfs: &Configfs, view: &Takeover) -> Result<(), Error> {
    let (iqn, initiator) = (iqn(view), view.initiator.folded());
    let state = read::state(configfs)?;
    let Some(found) = state.targets.get(iqn) else {
        return Ok(());
    };
    if Mark::read(configfs, iqn, &initiator).is_some() {
        put_tag(configfs, iqn, &initiator, NONE)?;
    }
    for (place, backstore) in &state.backstores {
        let volume = backstore.volume.as_deref().map(VolumeId::from);
        let is_his = backstore::volume_of(place).is_none();
        if is_his && volume.is_some_and(|volume| view.adopted.contains(&volume)) {
            backstore::unmark(configfs, place)?;
        }
    }
    if view.target.is_some() && found.made {
        made::set_alias(configfs, iqn, ALIAS)?;
    }
    Ok(())
}

/// Marks the backstores again of volumes that were taken over, where another manager has made them
/// again: those with the serial that a volume has kept, on its device.
pub fn recognise(configfs: &Configfs, taken: &[Taken]) -> Result<(), ConfigfsError> {
    if taken.is_empty() {
        return Ok(());
    }
    let state = read::state(configfs)?;
    let unmarked = state.backstores.iter();
    for (place, found) in unmarked.filter(|(_, found)| found.volume.is_none()) {
        let is_it = |volume: &&Taken| {
            found.serial.as_ref() == Some(&volume.serial) && found.device == Some(volume.number)
        };
        if let Some(volume) = taken.iter().find(is_it) {
            backstore::mark(configfs, place, &volume.uuid)?;
        }
    }
    Ok(())
}

/// Marks the ACLs again that were taken over and that another manager has made again without marks,
/// because his files are older: those that show, from backstores of his, exactly what is wanted.
pub fn retake(
    configfs: &Configfs,
    iqns: &[String],
    wanted: &BTreeSet<(Row, String)>,
    demands: &Demands,
) -> Result<(), Error> {
    let state = read::state(configfs)?;
    let ours = iqns
        .iter()
        .filter_map(|iqn| Some((iqn, state.targets.get(iqn)?)));
    for (iqn, found) in ours {
        for (initiator, rows) in &found.acls {
            let is_wanted = |number: &u64, mapped: &read::Mapped| {
                let row = Row {
                    iqn: iqn.clone(),
                    initiator: initiator.clone(),
                    number: *number,
                };
                let uuid = taken_in(&state, found, mapped).filter(|_| !mapped.read_only);
                uuid.is_some_and(|uuid| wanted.contains(&(row, uuid.to_owned())))
            };
            let is_his = |mapped: &read::Mapped| export::volume_of(&mapped.alias).is_none();
            let is_due = rows.values().any(is_his)
                && rows
                    .iter()
                    .all(|(number, mapped)| is_wanted(number, mapped))
                && tag(configfs, iqn, initiator)?.is_empty();
            if !is_due {
                continue;
            }
            match chap::mark_for(configfs, iqn, initiator, demands) {
                Ok(mark) => put_tag(configfs, iqn, initiator, &mark.tag(initiator))?,
                Err(why) => tracing::warn!(iqn, initiator, why, "an ACL is not taken over again"),
            }
        }
    }
    Ok(())
}

/// The volume that a row shows from a backstore that was taken over.
fn taken_in<'a>(
    state: &'a State,
    target: &'a read::Target,
    mapped: &read::Mapped,
) -> Option<&'a str> {
    let unit = target.units.get(&mapped.unit?)?;
    let place = unit.backstore.as_ref()?;
    match backstore::volume_of(place) {
        None => state.backstores.get(place)?.volume.as_deref(),
        Some(_) => None,
    }
}

/// The target's name. Only what is shown over iSCSI is taken over: nothing else has one, and no
/// target bears none.
fn iqn(view: &Takeover) -> &str {
    view.port.iqn().map_or("", Iqn::as_str)
}

impl Wanted {
    fn iqn(&self) -> &str {
        iqn(&self.view)
    }

    fn initiator(&self) -> String {
        self.view.initiator.folded()
    }
}

fn tag(configfs: &Configfs, iqn: &str, initiator: &str) -> Result<String, ConfigfsError> {
    configfs.read(&format!("{}/tag", acl::folder(iqn, initiator)))
}

fn put_tag(
    configfs: &Configfs,
    iqn: &str,
    initiator: &str,
    tag: &str,
) -> Result<(), ConfigfsError> {
    configfs.write(&format!("{}/tag", acl::folder(iqn, initiator)), tag)
}

fn is(configfs: &Configfs, path: &str, value: &str) -> bool {
    configfs.read(path).is_ok_and(|text| text == value)
}

fn changed(iqn: &str, initiator: &str) -> Error {
    Error::in_use(format!(
        "what {initiator} is shown through target {iqn} has changed meanwhile; look again"
    ))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::array::{Chap, ChapUser, InitiatorName, Kind, Login, PortId, Secret};
    use std::fs;
    use std::os::unix::fs::symlink;
    use std::path::Path;

    const IQN: &str = "iqn.2026-11.example.other:theirs";
    const HOST: &str = "iqn.2026-11.example:host";
    const VOLUME: &str = "fenRM0-k234-gQIb-Rm07-eV38-eCnN-zmcYOz";
    const GROUP: &str = "iscsi/iqn.2026-11.example.other:theirs/tpgt_1";
    const ACL: &str = "iscsi/iqn.2026-11.example.other:theirs/tpgt_1/acls/iqn.2026-11.example:host";
    const STORE: &str = "core/iblock_0/data";

    /// A folder that looks like what targetcli makes: one volume, shown to one host as number 4.
    fn theirs() -> (tempfile::TempDir, Configfs) {
        let folder = tempfile::tempdir().expect("a temporary folder");
        let root = folder.path();
        for made in [
            format!("{STORE}/wwn"),
            format!("{STORE}/attrib"),
            format!("{GROUP}/np/127.0.0.1:3261"),
            format!("{GROUP}/attrib"),
            format!("{GROUP}/param"),
            format!("{GROUP}/lun/lun_0"),
            format!("{ACL}/auth"),
            format!("{ACL}/lun_4"),
        ] {
            fs::create_dir_all(root.join(made)).expect("set up");
        }
        for (file, text) in [
            (format!("{STORE}/alias"), ""),
            (format!("{STORE}/enable"), "1\n"),
            (
                format!("{STORE}/info"),
                "UDEV PATH: /dev/vg0/data  readonly: 0\n Major: 253 Minor: 5  CLAIMED: IBLOCK\n",
            ),
            (
                format!("{STORE}/wwn/vpd_unit_serial"),
                "T10 VPD Unit Serial Number: abc-1\n",
            ),
            (format!("{STORE}/wwn/product_id"), "data\n"),
            (format!("{STORE}/attrib/block_size"), "512\n"),
            (format!("{STORE}/attrib/hw_block_size"), "512\n"),
            (format!("{GROUP}/enable"), "1\n"),
            (format!("{GROUP}/attrib/authentication"), "0\n"),
            (format!("{GROUP}/attrib/generate_node_acls"), "0\n"),
            (format!("{GROUP}/param/TargetAlias"), "LIO\n"),
            (format!("{ACL}/tag"), ""),
            (format!("{ACL}/auth/userid"), ""),
            (format!("{ACL}/auth/password"), ""),
            (format!("{ACL}/auth/userid_mutual"), ""),
            (format!("{ACL}/auth/password_mutual"), ""),
            (format!("{ACL}/lun_4/write_protect"), "0\n"),
        ] {
            put(root, &file, text);
        }
        link(root, STORE, &format!("{GROUP}/lun/lun_0/1a2b3c"));
        link(
            root,
            &format!("{GROUP}/lun/lun_0"),
            &format!("{ACL}/lun_4/4d5e6f"),
        );
        let configfs = Configfs::new(root);
        (folder, configfs)
    }

    fn put(root: &Path, file: &str, text: &str) {
        fs::write(root.join(file), text).expect("set up");
    }

    fn link(root: &Path, to: &str, from: &str) {
        symlink(root.join(to), root.join(from)).expect("set up");
    }

    fn wanted() -> Wanted {
        let volume = VolumeId::from(VOLUME);
        Wanted {
            devices: [(volume.clone(), (253, 5))].into(),
            view: Takeover {
                port: PortId::Iscsi {
                    iqn: IQN.into(),
                    tag: 1,
                },
                initiator: InitiatorName::parse(HOST).expect("a name"),
                rows: [(4, volume.clone())].into(),
                adopted: [volume].into(),
                target: Some(MadeTarget {
                    iqn: IQN.into(),
                    alias: "theirs".into(),
                    portals: ["127.0.0.1:3261".parse().expect("an address")].into(),
                    taken_over: true,
                }),
            },
        }
    }

    fn joe() -> Demands {
        let chap = Chap {
            initiator: Login {
                user: ChapUser::parse("joe").expect("a name"),
                secret: Secret::parse("open-sesame-42").expect("a secret"),
            },
            array: None,
        };
        Demands::new(&[(InitiatorName::parse(HOST).expect("a name"), chap)].into())
    }

    #[test]
    fn marks_are_put_and_taken_off_and_nothing_is_made_or_removed() {
        let (folder, configfs) = theirs();
        let known = inspect(&configfs, &wanted(), &Demands::default()).expect("it can be taken");
        let expected = Known {
            serial: "abc-1".into(),
            model: Some("data".into()),
            place: "iblock_0/data".into(),
        };
        assert_eq!(known, [(VolumeId::from(VOLUME), expected)].into());
        let before = read::state(&configfs).expect("read");
        assert!(!before.targets[IQN].acls[HOST][&4].ours);
        for _ in 0..2 {
            take(&configfs, &wanted(), &Demands::default()).expect("taken over");
        }
        let after = read::state(&configfs).expect("read");
        let target = &after.targets[IQN];
        assert!(target.made && target.acls[HOST][&4].ours);
        assert_eq!(
            after.volume_in(target, &target.acls[HOST][&4]),
            Some(VOLUME)
        );
        assert!(export::is_exported(&configfs, VOLUME, None).expect("a look"));
        // A file keeps what was longer than a new text; the kernel does not.
        for file in [
            format!("{ACL}/tag"),
            format!("{STORE}/alias"),
            format!("{GROUP}/param/TargetAlias"),
        ] {
            put(folder.path(), &file, "");
        }
        let rows = [(
            Row {
                iqn: IQN.into(),
                initiator: HOST.into(),
                number: 4,
            },
            VOLUME.to_owned(),
        )];
        let again = |rows: &[(Row, String)]| {
            let rows = rows.iter().cloned().collect();
            retake(&configfs, &[IQN.into()], &rows, &Demands::default()).expect("a look");
            Mark::read(&configfs, IQN, HOST)
        };
        assert_eq!(again(&rows), None, "the backstore is not recognised yet");
        let taken = |serial: &str, number| {
            let taken = Taken {
                uuid: VOLUME.into(),
                serial: serial.into(),
                number,
            };
            recognise(&configfs, &[taken]).expect("a look");
            backstore::exports(&configfs, "iblock_0/data")
        };
        assert_eq!(taken("abc-2", (253, 5)), None);
        assert_eq!(taken("abc-1", (253, 6)), None);
        assert_eq!(taken("abc-1", (253, 5)).as_deref(), Some(VOLUME));
        assert_eq!(again(&[]), None, "no view says so");
        assert_eq!(again(&rows), Some(Mark::Plain));
    }

    #[test]
    fn what_could_not_be_made_again_is_refused() {
        type Change = fn(&Path);
        let cases: [(&str, Kind, Change); 13] = [
            ("lets in every initiator", Kind::NotSupported, |root| {
                put(root, &format!("{GROUP}/attrib/generate_node_acls"), "1\n");
            }),
            ("several portal groups", Kind::NotSupported, |root| {
                fs::create_dir(root.join(format!("iscsi/{IQN}/tpgt_2"))).expect("set up");
            }),
            ("listens elsewhere", Kind::InUse, |root| {
                fs::create_dir(root.join(format!("{GROUP}/np/127.0.0.1:3262"))).expect("set up");
            }),
            ("is closed", Kind::InUse, |root| {
                put(root, &format!("{GROUP}/enable"), "0\n");
            }),
            ("otherwise than by TCP", Kind::NotSupported, |root| {
                put(root, &format!("{GROUP}/np/127.0.0.1:3261/iser"), "1\n");
            }),
            ("group 'cluster'", Kind::AccessDenied, |root| {
                put(root, &format!("{ACL}/tag"), "cluster\n");
            }),
            ("[[chap]]", Kind::AccessDenied, |root| {
                put(root, &format!("{ACL}/auth/userid"), "jane");
            }),
            (
                "4 of iqn.2026-11.example:host is read-only",
                Kind::NotSupported,
                |root| {
                    put(root, &format!("{ACL}/lun_4/write_protect"), "1\n");
                },
            ),
            ("changed meanwhile", Kind::InUse, |root| {
                fs::create_dir(root.join(format!("{ACL}/lun_5"))).expect("set up");
            }),
            ("changed meanwhile", Kind::InUse, |root| {
                put(root, &format!("{STORE}/info"), "Major: 253 Minor: 6 \n");
            }),
            ("another size", Kind::NotSupported, |root| {
                put(root, &format!("{STORE}/attrib/block_size"), "4096\n");
            }),
            ("no unit serial", Kind::NotSupported, |root| {
                put(
                    root,
                    &format!("{STORE}/wwn/vpd_unit_serial"),
                    "T10 VPD Unit Serial Number: \n",
                );
            }),
            ("company identifier", Kind::NotSupported, |root| {
                put(root, &format!("{STORE}/wwn/company_id"), "0x000001\n");
            }),
        ];
        for (sentence, kind, change) in cases {
            let (folder, configfs) = theirs();
            change(folder.path());
            let before = read::state(&configfs).expect("read");
            let refused = take(&configfs, &wanted(), &Demands::default()).expect_err(sentence);
            assert_eq!(refused.kind, kind, "{refused}");
            assert!(refused.message.contains(sentence), "{refused}");
            assert_eq!(read::state(&configfs).expect("read"), before, "{sentence}");
        }
    }

    #[test]
    fn credentials_are_taken_over_where_the_configuration_has_the_same() {
        let (folder, configfs) = theirs();
        let refused = inspect(&configfs, &wanted(), &joe()).expect_err("it asks for none");
        assert_eq!(refused.kind, Kind::AccessDenied, "{refused}");
        put(folder.path(), &format!("{ACL}/auth/userid"), "joe");
        put(
            folder.path(),
            &format!("{ACL}/auth/password"),
            "open-sesame-42",
        );
        let refused = inspect(&configfs, &wanted(), &joe()).expect_err("it lets in without");
        assert_eq!(refused.kind, Kind::AccessDenied, "{refused}");
        assert!(!refused.message.contains("sesame"), "{refused}");
        put(
            folder.path(),
            &format!("{GROUP}/attrib/authentication"),
            "1\n",
        );
        take(&configfs, &wanted(), &joe()).expect("it asks for the same");
        assert_eq!(Mark::read(&configfs, IQN, HOST), Some(Mark::Demanding));
        // Others would be shut out by what the configuration demands.
        let (folder, configfs) = theirs();
        put(folder.path(), &format!("{ACL}/auth/userid"), "joe");
        put(
            folder.path(),
            &format!("{ACL}/auth/password"),
            "open-sesame-42",
        );
        let other = format!("{GROUP}/acls/iqn.2026-11.example:other");
        fs::create_dir(folder.path().join(other)).expect("set up");
        let refused = inspect(&configfs, &wanted(), &joe()).expect_err("it would demand");
        assert!(refused.message.contains("example:other"), "{refused}");
    }
}
