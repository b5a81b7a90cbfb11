//! What LVM says in JSON: rows of reports, and the log of the command.
//!
//! In the `json` format of LVM 2.03.16 every value is a string, what does not apply is `""` and
//! what is unknown is `"unknown"` or `-1`; a number that cannot be read is `None` here, never a
//! failed listing. The columns asked for stand beside the rows that hold them. This module runs
//! nothing.

use serde::de::DeserializeOwned;
use serde::{Deserialize, Deserializer};
use serde_json::Value;
use std::collections::BTreeMap;

/// The columns of a [`VgRow`].
pub const VG_COLUMNS: &str = "vg_name,vg_uuid,vg_size,vg_free,vg_extent_size,vg_extent_count,\
    vg_free_count,vg_seqno,vg_mda_size,vg_mda_free,vg_partial,vg_exported,vg_shared,vg_tags,\
    lv_count";
/// The columns of an [`LvRow`] that say what a volume is. Metadata only: asking for any kernel
/// state costs an ioctl for each active volume.
pub const LV_COLUMNS: &str = "lv_uuid,lv_name,vg_uuid,vg_name,lv_size,lv_tags,lv_layout,lv_role,\
    lv_descendants,lv_time,origin_uuid,origin_size,pool_lv_uuid,vg_seqno,vg_partial";
/// The columns that say where it lies. With them a volume has a row for each of its segments.
pub const SEGMENT_COLUMNS: &str = "lv_parent,segtype,stripes,seg_start_pe,seg_pe_ranges,lv_metadata_size,chunk_size,\
    zero,thin_id";
/// The columns of a [`PvRow`].
pub const PV_COLUMNS: &str =
    "pv_name,pv_uuid,vg_uuid,vg_name,dev_size,pv_size,pv_free,pe_start,pv_missing,pv_allocatable";
/// The columns of a [`PvSegmentRow`].
pub const PV_SEGMENT_COLUMNS: &str = "pv_uuid,vg_uuid,pv_missing,pvseg_start,pvseg_size,lv_uuid";

/// The answer to one command.
#[derive(Debug, Default, Deserialize)]
pub struct Document {
    /// Reports, empty for a command that only acts: rows by kind (`vg`, `lv`, `seg`, `pv`).
    #[serde(default)]
    report: Vec<BTreeMap<String, Vec<Value>>>,
    /// The command's log, with `log/report_command_log=1`.
    #[serde(default)]
    pub log: Vec<LogRow>,
}

impl Document {
    /// The volume groups listed.
    pub fn groups(self) -> Vec<VgRow> {
        self.rows(&["vg"])
    }

    /// The physical volumes listed.
    pub fn devices(self) -> Vec<PvRow> {
        self.rows(&["pv"])
    }

    /// The logical volumes listed, with one row for each segment where columns of segments were
    /// asked for; LVM files them under `lv` or `seg`, after the columns.
    pub fn volumes(self) -> Vec<LvRow> {
        self.rows(&["lv", "seg"])
    }

    /// The segments of physical volumes listed.
    pub fn device_segments(self) -> Vec<PvSegmentRow> {
        self.rows(&["pvseg"])
    }

    /// The rows of these kinds. One that cannot be read does not hide the others.
    fn rows<T: DeserializeOwned>(self, kinds: &[&str]) -> Vec<T> {
        self.report
            .into_iter()
            .flatten()
            .filter(|(kind, _)| kinds.contains(&kind.as_str()))
            .flat_map(|(_, rows)| rows)
            .filter_map(|row| serde_json::from_value(row).ok())
            .collect()
    }

    /// The command's own result: 1 success, 2 no such command, 3 bad arguments, 5 failure.
    pub fn result(&self) -> Option<u32> {
        self.log
            .iter()
            .rev()
            .find(|row| row.log_context == "shell" && row.log_type == "status")
            .and_then(|row| row.log_ret_code.parse().ok())
    }

    /// The first error that names a reason.
    pub fn reason(&self) -> Option<&str> {
        self.log
            .iter()
            .find(|row| row.log_type == "error" && !row.log_message.is_empty())
            .map(|row| row.log_message.as_str())
    }
}

/// A line of the command's log.
#[derive(Debug, Deserialize)]
pub struct LogRow {
    /// `print`, `warn`, `error` or `status`.
    pub log_type: String,
    /// `shell` for the command as a whole, `processing` for one object.
    pub log_context: String,
    /// The text.
    #[serde(default)]
    pub log_message: String,
    /// The result, in a `status` row.
    #[serde(default)]
    pub log_ret_code: String,
}

