//! What lies on a device, by the word of `blkid`, and claiming a device for a moment.

use std::fs::{File, OpenOptions};
use std::io::{self, Read as _, Seek as _, SeekFrom};
use std::os::unix::fs::{FileTypeExt as _, MetadataExt as _, OpenOptionsExt as _};
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::sync::mpsc::sync_channel;
use std::thread;
use std::time::Duration;

use super::free::Refusal;
use crate::array::Kind;
use crate::engine::linux::watch::{Deadline, Watch};

/// Longest output that is read, in bytes; it is a few lines.
const OUTPUT: u64 = 64 << 10;

/// Bytes read at either end of a device.
const SAMPLE: usize = 4096;

/// What `blkid -p` answers with (blkid(8), EXIT STATUS).
const FOUND: i32 = 0;
const NOTHING: i32 = 2;
const AMBIVALENT: i32 = 8;

/// Makes sure that there is no signature of anything on a device. `place` is where it can be
/// opened, `path` is what it is called. A disk that hangs takes no longer than `limit`, twice.
pub(super) fn look(
    (blkid, watch): (&Path, &Watch),
    place: &Path,
    path: &str,
    limit: Duration,
) -> Result<(), Refusal> {
    let device = place.to_owned();
    let read = watch.run(
        &format!("reading {path}"),
        Deadline::after(limit),
        move || read_ends(&device),
    );
    // `blkid` finds nothing on what it cannot read, too.
    let read = read.map_err(io::Error::other).flatten();
    let asked = read.and_then(|()| ask(blkid, place, limit));
    let (code, text) = asked.map_err(|error| {
        let why = format!("what lies on it could not be found out: {error}");
        Refusal::new(Kind::Unavailable, why)
    })?;
    match code {
        Some(NOTHING) if text.trim().is_empty() => Ok(()),
        Some(FOUND) => match content(&text) {
            Some(what) => Err(Refusal::new(
                Kind::InUse,
                format!("it carries {what}; if nobody needs that, remove it: wipefs -a {path}"),
            )),
            None if tells_place_only(&text) => Ok(()),
            None => Err(Refusal::new(
                Kind::InUse,
                "it carries something that blkid does not name; look at it before it is used",
            )),
        },
        Some(AMBIVALENT) => Err(Refusal::new(
            Kind::InUse,
            format!("it carries signatures of several things; look at them: wipefs {path}"),
        )),
        _ => Err(Refusal::new(
            Kind::Unavailable,
            format!("what lies on it could not be read; try: blkid -p {path}"),
        )),
    }
}

/// Reads the first and the last bytes of a device, where most signatures are.
fn read_ends(place: &Path) -> io::Result<()> {
    let mut file = File::open(place)?;
    let mut bytes = [0; SAMPLE];
    file.read_exact(&mut bytes)?;
    file.seek(SeekFrom::End(-(SAMPLE as i64)))?;
    file.read_exact(&mut bytes)
}

/// What a probe found, with its article; `None` if it found nothing on the device itself.
fn content(text: &str) -> Option<String> {
    let value = |key: &str| {
        text.lines()
            .find_map(|line| line.strip_prefix(key)?.strip_prefix('='))
            .filter(|value| !value.is_empty())
    };
    let Some(found) = value("TYPE") else {
        return value("PTTYPE").map(|kind| format!("a partition table ({kind})"));
    };
    Some(match (found, value("USAGE")) {
        ("LVM2_member", _) => "an LVM physical volume".to_owned(),
        ("linux_raid_member", _) => "a part of a RAID array (md)".to_owned(),
        ("swap", _) => "swap space".to_owned(),
        (other, Some("filesystem")) => {
            // Read letter by letter where they are no word: an "xfs".
            let article = match other.starts_with(['a', 'e', 'i', 'o', 'x', 'A', 'E', 'I', 'O']) {
                true => "an",
                false => "a",
            };
            format!("{article} {other} file system")
        }
        (other, Some("crypto")) => format!("encrypted data ({other})"),
        (other, Some("raid")) => format!("a part of something larger ({other})"),
        (other, _) => format!("data ({other})"),
    })
}

/// Whether all that was found is the place that a partition has in its table.
fn tells_place_only(text: &str) -> bool {
    let mut found = text.lines().filter(|line| !line.is_empty());
    found.any(|line| line.starts_with("PART_ENTRY_"))
        && text.lines().all(|line| {
            line.is_empty() || line.starts_with("DEVNAME=") || line.starts_with("PART_ENTRY_")
        })
}

/// Runs `blkid -p` on a device: its exit status and what it found, line by line.
fn ask(blkid: &Path, place: &Path, limit: Duration) -> io::Result<(Option<i32>, String)> {
    let mut child = Command::new(blkid)
        .args(["-p", "-o", "export"])
        .arg(place)
        .env_clear()
        .env("LC_ALL", "C")
        .stdin(Stdio::null())
        .stdout(Stdio::piped())
        .stderr(Stdio::null())
        .spawn()?;
    let output = child.stdout.take();
    let (sender, ended) = sync_channel(1);
    thread::spawn(move || {
        let mut bytes = Vec::new();
        let read = output.map_or(Ok(0), |output| output.take(OUTPUT).read_to_end(&mut bytes));
        // Nobody may be waiting any more.
        let _ = sender.send(read.map(|_| String::from_utf8_lossy(&bytes).into_owned()));
    });
    match ended.recv_timeout(limit) {
        Ok(text) => {
            let text = text?;
            Ok((child.wait()?.code(), text))
        }
        Err(_) => {
            give_up(child);
            Err(io::Error::other("blkid does not end; the disk may hang"))
        }
    }
}

