//! What the kernel knows of a drive: who made it, how it is known, what it is connected by, how it
//! is. What the kernel only supposes is left out.

use super::node::{Node, Sort, is_numbered, printable};
use crate::array::{DiskId, Drive, Health, Interconnect, Media};
use crate::engine::linux::blockdev::Places;

/// World-wide names by their kind, as the kernel writes them: those that nobody makes up.
const WORLD_WIDE: [&str; 2] = ["naa.", "eui."];
/// Further names of a device that are unique, at least among all drives of one model.
const UNIQUE: [&str; 2] = ["uuid.", "nvme."];
/// Longest identity that is made from what a device says about itself, in bytes.
const LONGEST: usize = 200;

/// States in which the kernel sends nothing to a drive any more (SCSI and NVMe).
const DEAD: [&str; 7] = [
    "offline",
    "transport-offline",
    "cancel",
    "deleted",
    "dead",
    "deleting",
    "deleting (no IO)",
];
/// States in which a drive is expected to come back.
const AWAY: [&str; 4] = ["blocked", "quiesce", "resetting", "connecting"];

/// What the kernel knows of a drive.
pub(super) fn facts(places: &Places, node: &Node) -> Drive {
    let Some(known) = physical(places, node) else {
        return Drive::default();
    };
    let interconnect = interconnect(&known);
    // In the folder of a virtio device, `vendor` is a number.
    let is_scsi = subsystem(&known) == "scsi";
    Drive {
        vendor: is_scsi.then(|| known.text("device/vendor")).flatten(),
        model: known.text("device/model"),
        serial: serial(&known),
        firmware: first(&known, &["device/rev", "device/firmware_rev"]),
        wwn: wwid(&known).and_then(|wwid| {
            let digits = WORLD_WIDE
                .iter()
                .find_map(|kind| wwid.strip_prefix(kind))?
                .to_owned();
            Some(digits)
        }),
        media: media(&known, interconnect),
        interconnect,
    }
}

/// The drive behind a device: itself, or the first path of a map.
fn physical(places: &Places, node: &Node) -> Option<Node> {
    match node.sort {
        Sort::Drive => Some(node.clone()),
        Sort::Multipath => {
            let paths = node.listed("slaves");
            Node::named(places, paths.first()?)
        }
        _ => None,
    }
}

fn subsystem(node: &Node) -> String {
    node.link("device/subsystem").unwrap_or_default()
}

fn first(node: &Node, files: &[&str]) -> Option<String> {
    files.iter().find_map(|file| node.text(file))
}

/// The world-wide or otherwise unique name that the kernel found, in lower case.
pub(super) fn wwid(node: &Node) -> Option<String> {
    let wwid = first(node, &["wwid", "device/wwid"])?.to_ascii_lowercase();
    let (_, rest) = wwid.split_once('.')?;
    // Cheap bridges have a place for a name and nothing in it.
    let is_blank = rest
        .bytes()
        .all(|b| !b.is_ascii_alphanumeric() || b == b'0');
    (!is_blank).then_some(wwid)
}

fn serial(node: &Node) -> Option<String> {
    // Page 0x80 of the vital product data: four bytes of header, then the number (SPC-4 §7.8.10).
    let page = node.bytes("device/vpd_pg80");
    let of_page = page.and_then(|page| printable(page.get(4..)?));
    of_page.or_else(|| first(node, &["serial", "device/serial"]))
}

/// What the kernel says, where it knows: it takes for rotating what does not tell.
fn media(node: &Node, interconnect: Interconnect) -> Media {
    use Interconnect::{Ata, Sas, Sata, Virtio};
    match (node.text("queue/rotational").as_deref(), interconnect) {
        (_, Virtio) => Media::Unknown,
        (Some("0"), _) => Media::SolidState,
        (Some("1"), Ata | Sata | Sas) => Media::Rotating,
        _ => Media::Unknown,
    }
}

/// Read from the devices that lie on the way to the drive.
fn interconnect(node: &Node) -> Interconnect {
    let lies_on_the_way = |start: &str| node.way().any(|part| is_numbered(part, start));
    let is_ata = node.text("device/vendor").as_deref() == Some("ATA");
    // The outermost connection first: a bridge hides what is behind it.
    let table = [
        ("usb", Interconnect::Usb),
        ("session", Interconnect::Iscsi),
        ("rport-", Interconnect::FibreChannel),
        ("virtio", Interconnect::Virtio),
        ("nvme", Interconnect::Nvme),
        ("nvme-subsys", Interconnect::Nvme),
        ("end_device-", Interconnect::Sas),
        ("ata", Interconnect::Ata),
    ];
    let found = table.into_iter().find(|(start, _)| lies_on_the_way(start));
    match found.map(|(_, interconnect)| interconnect) {
        // SATA drives can be plugged into SAS.
        Some(Interconnect::Sas) if is_ata => Interconnect::Sata,
        Some(Interconnect::Ata) if has_serial_link(node) => Interconnect::Sata,
        other => other.unwrap_or_default(),
    }
}

/// Whether the ATA port of a drive has a link with a speed, as only serial ones have.
fn has_serial_link(node: &Node) -> bool {
    let mut above = node.folder.ancestors();
    let port = above.find_map(|folder| {
        let name = folder.file_name()?.to_str()?;
        is_numbered(name, "ata").then(|| (folder, name.trim_start_matches("ata")))
    });
    let Some((port, number)) = port else {
        return false;
    };
    let link = format!("link{number}/ata_link/link{number}/sata_spd");
    let speed = std::fs::read_to_string(port.join(link));
    speed.is_ok_and(|speed| speed.starts_with(|c: char| c.is_ascii_digit()))
}