/// A volume group. Sizes are in bytes.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
#[expect(
    missing_docs,
    reason = "the fields are LVM's columns, described in vgs(8)"
)]
pub struct VgRow {
    pub vg_name: String,
    pub vg_uuid: String,
    #[serde(default, deserialize_with = "number")]
    pub vg_size: Option<u64>,
    #[serde(default, deserialize_with = "number")]
    pub vg_free: Option<u64>,
    #[serde(default, deserialize_with = "number")]
    pub vg_extent_size: Option<u64>,
    #[serde(default, deserialize_with = "number")]
    pub vg_extent_count: Option<u64>,
    #[serde(default, deserialize_with = "number")]
    pub vg_free_count: Option<u64>,
    #[serde(default, deserialize_with = "number")]
    pub vg_seqno: Option<u64>,
    #[serde(default, deserialize_with = "number")]
    pub vg_mda_size: Option<u64>,
    #[serde(default, deserialize_with = "number")]
    pub vg_mda_free: Option<u64>,
    #[serde(default)]
    pub vg_partial: String,
    #[serde(default)]
    pub vg_exported: String,
    #[serde(default)]
    pub vg_shared: String,
    #[serde(default)]
    pub vg_tags: String,
    #[serde(default, deserialize_with = "number")]
    pub lv_count: Option<u64>,
    /// Not LVM's: of which of its disks the machine has a second one.
    #[serde(skip)]
    pub copy: Option<String>,
}

/// A logical volume. Sizes are in bytes.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
#[expect(
    missing_docs,
    reason = "the fields are LVM's columns, described in lvs(8)"
)]
pub struct LvRow {
    pub lv_uuid: String,
    pub lv_name: String,
    pub vg_uuid: String,
    pub vg_name: String,
    #[serde(default, deserialize_with = "number")]
    pub lv_size: Option<u64>,
    #[serde(default)]
    pub lv_tags: String,
    #[serde(default)]
    pub lv_layout: String,
    #[serde(default)]
    pub zero: String,
    #[serde(default)]
    pub lv_role: String,
    #[serde(default)]
    pub lv_descendants: String,
    #[serde(default, deserialize_with = "number")]
    pub lv_time: Option<u64>,
    #[serde(default)]
    pub pool_lv_uuid: String,
    #[serde(default)]
    pub lv_device_open: String,
    #[serde(default)]
    pub origin_uuid: String,
    #[serde(default, deserialize_with = "number")]
    pub origin_size: Option<u64>,
    #[serde(default, deserialize_with = "number")]
    pub vg_seqno: Option<u64>,
    #[serde(default)]
    pub vg_partial: String,
    #[serde(default)]
    pub lv_parent: String,
    #[serde(default)]
    pub segtype: String,
    #[serde(default, deserialize_with = "number")]
    pub stripes: Option<u64>,
    #[serde(default, deserialize_with = "number")]
    pub seg_start_pe: Option<u64>,
    #[serde(default)]
    pub seg_pe_ranges: String,
    #[serde(default, deserialize_with = "number")]
    pub lv_metadata_size: Option<u64>,
    #[serde(default, deserialize_with = "number")]
    pub chunk_size: Option<u64>,
    #[serde(default, deserialize_with = "number")]
    pub thin_id: Option<u64>,
}

/// What is said in `lv_role` of a volume whose snapshots do not need it.
const FREE_ROLES: &[&str] = &[
    "public",
    "origin",
    "thinorigin",
    "multithinorigin",
    "snapshot",
    "thinsnapshot",
];

impl LvRow {
    /// Its name without the brackets that hidden ones bear.
    pub fn plain_name(&self) -> &str {
        without_brackets(&self.lv_name)
    }

    /// The plain name of the one that it is a part of; empty if of none.
    pub fn plain_parent(&self) -> &str {
        without_brackets(&self.lv_parent)
    }

    /// Whether it is a part of another one. A shell that has once deactivated something lists
    /// these unasked ever after, so their absence is never relied upon.
    pub fn is_hidden(&self) -> bool {
        self.lv_name.starts_with('[')
    }

    /// Whether it is a thin pool.
    pub fn is_thin_pool(&self) -> bool {
        !self.is_hidden() && self.has_layout("thin") && self.has_layout("pool")
    }

    /// Whether it is a volume for hosts: pools and the parts that others are made of are not.
    pub fn is_volume(&self) -> bool {
        !self.is_hidden() && self.has_role("public") && !self.has_layout("pool")
    }

    /// Whether it is a snapshot that keeps what changes on disks, and needs its origin.
    pub fn is_delta(&self) -> bool {
        self.has_role("thicksnapshot")
    }

    /// Whether others need it, which LVM would remove with it. Snapshots of a thin volume in its pool
    /// do not.
    pub fn is_needed(&self) -> bool {
        let is_free = self.has_layout("thin")
            && self
                .lv_role
                .split(',')
                .all(|role| FREE_ROLES.contains(&role));
        !self.lv_descendants.is_empty() && !is_free
    }

    /// Bytes that a host can use: of a snapshot that keeps what changes, those of its origin.
    pub fn size(&self) -> Option<u64> {
        match self.is_delta() {
            true => self.origin_size.or(self.lv_size),
            false => self.lv_size,
        }
    }

