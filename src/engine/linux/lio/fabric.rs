//! Fabrics: what initiators reach the kernel target over, and in what its configfs differs between
//! them. Portal groups, units and ACLs are the same on all of them.
//!
//! A target is named here as the kernel keeps it below its root: one of iSCSI by its name alone, which
//! holds no slash, one of another fabric by the fabric's folder, a slash and its name there.

use super::target::TPGT;

/// A fabric, as a module of the kernel defines it.
#[derive(Debug, PartialEq, Eq)]
pub struct Fabric {
    /// Its folder below the root, e.g. `qla2xxx`.
    pub folder: &'static str,
    /// What the kernel calls it in the registrations that it keeps.
    pub name: &'static str,
    /// The module that has to be loaded before; `None` where the kernel does it at the first use.
    pub module: Option<&'static str>,
    /// Attributes of a portal group of ours. The kernel's defaults are not relied upon: without an ACL
    /// no host may see anything.
    pub attributes: &'static [(&'static str, &'static str)],
    /// Initiators can be asked to prove who they are.
    pub credentials: bool,
    /// ACLs have a `tag`, which can say whose they are.
    pub tags: bool,
    /// Names are written in pairs of digits between colons.
    pub pairs: bool,
    /// How a portal group is opened.
    pub entry: Entry,
}

/// How a portal group is opened for initiators, by the file that says so.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Entry {
    /// `enable`: 0 or 1.
    Enable,
    /// `nexus`: the name of the one initiator, this machine. Units appear as disks when they are linked
    /// while it is open.
    Nexus,
}

/// iSCSI (`iscsi_target_mod`).
pub static ISCSI: Fabric = Fabric {
    folder: "iscsi",
    name: "iSCSI",
    module: None,
    // Without credentials in an ACL none are asked for.
    attributes: &[
        ("authentication", "0"),
        ("generate_node_acls", "0"),
        ("cache_dynamic_acls", "0"),
        ("demo_mode_write_protect", "1"),
        ("demo_mode_discovery", "0"),
    ],
    credentials: true,
    tags: true,
    pairs: false,
    entry: Entry::Enable,
};

/// Fibre Channel through adapters of QLogic in target mode. The module lets everybody in unless it is
/// told not to.
pub static QLA2XXX: Fabric = Fabric {
    folder: "qla2xxx",
    name: "qla2xxx",
    module: Some("tcm_qla2xxx"),
    attributes: &[
        ("generate_node_acls", "0"),
        ("cache_dynamic_acls", "0"),
        ("demo_mode_write_protect", "1"),
        ("demo_mode_login_only", "1"),
    ],
    credentials: false,
    tags: false,
    pairs: true,
    entry: Entry::Enable,
};

/// Units as disks of this machine itself (`tcm_loop`). It has no ACLs and is no way to a host; the array
/// looks at what others export through it, and tests export through it.
pub static LOOPBACK: Fabric = Fabric {
    folder: "loopback",
    name: "loopback",
    module: None,
    attributes: &[],
    credentials: false,
    tags: false,
    pairs: false,
    entry: Entry::Nexus,
};

/// Every fabric that is known.
pub static ALL: [&Fabric; 3] = [&ISCSI, &QLA2XXX, &LOOPBACK];

impl Fabric {
    /// The target of a name on this fabric.
    pub fn target(&self, name: &str) -> String {
        match *self == ISCSI {
            true => name.to_owned(),
            false => format!("{}/{name}", self.folder),
        }
    }

    /// A name of this fabric as registrations and saved files have it: after `naa.` without colons where
    /// the kernel has it in pairs.
    pub fn plain(&self, name: &str) -> String {
        match self.pairs {
            true => format!("naa.{}", name.replace(':', "")),
            false => name.to_owned(),
        }
    }
}

/// The fabric of a target and its name there. One of a fabric that is not known is taken for a name of
/// iSCSI, which holds none such.
pub fn split(target: &str) -> (&'static Fabric, &str) {
    let named = target.split_once('/').and_then(|(folder, name)| {
        let fabric = ALL.into_iter().find(|fabric| fabric.folder == folder)?;
        Some((fabric, name))
    });
    named.unwrap_or((&ISCSI, target))
}

/// The fabric of a target.
pub fn of(target: &str) -> &'static Fabric {
    split(target).0
}

/// The path of a target below the root.
pub fn path(target: &str) -> String {
    let (fabric, name) = split(target);
    format!("{}/{name}", fabric.folder)
}

/// The path of a target's portal group below the root.
pub fn group(target: &str) -> String {
    format!("{}/tpgt_{TPGT}", path(target))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_target_is_where_its_fabric_has_it() {
        for (fabric, name, target, group) in [
            (
                &ISCSI,
                "iqn.2026-11.example:a",
                "iqn.2026-11.example:a",
                "iscsi/iqn.2026-11.example:a/tpgt_1",
            ),
            // Another manager may have named a target of iSCSI so.
            (
                &ISCSI,
                "naa.5001405000000001",
                "naa.5001405000000001",
                "iscsi/naa.5001405000000001/tpgt_1",
            ),
            (
                &QLA2XXX,
                "21:00:00:24:ff:12:34:56",
                "qla2xxx/21:00:00:24:ff:12:34:56",
                "qla2xxx/21:00:00:24:ff:12:34:56/tpgt_1",
            ),
            (
                &LOOPBACK,
                "naa.5001405000000001",
                "loopback/naa.5001405000000001",
                "loopback/naa.5001405000000001/tpgt_1",
            ),
        ] {
            assert_eq!(fabric.target(name), target);
            assert_eq!(split(target), (fabric, name));
            assert_eq!(super::group(target), group);
        }
        assert_eq!(
            QLA2XXX.plain("21:00:00:24:ff:12:34:56"),
            "naa.21000024ff123456"
        );
        assert_eq!(
            ISCSI.plain("iqn.2026-11.example:a"),
            "iqn.2026-11.example:a"
        );
    }
}
