//! The `[storage]` table: what the array may touch, and with which programs.

use std::path::PathBuf;

use serde::Deserialize;
use toml::Spanned;

use super::raw::{Checked, absolute, or, wrong};
use super::{Storage, Wrong};
use crate::array::Erasing;

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct RawStorage {
    volume_groups: Option<Spanned<Vec<Spanned<String>>>>,
    disks: Option<Spanned<Vec<Spanned<String>>>>,
    thin_overcommit_percent: Option<Spanned<u64>>,
    low_space_percent: Option<Spanned<u64>>,
    snapshot_percent: Option<Spanned<u64>>,
    #[serde(default)]
    allow_shrink: bool,
    erase: Option<Spanned<String>>,
    lvm: Option<Spanned<PathBuf>>,
    blkid: Option<Spanned<PathBuf>>,
    dmsetup: Option<Spanned<PathBuf>>,
    configfs: Option<Spanned<PathBuf>>,
}

/// Checks the table.
pub(super) fn read(raw: Spanned<RawStorage>) -> Checked<Storage> {
    let table_at = raw.span();
    let raw = raw.into_inner();
    let groups_at = raw.volume_groups.as_ref().map(Spanned::span);
    let volume_groups = volume_groups(raw.volume_groups)?;
    let disks = disks(raw.disks)?;
    if volume_groups.is_empty() && disks.is_empty() {
        return Err(Wrong {
            at: groups_at.unwrap_or(table_at),
            reason:
                "storage: name at least one volume group in volume_groups, or one disk in disks"
                    .into(),
        });
    }
    let overcommit = or(
        "storage.thin_overcommit_percent",
        raw.thin_overcommit_percent,
        100..=100_000,
        1000,
    )?;
    let low_space = or(
        "storage.low_space_percent",
        raw.low_space_percent,
        1..=100,
        80,
    )?;
    let snapshot = or(
        "storage.snapshot_percent",
        raw.snapshot_percent,
        1..=100,
        100,
    )?;
    Ok(Storage {
        volume_groups,
        disks,
        thin_overcommit_percent: overcommit,
        low_space_percent: u16::try_from(low_space).unwrap_or(u16::MAX),
        snapshot_percent: u8::try_from(snapshot).unwrap_or(u8::MAX),
        allow_shrink: raw.allow_shrink,
        erase: erase(raw.erase)?,
        lvm: absolute("storage.lvm", raw.lvm, "/sbin/lvm")?,
        blkid: absolute("storage.blkid", raw.blkid, "/sbin/blkid")?,
        dmsetup: absolute("storage.dmsetup", raw.dmsetup, "/sbin/dmsetup")?,
        configfs: absolute("storage.configfs", raw.configfs, "/sys/kernel/config")?,
    })
}

fn volume_groups(raw: Option<Spanned<Vec<Spanned<String>>>>) -> Checked<Vec<String>> {
    let mut groups: Vec<String> = Vec::new();
    for name in raw.map(Spanned::into_inner).into_iter().flatten() {
        if !is_lvm_name(name.get_ref()) {
            let reason = format!(
                "storage.volume_groups: {:?} cannot be the name of a volume group",
                name.get_ref()
            );
            return Err(wrong(&name, reason));
        }
        if groups.contains(name.get_ref()) {
            let reason = format!("storage.volume_groups: {} is there twice", name.get_ref());
            return Err(wrong(&name, reason));
        }
        groups.push(name.into_inner());
    }
    Ok(groups)
}

fn disks(raw: Option<Spanned<Vec<Spanned<String>>>>) -> Checked<Vec<PathBuf>> {
    let mut disks: Vec<PathBuf> = Vec::new();
    for path in raw.map(Spanned::into_inner).into_iter().flatten() {
        if !is_disk_path(path.get_ref()) {
            let reason = format!(
                "storage.disks: {:?} is not the path of a disk; write one such as \
                 /dev/disk/by-id/wwn-0x5000c500a1b2c3d4, with *, ? or [a-f] in its last part only",
                path.get_ref()
            );
            return Err(wrong(&path, reason));
        }
        let disk = PathBuf::from(path.get_ref());
        if disks.contains(&disk) {
            let reason = format!("storage.disks: {} is there twice", path.get_ref());
            return Err(wrong(&path, reason));
        }
        disks.push(disk);
    }
    Ok(disks)
}

/// Whether each `[` has its `]` after something, and none stands within another.
fn sets_are_whole(name: &str) -> bool {
    let mut parts = name.split('[');
    let before = parts.next().unwrap_or_default();
    let is_whole = |part: &str| {
        part.split_once(']')
            .is_some_and(|(set, after)| !set.is_empty() && !after.contains(']'))
    };
    !before.contains(']') && parts.all(is_whole)
}

/// A plain path below `/dev`; its last part may be a pattern.
fn is_disk_path(path: &str) -> bool {
    let Some((folder, name)) = path.rsplit_once('/') else {
        return false;
    };
    let plain = |b: u8| b.is_ascii_alphanumeric() || b"/_.+:-".contains(&b);
    let below = format!("{folder}/");
    let is_straight = path
        .split('/')
        .skip(1)
        .all(|part| !matches!(part, "" | "." | ".."));
    path.len() <= 255
        && below.starts_with("/dev/")
        && folder.bytes().all(plain)
        && name.bytes().all(|b| plain(b) || b"*?[]".contains(&b))
        && sets_are_whole(name)
        && is_straight
}

/// What LVM accepts as the name of a volume group (lvm(8), VALID NAMES).
fn is_lvm_name(name: &str) -> bool {
    let allowed = |b: u8| b.is_ascii_alphanumeric() || b"+_.-".contains(&b);
    (1..=127).contains(&name.len())
        && name.bytes().all(allowed)
        && !name.starts_with('-')
        && !matches!(name, "." | "..")
}

/// The targets, which share the addresses of one machine.
/// What is done to what a volume holds before it is removed.
fn erase(word: Option<Spanned<String>>) -> Checked<Option<Erasing>> {
    let Some(word) = word else { return Ok(None) };
    match word.get_ref().as_str() {
        "none" => Ok(None),
        "zero" => Ok(Some(Erasing::Zero)),
        "discard" => Ok(Some(Erasing::Discard)),
        _ => {
            let reason = "storage.erase: write \"none\", \"zero\" or \"discard\"";
            Err(wrong(&word, reason))
        }
    }
}
