//! Our objects in the file that targetcli and `target.service` restore from.
//!
//! The file is other people's. What is ours in it is put in or replaced, by names that only we give;
//! everything else keeps its value. One that is not understood is left alone.

use super::acl::Mark;
use super::backstore::{self, NAME_PREFIX};
use super::chap;
use super::configfs::{Configfs, ConfigfsError};
use super::export;
use super::fabric;
use super::made;
use super::read::{self, State, Target};
use super::target::{self, TPGT};
use serde_json::{Map, Value, json};
use std::collections::BTreeSet;
use std::fs::{self, File, OpenOptions, Permissions};
use std::io::{self, ErrorKind, Write};
use std::net::SocketAddr;
use std::os::unix::fs::{MetadataExt, OpenOptionsExt, PermissionsExt};
use std::path::Path;

/// The parameter of a portal group by which a target that a client made is known.
const ALIAS: &str = "TargetAlias";

/// Longest file that is read, in bytes.
const LONGEST: u64 = 64 << 20;
/// Where a storage object of ours is found in the file.
const STORAGE_PATH: &str = "/backstores/block/";
/// The credentials of an ACL, as the file calls them. Those that the array gives are not kept there.
const CREDENTIALS: [&str; 4] = [
    "chap_userid",
    "chap_password",
    "chap_mutual_userid",
    "chap_mutual_password",
];