    /// Whether a word stands in the comma-separated `lv_role`.
    pub fn has_role(&self, role: &str) -> bool {
        self.lv_role.split(',').any(|word| word == role)
    }

    /// Whether a word stands in the comma-separated `lv_layout`.
    pub fn has_layout(&self, layout: &str) -> bool {
        self.lv_layout.split(',').any(|word| word == layout)
    }
}

fn without_brackets(name: &str) -> &str {
    let inner = name
        .strip_prefix('[')
        .and_then(|name| name.strip_suffix(']'));
    inner.unwrap_or(name)
}

/// A part of a physical volume.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
#[expect(
    missing_docs,
    reason = "the fields are LVM's columns, described in pvs(8)"
)]
pub struct PvSegmentRow {
    pub pv_uuid: String,
    #[serde(default)]
    pub vg_uuid: String,
    #[serde(default)]
    pub pv_missing: String,
    #[serde(default, deserialize_with = "number")]
    pub pvseg_start: Option<u64>,
    #[serde(default, deserialize_with = "number")]
    pub pvseg_size: Option<u64>,
    #[serde(default)]
    pub lv_uuid: String,
}

/// A physical volume. Sizes are in bytes.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
#[expect(
    missing_docs,
    reason = "the fields are LVM's columns, described in pvs(8)"
)]
pub struct PvRow {
    pub pv_name: String,
    pub pv_uuid: String,
    #[serde(default)]
    pub vg_uuid: String,
    #[serde(default)]
    pub vg_name: String,
    #[serde(default, deserialize_with = "number")]
    pub dev_size: Option<u64>,
    #[serde(default, deserialize_with = "number")]
    pub pv_size: Option<u64>,
    #[serde(default, deserialize_with = "number")]
    pub pv_free: Option<u64>,
    #[serde(default, deserialize_with = "number")]
    pub pe_start: Option<u64>,
    #[serde(default)]
    pub pv_missing: String,
    #[serde(default)]
    pub pv_allocatable: String,
    #[serde(default)]
    pub pv_duplicate: String,
}

impl PvRow {
    /// Whether its device is there, whatever LVM counts it as.
    pub fn is_there(&self) -> bool {
        self.pv_name.starts_with('/')
    }

    /// Whether nothing new is laid on it.
    pub fn is_closed(&self) -> bool {
        self.pv_allocatable.is_empty()
    }
}

/// A number in a string, with or without the unit `B`.
fn number<'de, D: Deserializer<'de>>(input: D) -> Result<Option<u64>, D::Error> {
    let text = String::deserialize(input)?;
    Ok(text.trim_end_matches('B').parse().ok())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn document(text: &str) -> Document {
        serde_json::from_str(text).expect("the sample is well-formed")
    }

    #[test]
    fn numbers_are_read_from_strings_and_unknown_ones_are_none() {
        let rows = document(
            r#"{"report":[{"vg":[{"vg_name":"a","vg_uuid":"u","vg_size":"4194304","vg_free":"",
               "vg_mda_free":"unknown"}]}],"log":[]}"#,
        )
        .groups();
        assert_eq!(rows[0].vg_size, Some(4_194_304));
        assert_eq!(rows[0].vg_free, None);
        assert_eq!(rows[0].vg_mda_free, None);
    }

    #[test]
    fn a_row_that_cannot_be_read_does_not_hide_the_others() {
        let rows = document(
            r#"{"report":[{"lv":[{"nonsense":1},
               {"lv_uuid":"u","lv_name":"n","vg_uuid":"g","vg_name":"v","lv_size":"8B"}]}]}"#,
        )
        .volumes();
        assert_eq!(rows.len(), 1);
        assert_eq!(rows[0].lv_size, Some(8));
    }

    #[test]
    fn the_command_result_is_the_shells_last_word_and_the_reason_its_first_error() {
        let failed = document(
            r#"{"log":[
               {"log_type":"error","log_context":"processing","log_message":"Volume group \"x\" not found","log_ret_code":"0"},
               {"log_type":"error","log_context":"processing","log_message":"Cannot process","log_ret_code":"0"},
               {"log_type":"status","log_context":"processing","log_message":"failure","log_ret_code":"5"},
               {"log_type":"status","log_context":"shell","log_message":"failure","log_ret_code":"5"}]}"#,
        );
        assert_eq!(failed.result(), Some(5));
        assert_eq!(failed.reason(), Some("Volume group \"x\" not found"));
        assert_eq!(document(r#"{"log":[]}"#).result(), None);
    }

    #[test]
    fn roles_are_whole_words() {
        let rows = document(
            r#"{"report":[{"lv":[{"lv_uuid":"u","lv_name":"n","vg_uuid":"g","vg_name":"v",
               "lv_role":"public,origin,thickorigin","lv_layout":"linear"}]}]}"#,
        )
        .volumes();
        assert!(rows[0].has_role("public") && rows[0].has_role("thickorigin"));
        assert!(!rows[0].has_role("thick") && !rows[0].has_layout("thin"));
    }
}