/// Ends a program that may be stuck in the kernel, without waiting for its end.
fn give_up(mut child: Child) {
    // It may have ended just now.
    let _ = child.kill();
    thread::spawn(move || child.wait());
}

/// Opens a device so that nobody else can mount or claim it while the file is open. Reading only:
/// closing a device that was open for writing would make udev look at it again.
pub(super) fn claim(place: &Path, number: (u32, u32)) -> Result<File, Refusal> {
    let exclusive = i32::try_from(rustix::fs::OFlags::EXCL.bits()).unwrap_or_default();
    let opened = OpenOptions::new()
        .read(true)
        .custom_flags(exclusive)
        .open(place);
    let file = opened.map_err(|error| match error.kind() {
        io::ErrorKind::ResourceBusy => Refusal::new(
            Kind::InUse,
            "something on this machine has claimed it; end what uses it",
        ),
        _ => Refusal::new(Kind::Unavailable, format!("it cannot be opened: {error}")),
    })?;
    let facts = file.metadata().map_err(|error| {
        Refusal::new(
            Kind::Unavailable,
            format!("it cannot be looked at: {error}"),
        )
    })?;
    let found = (
        rustix::fs::major(facts.rdev()),
        rustix::fs::minor(facts.rdev()),
    );
    match facts.file_type().is_block_device() {
        false => Err(Refusal::new(
            Kind::InvalidArgument,
            "it is not a block device",
        )),
        true if found != number => Err(Refusal::new(
            Kind::Unavailable,
            "its device file belongs to another device; try again",
        )),
        true => Ok(file),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_was_found_is_named() {
        for (text, says) in [
            (
                "DEVNAME=/dev/vda\nTYPE=ext4\nUSAGE=filesystem\n",
                "an ext4 file system",
            ),
            ("TYPE=vfat\nUSAGE=filesystem", "a vfat file system"),
            ("TYPE=LVM2_member\nUSAGE=raid", "an LVM physical volume"),
            (
                "TYPE=linux_raid_member\nUSAGE=raid",
                "a part of a RAID array (md)",
            ),
            (
                "TYPE=ddf_raid_member\nUSAGE=raid",
                "a part of something larger (ddf_raid_member)",
            ),
            ("TYPE=swap\nUSAGE=other", "swap space"),
            (
                "TYPE=crypto_LUKS\nUSAGE=crypto",
                "encrypted data (crypto_LUKS)",
            ),
            ("TYPE=oracleasm\nUSAGE=other", "data (oracleasm)"),
            (
                "DEVNAME=/dev/vda\nPTUUID=1\nPTTYPE=gpt\n",
                "a partition table (gpt)",
            ),
        ] {
            assert_eq!(content(text).as_deref(), Some(says));
            assert!(!tells_place_only(text));
        }
        let empty_partition = "DEVNAME=/dev/vda1\nPART_ENTRY_SCHEME=gpt\nPART_ENTRY_NUMBER=1\n";
        assert_eq!(content(empty_partition), None);
        assert!(tells_place_only(empty_partition));
        assert!(!tells_place_only("DEVNAME=/dev/vda\nODD=1\n"));
        assert!(!tells_place_only(""));
    }

    #[test]
    fn what_cannot_be_asked_or_read_is_a_refusal() {
        let file = tempfile::NamedTempFile::new().expect("a file");
        file.as_file().set_len(1 << 20).expect("its length");
        let ask = |program: &str, place: &Path, limit| {
            let programs = (Path::new(program), &Watch::default());
            look(programs, place, "/dev/x", limit).expect_err(program)
        };
        let long = Duration::from_secs(30);
        for (program, kind) in [
            ("/nonexistent/blkid", Kind::Unavailable),
            ("/bin/false", Kind::Unavailable),
            // It found something and does not say what.
            ("/bin/true", Kind::InUse),
        ] {
            assert_eq!(ask(program, file.path(), long).kind, kind, "{program}");
        }
        // Opening a pipe that nobody writes to hangs, as a disk may.
        let folder = tempfile::tempdir().expect("a folder");
        let pipe = folder.path().join("pipe");
        let made = Command::new("mkfifo").arg(&pipe).status();
        assert!(made.expect("mkfifo runs").success());
        let hangs = ask("/bin/true", &pipe, Duration::from_millis(50));
        assert!(hangs.why.contains("did not end in time"), "{hangs:?}");
        let hangs = super::ask(Path::new("/usr/bin/yes"), file.path(), Duration::ZERO);
        let hangs = hangs.expect_err("it has no time").to_string();
        assert!(hangs.contains("does not end"), "{hangs}");
        for place in ["/nonexistent/device", "/dev/null"] {
            let refused = ask("/usr/sbin/blkid", Path::new(place), long);
            assert_eq!(refused.kind, Kind::Unavailable, "{place}");
        }
    }

    #[test]
    fn a_file_is_no_block_device() {
        let file = tempfile::NamedTempFile::new().expect("a file");
        let refused = claim(file.path(), (8, 0)).expect_err("refused");
        assert_eq!(refused.why, "it is not a block device");
        let gone = claim(Path::new("/nonexistent"), (8, 0)).expect_err("refused");
        assert_eq!(gone.kind, Kind::Unavailable);
    }
}