/// Why the file is not up to date.
#[derive(Debug, thiserror::Error)]
pub enum SaveError {
    /// The kernel target cannot be read.
    #[error(transparent)]
    Configfs(#[from] ConfigfsError),
    /// The file cannot be read or written.
    #[error("it cannot be read or written")]
    File(#[from] io::Error),
    /// It is no JSON.
    #[error("it is no JSON")]
    Json(#[from] serde_json::Error),
    /// It is JSON of another kind.
    #[error("'{0}' in it is not as targetcli writes it")]
    Strange(&'static str),
}

/// Brings what is ours in the file up to date; whether anything had to be written. Callers hold the
/// locks.
pub fn update(configfs: &Configfs, iqns: &[String], file: &Path) -> Result<bool, SaveError> {
    let state = read::state(configfs)?;
    // What a link leads to keeps its place.
    let file = match fs::canonicalize(file) {
        Err(error) if error.kind() == ErrorKind::NotFound => file.to_owned(),
        other => other?,
    };
    let known = match File::open(&file) {
        Ok(opened) => Some(opened.metadata()?),
        Err(error) if error.kind() == ErrorKind::NotFound => None,
        Err(error) => return Err(error.into()),
    };
    let before = match &known {
        Some(meta) if meta.len() > LONGEST => {
            return Err(io::Error::other("it is longer than 64 MiB").into());
        }
        Some(_) => serde_json::from_slice(&fs::read(&file)?)?,
        None => json!({"fabric_modules": [], "storage_objects": [], "targets": []}),
    };
    let mut after = before.clone();
    merge(configfs, &state, iqns, &mut after)?;
    if after == before {
        return Ok(false);
    }
    write(&file, &after, known.as_ref())?;
    Ok(true)
}

/// Puts a file into the place of another one at once, with its owner and rights; a new one is for
/// root alone, as it may hold secrets.
fn write(file: &Path, value: &Value, known: Option<&fs::Metadata>) -> Result<(), SaveError> {
    let folder = file.parent().unwrap_or(Path::new("/"));
    let name = file.file_name().unwrap_or_default().to_string_lossy();
    let beside = folder.join(format!(".{name}.standpipe"));
    let gone = fs::remove_file(&beside);
    gone.or_else(|e| {
        if e.kind() == ErrorKind::NotFound {
            Ok(())
        } else {
            Err(e)
        }
    })?;
    let written = OpenOptions::new()
        .write(true)
        .create_new(true)
        .mode(0o600)
        .open(&beside)
        .and_then(|mut new| {
            let mut text = serde_json::to_vec_pretty(value)?;
            text.push(b'\n');
            new.write_all(&text)?;
            if let Some(known) = known {
                std::os::unix::fs::fchown(&new, Some(known.uid()), Some(known.gid()))?;
                new.set_permissions(Permissions::from_mode(known.mode() & 0o7777))?;
            }
            new.sync_all()?;
            fs::rename(&beside, file)?;
            File::open(folder)?.sync_all()
        });
    if written.is_err() {
        // The first error is the one to tell.
        let _ = fs::remove_file(&beside);
    }
    Ok(written?)
}

/// Replaces what is ours in the file's value by what the kernel holds.
fn merge(
    configfs: &Configfs,
    state: &State,
    iqns: &[String],
    root: &mut Value,
) -> Result<(), SaveError> {
    let root = root
        .as_object_mut()
        .ok_or(SaveError::Strange("the whole"))?;
    let objects = list(root, "storage_objects")?;
    let ours = state
        .backstores
        .iter()
        .filter(|(place, _)| backstore::volume_of(place).is_some());
    let names: BTreeSet<&str> = ours
        .clone()
        .filter_map(|(place, _)| name_of(place))
        .collect();
    objects.retain(|object| !is_own_object(object) || names.contains(text(object, "name")));
    for (place, backstore) in ours {
        let name = name_of(place).unwrap_or_default();
        let object = entry(objects, |object| {
            text(object, "plugin") == "block" && text(object, "name") == name
        });
        let unmap = flag(configfs, &format!("core/{place}/attrib/emulate_tpu"))?;
        set(object, "plugin", "block");
        set(object, "name", name);
        set(object, "dev", backstore.path.as_str());
        set(object, "wwn", backstore.serial.clone());
        set(object, "readonly", false);
        set(object, "write_back", false);
        let attributes = member(object, "attributes")?;
        attributes.insert("emulate_tpu".into(), unmap.into());
        attributes.insert("emulate_tpws".into(), unmap.into());
    }
    let targets = list(root, "targets")?;
    // Those that clients have removed since.
    targets.retain(|target| !is_made(target) || iqns.iter().any(|iqn| text(target, "wwn") == iqn));
    for iqn in iqns {
        if let Some(found) = state.targets.get(iqn) {
            let (fabric, name) = fabric::split(iqn);
            let wwn = fabric.plain(name);
            let target = entry(targets, |target| {
                text(target, "fabric") == fabric.folder && text(target, "wwn") == wwn
            });
            set(target, "fabric", fabric.folder);
            set(target, "wwn", wwn);
            let groups = list(target, "tpgs")?;
            let group = entry(groups, |group| number_of(group, "tag") == Some(TPGT.into()));
            set(group, "tag", TPGT);
            merge_group(configfs, iqn, found, group)?;
        }
    }
    Ok(())
}

/// The same for a portal group of ours.
fn merge_group(
    configfs: &Configfs,
    iqn: &str,
    found: &Target,
    group: &mut Map<String, Value>,
) -> Result<(), SaveError> {
    // A group that is closed for a moment while it is made is not one that is to be restored so.
    set(group, "enable", true);
    if found.made {
        member(group, "parameters")?.insert(ALIAS.into(), made::MARK.into());
    }
    let attributes = member(group, "attributes")?;
    let fabric = fabric::of(iqn);
    for (name, _) in fabric.attributes {
        let value = flag(configfs, &format!("{}/attrib/{name}", target::group(iqn)))?;
        attributes.insert((*name).into(), value.into());
    }
    match chap::is_ours(configfs, iqn) {
        true => set(group, CREDENTIALS[0], chap::SIGN),
        false if group.get(CREDENTIALS[0]).and_then(Value::as_str) == Some(chap::SIGN) => {
            group.remove(CREDENTIALS[0]);
        }
        false => {}
    }
    let portals = list(group, "portals")?;
    for portal in found
        .portals
        .iter()
        .filter_map(|name| name.parse::<SocketAddr>().ok())
    {
        let (address, port) = (portal.ip().to_string(), portal.port());
        let portal = entry(portals, |portal| {
            text(portal, "ip_address") == address && number_of(portal, "port") == Some(port.into())
        });
        set(portal, "ip_address", address.as_str());
        set(portal, "port", port);
        portal.entry("iser").or_insert(false.into());
        portal.entry("offload").or_insert(false.into());
    }
    let units = list(group, "luns")?;
    let is_ours = |unit: &Value| {
        let object = text(unit, "storage_object").strip_prefix(STORAGE_PATH);
        object.is_some_and(|name| name.starts_with(NAME_PREFIX))
    };
    let known: BTreeSet<u64> = units
        .iter()
        .filter(|unit| is_ours(unit))
        .filter_map(|unit| number_of(unit, "index"))
        .collect();
    // What stands in the file under a number that is ours in the kernel is older than that.
    let holds = |index: Option<u64>| index.and_then(|index| found.units.get(&index));
    let is_own = |unit: &read::Unit| {
        let place = unit.backstore.as_deref();
        place.is_some_and(|place| backstore::volume_of(place).is_some())
    };
    units.retain(|unit| !is_ours(unit) && !holds(number_of(unit, "index")).is_some_and(is_own));
    let mut own = BTreeSet::new();
    for (index, unit) in &found.units {
        let place = unit
            .backstore
            .as_deref()
            .filter(|place| backstore::volume_of(place).is_some());
        if let Some(name) = place.and_then(name_of) {
            own.insert(*index);
            units.push(json!({
                "index": index,
                "alias": unit.alias,
                "storage_object": format!("{STORAGE_PATH}{name}"),
                "alua_tg_pt_gp_name": "default_tg_pt_gp",
            }));
        }
    }
    let acls = list(group, "node_acls")?;
    for acl in acls.iter_mut() {
        let acl = acl.as_object_mut().ok_or(SaveError::Strange("node_acls"))?;
        list(acl, "mapped_luns")?.retain(|row| {
            let is_known = |unit: u64| known.contains(&unit) || own.contains(&unit);
            export::volume_of(text(row, "alias")).is_none()
                && !number_of(row, "tpg_lun").is_some_and(is_known)
        });
    }
    for (initiator, rows) in &found.acls {
        let rows = rows
            .iter()
            .filter(|(_, row)| row.unit.is_some_and(|unit| own.contains(&unit)));
        let rows: Vec<Value> = rows
            .map(|(index, row)| {
                json!({
                    "index": index,
                    "tpg_lun": row.unit,
                    "write_protect": row.read_only,
                    "alias": row.alias,
                })
            })
            .collect();
        if rows.is_empty() {
            continue;
        }
        let name = fabric.plain(initiator);
        let acl = entry(acls, |acl| text(acl, "node_wwn") == name);
        set(acl, "node_wwn", name);
        let listed = list(acl, "mapped_luns")?;
        listed.retain(|old| rows.iter().all(|row| row["index"] != old["index"]));
        listed.extend(rows);
        if let Some(mark) = Mark::read(configfs, iqn, initiator) {
            set(acl, "tag", mark.tag(initiator));
            // Without them it lets nobody in until the array has given it its credentials again.
            CREDENTIALS.iter().for_each(|name| drop(acl.remove(*name)));
            member(acl, "attributes")?.remove("authentication");
        }
    }
    // Ours goes with its last row.
    acls.retain(|acl| {
        let rows = acl.get("mapped_luns").and_then(Value::as_array);
        let is_ours = Mark::of(text(acl, "tag"), text(acl, "node_wwn")).is_some();
        !is_ours || rows.is_some_and(|rows| !rows.is_empty())
    });
    Ok(())
}

/// The name of a backstore at a place.
fn name_of(place: &str) -> Option<&str> {
    place.split_once('/').map(|(_, name)| name)
}

fn is_own_object(object: &Value) -> bool {
    text(object, "plugin") == "block" && text(object, "name").starts_with(NAME_PREFIX)
}

/// Whether a client made a target.
fn is_made(target: &Value) -> bool {
    let groups = target.get("tpgs").and_then(Value::as_array);
    let mut groups = groups.into_iter().flatten();
    let marked = |group: &Value| {
        group
            .get("parameters")
            .is_some_and(|parameters| text(parameters, ALIAS) == made::MARK)
    };
    text(target, "fabric") == "iscsi" && groups.any(marked)
}

/// An attribute that is a small number. One that cannot be read is no zero: that may mean that anybody
/// is let in.
fn flag(configfs: &Configfs, path: &str) -> Result<u64, SaveError> {
    let text = configfs.read(path)?;
    text.parse()
        .map_err(|_| io::Error::other(format!("{path} is no number")).into())
}

fn text<'a>(value: &'a Value, key: &str) -> &'a str {
    value.get(key).and_then(Value::as_str).unwrap_or_default()
}

fn number_of(value: &Value, key: &str) -> Option<u64> {
    value.get(key)?.as_u64()
}

fn set(object: &mut Map<String, Value>, key: &str, value: impl Into<Value>) {
    object.insert(key.into(), value.into());
}

/// A list of objects in an object; an empty one where it is missing.
fn list<'a>(
    object: &'a mut Map<String, Value>,
    key: &'static str,
) -> Result<&'a mut Vec<Value>, SaveError> {
    let list = object
        .entry(key)
        .or_insert_with(|| json!([]))
        .as_array_mut();
    list.filter(|list| list.iter().all(Value::is_object))
        .ok_or(SaveError::Strange(key))
}