/// What identifies a device best, the same after a restart: a name that is unique in the world,
/// else model and serial number, else where it is plugged in.
pub(super) fn identity(places: &Places, node: &Node) -> DiskId {
    let text = match &node.sort {
        Sort::Partition { of, .. } => {
            let whole = Node::named(places, of).map(|whole| identity(places, &whole));
            let whole = whole.map_or_else(|| of.clone(), |id| id.to_string());
            let number = node.text("partition").unwrap_or_default();
            format!("{whole}-part{number}")
        }
        Sort::Raid => match array_uuid(places, node) {
            Some(uuid) => format!("md.{uuid}"),
            None => format!("md.{}", node.name),
        },
        Sort::Mapped => match node.text("dm/uuid") {
            Some(uuid) => format!("dm.{uuid}"),
            None => format!("dm.{}", node.name),
        },
        Sort::Drive | Sort::Multipath | Sort::Unfit(_) => {
            let known = physical(places, node);
            known.map_or_else(|| seat(node), |drive| of_drive(&drive))
        }
    };
    // Goes into paths and commands of clients: plain, and of bounded length.
    let plain = text.split_whitespace().collect::<Vec<_>>().join("_");
    DiskId::from(plain.chars().take(LONGEST).collect::<String>())
}

fn of_drive(node: &Node) -> String {
    let wwid = wwid(node);
    let is_unique = |wwid: &&String| {
        let mut kinds = WORLD_WIDE.iter().chain(&UNIQUE);
        kinds.any(|kind| wwid.starts_with(kind))
    };
    if let Some(wwid) = wwid.as_ref().filter(is_unique) {
        return wwid.clone();
    }
    match (serial(node), wwid) {
        (Some(serial), _) => {
            let model = node.text("device/model").unwrap_or_default();
            format!("serial.{model}.{serial}")
        }
        (None, Some(wwid)) => wwid,
        (None, None) => seat(node),
    }
}

/// Where a device is plugged in: the devices on the way to it, without those that the kernel
/// numbers as they come.
fn seat(node: &Node) -> String {
    let counted = ["virtio", "host", "target", "nvme"];
    let parts: Vec<String> = node
        .way()
        .filter(|part| {
            let is_counted = counted.iter().any(|start| is_numbered(part, start));
            *part != "block" && *part != node.name && !is_counted
        })
        .map(|part| match part.split(':').collect::<Vec<_>>()[..] {
            // Host, channel, target and unit, of which the first is only counted.
            [_, channel, target, unit] => format!("{channel}:{target}:{unit}"),
            _ => part.to_owned(),
        })
        .collect();
    match parts.first().is_none_or(|first| first == "virtual") {
        true => format!("device.{}", node.name),
        false => format!("at.{}", parts.join("/")),
    }
}

/// The UUID of an array: udev read it from its members.
fn array_uuid(places: &Places, node: &Node) -> Option<String> {
    let folder = places.dev.join("disk/by-id");
    let device = places.dev.join(&node.name);
    std::fs::read_dir(&folder).ok()?.find_map(|entry| {
        let name = entry.ok()?.file_name().into_string().ok()?;
        let uuid = name.strip_prefix("md-uuid-")?;
        let leads = std::fs::canonicalize(folder.join(&name)).ok()?;
        (leads == device).then(|| uuid.to_owned())
    })
}

/// How well a device is, as far as the kernel tells.
pub(super) fn health(places: &Places, node: &Node) -> Health {
    match node.sort {
        Sort::Drive => state(node),
        Sort::Multipath => paths(places, node),
        Sort::Raid => array(node),
        Sort::Partition { .. } | Sort::Mapped => {
            let below = node.below();
            let mut below = below.iter().filter_map(|name| Node::named(places, name));
            let ill = below.find_map(|node| {
                let health = health(places, &node);
                (health != Health::Ok).then_some(health)
            });
            ill.unwrap_or_default()
        }
        Sort::Unfit(_) => Health::Ok,
    }
}

fn state(node: &Node) -> Health {
    match node.text("device/state").as_deref() {
        Some(state) if DEAD.contains(&state) => Health::Failed(format!(
            "the kernel has given the drive up ({state}); check the drive and its cable"
        )),
        Some(state) if AWAY.contains(&state) => Health::Degraded(format!(
            "the drive does not answer now ({state}); check its connection"
        )),
        _ => Health::Ok,
    }
}

fn paths(places: &Places, node: &Node) -> Health {
    let paths = node.listed("slaves");
    let works =
        |name: &&String| Node::named(places, name).is_some_and(|path| state(&path) == Health::Ok);
    let (all, working) = (paths.len(), paths.iter().filter(works).count());
    match working {
        0 => Health::Failed("no path to the drive works; check its connections".into()),
        some if some < all => Health::Degraded(format!(
            "{working} of {all} paths to the drive work; check the others"
        )),
        _ => Health::Ok,
    }
}

fn array(node: &Node) -> Health {
    let missing = node.text("md/degraded").and_then(|n| n.parse::<u32>().ok());
    match (node.text("md/array_state").as_deref(), missing) {
        (None | Some("clear" | "inactive" | "suspended" | "broken"), _) => {
            Health::Failed("the array does not run; look at it with mdadm --detail".into())
        }
        (_, Some(missing @ 1..)) => Health::Degraded(format!(
            "{missing} of the array's members are missing or failed; replace them"
        )),
        _ => Health::Ok,
    }
}