/// An object in an object; an empty one where it is missing.
fn member<'a>(
    object: &'a mut Map<String, Value>,
    key: &'static str,
) -> Result<&'a mut Map<String, Value>, SaveError> {
    let member = object
        .entry(key)
        .or_insert_with(|| json!({}))
        .as_object_mut();
    member.ok_or(SaveError::Strange(key))
}

/// The object of a list that is like that; a new one at the end where there is none.
fn entry(list: &mut Vec<Value>, is_like: impl Fn(&Value) -> bool) -> &mut Map<String, Value> {
    let at = list.iter().position(is_like).unwrap_or_else(|| {
        list.push(json!({}));
        list.len() - 1
    });
    list[at].as_object_mut().expect("lists of objects only")
}

#[cfg(test)]
mod tests {
    use super::*;

    const IQN: &str = "iqn.2026-01.example:t";
    const HOST: &str = "iqn.2026-01.example:a";

    /// What the kernel holds: one volume of ours, shown to one host.
    fn kernel() -> (tempfile::TempDir, Configfs) {
        let root = tempfile::tempdir().expect("a temporary folder");
        let core = root.path().join("core/iblock_50000/standpipe.x");
        let group = root.path().join(format!("iscsi/{IQN}/tpgt_1"));
        let (unit, row) = (
            group.join("lun/lun_0"),
            group.join(format!("acls/{HOST}/lun_1")),
        );
        for folder in [
            &core.join("wwn"),
            &core.join("attrib"),
            &group.join("np/[::1]:3260"),
            &group.join("attrib"),
            &group.join("auth"),
            &unit,
            &row,
        ] {
            fs::create_dir_all(folder).expect("made");
        }
        fs::write(core.join("attrib/emulate_tpu"), "0\n").expect("written");
        for (name, value) in fabric::ISCSI.attributes {
            fs::write(group.join("attrib").join(name), value).expect("written");
        }
        fs::write(
            core.join("wwn/vpd_unit_serial"),
            "T10 VPD Unit Serial Number: s-1\n",
        )
        .expect("written");
        fs::write(core.join("udev_path"), "/dev/disk/by-id/x\n").expect("written");
        fs::write(group.join("enable"), "1\n").expect("written");
        fs::write(
            group.join(format!("acls/{HOST}/tag")),
            Mark::Plain.tag(HOST),
        )
        .expect("written");
        std::os::unix::fs::symlink(&core, unit.join("standpipe-x")).expect("linked");
        std::os::unix::fs::symlink(&unit, row.join("standpipe-x")).expect("linked");
        let configfs = Configfs::new(root.path());
        (root, configfs)
    }

    #[test]
    fn no_secret_is_kept_and_no_excuse_outlives_its_reason() {
        let (root, configfs) = kernel();
        let file = root.path().join("saveconfig.json");
        // As targetcli has saved it while the host needed no secret.
        let before = json!({"storage_objects": [], "targets": [{
            "fabric": "iscsi", "wwn": IQN, "tpgs": [{"tag": 1, "node_acls": [{
                "node_wwn": HOST, "tag": Mark::Excused.tag(HOST), "mapped_luns": [],
                "attributes": {"authentication": 0, "dataout_timeout": 3},
                "chap_userid": "joe", "chap_password": "open-sesame-42",
            }]}],
        }]});
        fs::write(&file, before.to_string()).expect("written");
        let group = root.path().join(target::group(IQN));
        fs::write(group.join("attrib/authentication"), "1").expect("written");
        fs::write(group.join("auth/userid"), chap::SIGN).expect("written");
        assert!(updated(&file, &configfs));
        let now = &value(&file)["targets"][0]["tpgs"][0];
        assert_eq!(now["attributes"]["authentication"], 1);
        assert_eq!(
            now["chap_userid"],
            chap::SIGN,
            "a demand of ours stays known as such"
        );
        let acl = &now["node_acls"][0];
        assert_eq!(acl["tag"], Mark::Plain.tag(HOST));
        assert_eq!(acl["attributes"], json!({"dataout_timeout": 3}));
        assert!(!acl.to_string().contains("chap_"), "{acl}");
        fs::write(group.join("auth/userid"), "NULL").expect("written");
        assert!(updated(&file, &configfs));
        assert_eq!(
            value(&file)["targets"][0]["tpgs"][0].get("chap_userid"),
            None
        );
        // What cannot be read is not taken for a zero.
        fs::remove_file(group.join("attrib/authentication")).expect("removed");
        update(&configfs, &[IQN.to_owned()], &file).expect_err("unknown");
    }

    fn updated(file: &Path, configfs: &Configfs) -> bool {
        update(configfs, &[IQN.to_owned()], file).expect("updated")
    }

    fn value(file: &Path) -> Value {
        serde_json::from_slice(&fs::read(file).expect("read")).expect("JSON")
    }

    #[test]
    fn ours_is_put_in_once_and_what_is_foreign_keeps_its_value() {
        let (root, configfs) = kernel();
        let file = root.path().join("saveconfig.json");
        let foreign_row = json!({"index": 7, "tpg_lun": 9, "alias": "0815", "write_protect": true});
        let foreign = json!({
            "fabric_modules": [{"name": "iscsi", "discovery_userid": "someone"}],
            "something": {"new": [1, 2.5, null]},
            "storage_objects": [
                {"plugin": "fileio", "name": "standpipe.not-a-block", "size": 4096},
                {"plugin": "block", "name": "standpipe.gone", "dev": "/dev/x", "wwn": "s-0"},
            ],
            "targets": [
                {"fabric": "loopback", "wwn": "naa.5001405", "tpgs": []},
                {"fabric": "iscsi", "wwn": IQN, "parameters": {"theirs": 1}, "tpgs": [{
                    "tag": 1, "parameters": {"MaxConnections": "1"},
                    "luns": [
                        {"index": 9, "storage_object": "/backstores/ramdisk/theirs"},
                        {"index": 3, "storage_object": "/backstores/block/standpipe.gone"},
                    ],
                    "node_acls": [
                        {"node_wwn": HOST, "mapped_luns": [foreign_row.clone(), {"index": 2, "tpg_lun": 3}]},
                        {"node_wwn": "iqn.2026-01.example:left",
                            "tag": "standpipe-iqn.2026-01.example:left", "mapped_luns": [
                            {"index": 4, "tpg_lun": 3, "alias": "standpipe-gone"},
                        ]},
                    ],
                }]},
            ],
        });
        fs::write(&file, foreign.to_string()).expect("written");
        fs::set_permissions(&file, Permissions::from_mode(0o640)).expect("set");
        assert!(updated(&file, &configfs));
        assert!(!updated(&file, &configfs), "there is nothing more to write");
        assert_eq!(fs::metadata(&file).expect("there").mode() & 0o777, 0o640);
        let now = value(&file);
        for kept in ["fabric_modules", "something"] {
            assert_eq!(now[kept], foreign[kept]);
        }
        let objects = now["storage_objects"].as_array().expect("a list");
        assert_eq!(objects[0], foreign["storage_objects"][0]);
        assert_eq!(objects.len(), 2);
        assert_eq!(
            (&objects[1]["name"], &objects[1]["wwn"]),
            (&json!("standpipe.x"), &json!("s-1"))
        );
        assert_eq!(now["targets"][0], foreign["targets"][0]);
        assert_eq!(now["targets"][1]["parameters"], json!({"theirs": 1}));
        let group = &now["targets"][1]["tpgs"][0];
        assert_eq!(group["parameters"], json!({"MaxConnections": "1"}));
        assert_eq!(group["portals"][0]["ip_address"], "::1");
        let units: Vec<_> = group["luns"]
            .as_array()
            .expect("a list")
            .iter()
            .map(|u| &u["index"])
            .collect();
        assert_eq!(units, [9, 0]);
        let acls = group["node_acls"].as_array().expect("a list");
        assert_eq!(acls.len(), 1, "an ACL of ours goes with its last row");
        assert_eq!(acls[0]["mapped_luns"][0], foreign_row);
        assert_eq!(acls[0]["mapped_luns"][1]["index"], 1);
        assert_eq!(acls[0]["mapped_luns"].as_array().map(Vec::len), Some(2));
    }

    #[test]
    fn a_new_file_is_for_root_alone() {
        let (root, configfs) = kernel();
        let file = root.path().join("saveconfig.json");
        assert!(updated(&file, &configfs));
        assert_eq!(fs::metadata(&file).expect("there").mode() & 0o777, 0o600);
        assert_eq!(value(&file)["storage_objects"][0]["name"], "standpipe.x");
    }

    #[test]
    fn a_file_that_is_not_understood_is_left_alone() {
        let (root, configfs) = kernel();
        let file = root.path().join("saveconfig.json");
        for text in [
            "no JSON",
            "[]",
            r#"{"targets": 1}"#,
            r#"{"storage_objects": ["x"]}"#,
        ] {
            fs::write(&file, text).expect("written");
            update(&configfs, &[IQN.to_owned()], &file).expect_err(text);
            assert_eq!(fs::read_to_string(&file).expect("read"), text);
        }
    }
}
