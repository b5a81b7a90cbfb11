//! What an administrator sees of a right and of a wrong file.

use super::*;
use std::time::Duration;

const HASH: &str =
    "$argon2id$v=19$m=19456,t=2,p=1$c2FsdHNhbHRzYWx0$aGFzaGhhc2hoYXNoaGFzaGhhc2hoYXNo";

fn text() -> String {
    format!(
        r#"[server]
listen = ["https://0.0.0.0:5989", "http://127.0.0.1:5988"]
tls_certificate = "/etc/standpipe/cert.pem"
tls_key = "/etc/standpipe/key.pem"
location = "hall 2, rack 7"

[[user]]
name = "admin"
password_hash = "{HASH}"
role = "administrator"

[storage]
volume_groups = ["vg0"]

[target]
iqn = "iqn.2026-01.com.example:box"
portals = ["192.0.2.10:3260"]

[limits]
connections = 7
idle_seconds = 5
"#
    )
}

fn message(text: &str) -> String {
    let wrong = Config::parse(Path::new("c.toml"), text);
    wrong.map(|_| ()).expect_err(text).to_string()
}

#[test]
fn a_right_file_is_read_with_defaults() {
    let config = Config::parse(Path::new("c.toml"), &text()).expect("right");
    assert_eq!(config.server.listen.len(), 2);
    assert_eq!(config.server.state_dir, Path::new("/var/lib/standpipe"));
    assert_eq!(config.server.location.as_deref(), Some("hall 2, rack 7"));
    assert_eq!(config.storage.lvm, Path::new("/sbin/lvm"));
    assert_eq!(config.storage.blkid, Path::new("/sbin/blkid"));
    assert_eq!(config.storage.dmsetup, Path::new("/sbin/dmsetup"));
    assert!(config.storage.disks.is_empty());
    assert_eq!(config.storage.thin_overcommit_percent, 1000);
    assert_eq!(config.storage.low_space_percent, 80);
    assert_eq!(config.storage.snapshot_percent, 100);
    assert!(!config.storage.allow_shrink);
    assert_eq!(config.storage.erase, None);
    let masking = Masking {
        lun_quarantine: Duration::from_secs(600),
        max_lun: 255,
        drift: DriftPolicy::Report,
        saveconfig: None,
    };
    assert_eq!(config.masking, masking);
    assert_eq!(config.storage.configfs, Path::new("/sys/kernel/config"));
    assert_eq!(
        config.targets[0].iqn.as_str(),
        "iqn.2026-01.com.example:box"
    );
    assert_eq!(config.users[0].name, "admin");
    assert!(config.users[0].role.may_change());
    assert_eq!(config.limits.connections, 7);
    assert_eq!(config.limits.idle_timeout, Duration::from_secs(5));
    assert_eq!(config.limits.body_bytes, Limits::default().body_bytes);
}

#[test]
fn disks_can_take_the_place_of_volume_groups() {
    let text = text().replace(
        "volume_groups = [\"vg0\"]",
        "disks = [\"/dev/sdb\", \"/dev/disk/by-id/scsi-*\", \"/dev/vd[b-h]\"]\n\
         thin_overcommit_percent = 200\nlow_space_percent = 90\nsnapshot_percent = 20\nallow_shrink = true\nerase = \"discard\"",
    );
    let storage = Config::parse(Path::new("c.toml"), &text)
        .expect("right")
        .storage;
    assert!(storage.volume_groups.is_empty());
    let disks = [
        Path::new("/dev/sdb"),
        Path::new("/dev/disk/by-id/scsi-*"),
        Path::new("/dev/vd[b-h]"),
    ];
    assert_eq!(storage.disks, disks);
    assert_eq!(storage.thin_overcommit_percent, 200);
    assert_eq!(storage.low_space_percent, 90);
    assert_eq!(storage.snapshot_percent, 20);
    assert!(storage.allow_shrink);
    assert_eq!(storage.erase, Some(Erasing::Discard));
}

#[test]
fn the_numbers_of_devices_can_be_bounded_and_kept_for_a_month_or_not_at_all() {
    for (seconds, most) in [(0, 1), (30 * 24 * 3600, 16_383)] {
        let text = format!(
            "{}[masking]\nlun_quarantine_seconds = {seconds}\nmax_lun = {most}\n",
            text()
        );
        let config = Config::parse(Path::new("c.toml"), &text).expect("right");
        let wanted = Masking {
            lun_quarantine: Duration::from_secs(seconds),
            max_lun: most,
            drift: DriftPolicy::Report,
            saveconfig: None,
        };
        assert_eq!(config.masking, wanted);
    }
}

#[test]
fn a_wrong_file_is_refused_with_line_reason_and_remedy() {
    for (from, to, line, says) in [
        ("[server]", "[server", 1, ""),
        ("tls_key", "tls_kei", 4, "tls_kei"),
        (
            "https://0.0.0.0:5989",
            "https://example.com",
            2,
            "IP address",
        ),
        (
            "https://0.0.0.0:5989",
            "http://0.0.0.0:5988",
            2,
            "allow_plain_http",
        ),
        ("https://0.0.0.0:5989", "https://127.0.0.1:5988", 2, "twice"),
        ("tls_key = \"/etc/standpipe/key.pem\"", "", 3, "tls_key"),
        ("\"/etc/standpipe/cert.pem\"", "\"cert.pem\"", 3, "absolute"),
        ("hall 2, rack 7", " ", 5, "one line"),
        ("hall 2, rack 7", "a\\nb", 5, "one line"),
        ("name = \"admin\"", "name = \"a:b\"", 8, "colon"),
        (HASH, "secret", 9, "standpipe user hash"),
        ("\"administrator\"", "\"root\"", 10, "monitor"),
        ("\"vg0\"", "\"vg0\", \"vg0\"", 13, "twice"),
        ("\"vg0\"", "\"vg/0\"", 13, "vg/0"),
        ("\"vg0\"", "", 13, "at least one"),
        (
            "volume_groups = [\"vg0\"]",
            "disks = []",
            12,
            "at least one",
        ),
        ("\"vg0\"]", "\"vg0\"]\ndisks = [\"sdb\"]", 14, "sdb"),
        (
            "\"vg0\"]",
            "\"vg0\"]\ndisks = [\"/etc/passwd\"]",
            14,
            "/etc/passwd",
        ),
        (
            "\"vg0\"]",
            "\"vg0\"]\ndisks = [\"/dev/../etc/x\"]",
            14,
            "path of a disk",
        ),
        (
            "\"vg0\"]",
            "\"vg0\"]\ndisks = [\"/dev/*/a\"]",
            14,
            "last part",
        ),
        (
            "\"vg0\"]",
            "\"vg0\"]\ndisks = [\"/dev/\"]",
            14,
            "path of a disk",
        ),
        (
            "\"vg0\"]",
            "\"vg0\"]\ndisks = [\"/dev/sd b\"]",
            14,
            "path of a disk",
        ),
        (
            "\"vg0\"]",
            "\"vg0\"]\ndisks = [\"/dev/sd[b\"]",
            14,
            "path of a disk",
        ),
        (
            "\"vg0\"]",
            "\"vg0\"]\ndisks = [\"/dev/sdb\", \"/dev/sdb\"]",
            14,
            "twice",
        ),
        (
            "\"vg0\"]",
            "\"vg0\"]\nthin_overcommit_percent = 99",
            14,
            "storage.thin_overcommit_percent: write a number from 100",
        ),
        (
            "\"vg0\"]",
            "\"vg0\"]\nlow_space_percent = 101",
            14,
            "storage.low_space_percent: write a number from 1 to 100",
        ),
        (
            "\"vg0\"]",
            "\"vg0\"]\nsnapshot_percent = 0",
            14,
            "storage.snapshot_percent: write a number from 1 to 100",
        ),
        ("\"vg0\"]", "\"vg0\"]\nallow_shrink = \"no\"", 14, "boolean"),
        (
            "\"vg0\"]",
            "\"vg0\"]\nerase = \"shred\"",
            14,
            "storage.erase: write \"none\", \"zero\" or \"discard\"",
        ),
        ("\"vg0\"]", "\"vg0\"]\nblkid = \"blkid\"", 14, "absolute"),
        ("iqn.2026-01.", "iqn.2026-13.", 16, "YYYY-MM"),
        ("192.0.2.10:3260", "192.0.2.10:0", 17, "192.0.2.10:3260"),
        (
            "[limits]",
            "[masking]\nmax_lun = 16384\n[limits]",
            20,
            "masking.max_lun: write a number from 1 to 16383",
        ),
        (
            "[limits]",
            "[masking]\nmax_lun = 0\n[limits]",
            20,
            "masking.max_lun: write a number from 1 to 16383",
        ),
        (
            "[limits]",
            "[masking]\nlun_quarantine_seconds = 2592001\n[limits]",
            20,
            "masking.lun_quarantine_seconds: write a number from 0 to 2592000",
        ),
        (
            "[limits]",
            "[masking]\nmin_lun = 1\n[limits]",
            20,
            "min_lun",
        ),
        (
            "connections = 7",
            "connections = 0",
            20,
            "limits.connections: write a number from 1 to",
        ),
        ("connections = 7", "connections = -7", 20, ""),
        ("connections = 7", "conections = 7", 20, "conections"),
    ] {
        let edited = text().replacen(from, to, 1);
        assert_ne!(edited, text(), "{from}");
        let message = message(&edited);
        let place = format!("c.toml:{line}: ");
        assert!(message.starts_with(&place), "{message} for {to}");
        assert!(message.contains(says), "{message}");
        assert!(!message.contains('\n'), "{message}");
    }
}

#[test]
fn certificates_and_users_are_demanded_where_they_are_needed() {
    let no_tls: String = text()
        .lines()
        .filter(|line| !line.starts_with("tls_"))
        .map(|line| line.to_owned() + "\n")
        .collect();
    assert!(message(&no_tls).contains("tls_certificate"));
    let plain = no_tls.replace("\"https://0.0.0.0:5989\", ", "");
    assert!(Config::parse(Path::new("c.toml"), &plain).is_ok());

    let (start, rest) = plain.split_once("[[user]]").expect("a user");
    let (_, end) = rest.split_once("[storage]").expect("a table");
    let nobody = format!("{start}[storage]{end}");
    assert!(message(&nobody).contains("[[user]]"));

    let twice = text().replace(
        "[storage]",
        &format!(
            "[[user]]\nname = \"admin\"\npassword_hash = \"{HASH}\"\nrole = \"monitor\"\n[storage]"
        ),
    );
    assert!(message(&twice).starts_with("c.toml:13: user admin is configured twice"));
}

#[test]
fn a_portal_may_leave_out_the_usual_port() {
    let short = text().replace("192.0.2.10:3260", "2001:db8::1");
    let config = Config::parse(Path::new("c.toml"), &short).expect("right");
    assert_eq!(
        config.targets[0].portals[0].to_string(),
        "[2001:db8::1]:3260"
    );
}

#[test]
fn there_may_be_several_targets() {
    let second = |portal: &str| {
        let name = "iqn.2026-01.com.example:other";
        let target = format!("\n[[target]]\niqn = \"{name}\"\nportals = [\"{portal}\"]\n");
        text().replace("[target]", "[[target]]") + &target
    };
    // The same address under two names is fine.
    for portal in ["192.0.2.10:3260", "0.0.0.0:3261", "[2001:db8::1]:3260"] {
        let config = Config::parse(Path::new("c.toml"), &second(portal)).expect(portal);
        let names = config.targets.iter().map(|target| target.iqn.as_str());
        let expected = [
            "iqn.2026-01.com.example:box",
            "iqn.2026-01.com.example:other",
        ];
        assert_eq!(names.collect::<Vec<_>>(), expected);
        assert_eq!(config.targets[1].portals[0].to_string(), portal);
    }
    // A wildcard leaves no room for an address, and that of IPv6 none for one of IPv4.
    for portal in ["0.0.0.0:3260", "[::]:3260"] {
        let message = message(&second(portal));
        assert!(
            message.starts_with("c.toml:25: target.portals: "),
            "{message}"
        );
        assert!(
            message.contains(portal) && message.contains("192.0.2.10:3260"),
            "{message}"
        );
    }
    let twice = second("192.0.2.10:3260").replace(":other", ":box");
    assert!(
        message(&twice).starts_with("c.toml:24: target.iqn: "),
        "{twice}"
    );
    let beside = text().replace("\"192.0.2.10:3260\"", "\"0.0.0.0\", \"192.0.2.10:3260\"");
    assert!(message(&beside).starts_with("c.toml:17: target.portals: "));
    let wildcards = text().replace("\"192.0.2.10:3260\"", "\"::\", \"0.0.0.0\"");
    assert!(Config::parse(Path::new("c.toml"), &wildcards).is_ok());
}

#[test]
fn wrong_targets_are_pointed_at() {
    let empty = text().split("[target]").next().expect("a part").to_owned();
    let none = empty.replacen("[server]", "target = []\n[server]", 1);
    assert!(
        message(&none).contains("add a [target]"),
        "{}",
        message(&none)
    );
    let number = empty.replacen("[server]", "target = 1\n[server]", 1);
    assert!(
        message(&number).starts_with("c.toml:1: "),
        "{}",
        message(&number)
    );
    assert!(
        message(&number).contains("[[target]]"),
        "{}",
        message(&number)
    );
    let unknown = text().replace("portals =", "portal = []\nportals =");
    assert!(
        message(&unknown).starts_with("c.toml:17: "),
        "{}",
        message(&unknown)
    );
    let bad = text().replace("192.0.2.10:3260", "somewhere");
    assert!(
        message(&bad).starts_with("c.toml:17: target.portals: "),
        "{}",
        message(&bad)
    );
}

#[test]
fn fibre_channel_ports_are_named_by_their_wwpn() {
    let ports = "[[fc_port]]\nwwpn = \"21:00:00:24:ff:12:34:56\"\n\
                 [[fc_port]]\nwwpn = \"0x21000024FF123457\"\n";
    let expected = ["21000024FF123456", "21000024FF123457"];
    // Beside targets, and alone.
    let alone = text().split("[target]").next().expect("a part").to_owned();
    for (text, targets) in [(text(), 1), (alone, 0)] {
        let config = Config::parse(Path::new("c.toml"), &format!("{text}\n{ports}"));
        let config = config.expect("right");
        assert_eq!(config.targets.len(), targets);
        let names = config.fc_ports.iter().map(ToString::to_string);
        assert_eq!(names.collect::<Vec<_>>(), expected);
    }
    let with = |ports: String| message(&format!("{}\n{ports}", text()));
    let twice = with(ports.replace("0x21000024FF123457", "21000024FF123456"));
    assert!(
        twice.contains("fc_port.wwpn: 21000024FF123456 is there twice"),
        "{twice}"
    );
    let bad = with(ports.replace("0x21000024FF123457", "iqn.2026-01.a:b"));
    assert!(
        bad.contains("fc_port.wwpn: write the 16 hex digits"),
        "{bad}"
    );
    assert!(with("[[fc_port]]\nname = \"x\"\n".into()).contains("wwpn"));
}

const CHAP: &str = r#"
[[chap]]
initiator = "iqn.2026-01.com.example:Host-1"
user = "host-1"
secret = "open-sesame-1"
mutual_user = "box"
mutual_secret = "the-box-itself"

[[chap]]
initiator = "eui.0123456789abcdef"
user = "host-2"
secret = "open-sesame-2"
"#;

#[test]
fn initiators_have_secrets_that_are_shown_nowhere() {
    let config = Config::parse(Path::new("c.toml"), &(text() + CHAP)).expect("right");
    let initiator = |name| crate::array::InitiatorName::parse(name).expect("a name");
    let first = &config.chap[&initiator("iqn.2026-01.com.example:host-1")];
    assert_eq!(first.initiator.user.as_str(), "host-1");
    assert_eq!(first.initiator.secret.reveal(), "open-sesame-1");
    let array = first.array.as_ref().expect("mutual");
    assert_eq!(array.user.as_str(), "box");
    assert_eq!(array.secret.reveal(), "the-box-itself");
    assert_eq!(config.chap[&initiator("eui.0123456789ABCDEF")].array, None);
    let shown = format!("{config:?} {config:#?}");
    assert!(!shown.contains("sesame") && !shown.contains("itself"));
}

#[test]
fn wrong_credentials_are_refused_without_repeating_them() {
    let first = text().lines().count() + 2;
    for (from, to, line, says) in [
        ("iqn.2026-01.com.example:Host-1", "host-1", 1, "iqn."),
        (
            "eui.0123456789abcdef",
            "IQN.2026-01.com.example:host-1",
            8,
            "twice",
        ),
        ("\"host-1\"", "\"host 1\"", 2, "chap.user: write 1 to 255"),
        ("\"open-sesame-1\"", "\"sesame\"", 3, "12 to 255"),
        ("\"open-sesame-1\"", "\"open sesame 1\"", 3, "Windows"),
        ("\"open-sesame-1\"", "4711471147114711", 3, "a string"),
        ("\"open-sesame-1\"", "[\"open-sesame-1\"]", 3, "a string"),
        ("\"open-sesame-1\"", "open-sesame-1", 3, ""),
        ("\"open-sesame-1\"", "\"open-sesame-1", 3, ""),
        ("\"box\"", "\"\"", 4, "chap.mutual_user"),
        ("mutual_user = \"box\"", "", 5, "needs chap.mutual_user"),
        (
            "mutual_secret = \"the-box-itself\"",
            "",
            4,
            "needs chap.mutual_secret",
        ),
        ("the-box-itself", "open-sesame-1", 5, "choose another"),
        ("the-box-itself", "open-sesame-2", 5, "choose another"),
        ("user = \"host-1\"", "", 0, "user"),
        ("user = \"host-1\"", "name = \"sesame\"", 2, "name"),
    ] {
        let message = message(&(text() + &CHAP.replacen(from, to, 1)));
        let place = format!("c.toml:{}: ", first + line);
        assert!(
            message.starts_with(&place),
            "{message} for {to}, not {place}"
        );
        assert!(message.contains(says), "{message}");
        for secret in ["sesame", "itself", "4711"] {
            assert!(!message.contains(secret), "{message}");
        }
    }
    let list = text().replace("[limits]", "chap = \"open-sesame-1\"\n[limits]");
    assert!(!message(&list).contains("sesame"));
    let list = format!("chap = [\"open-sesame-1\"]\n{}", text());
    let message = message(&list);
    assert!(!message.contains("sesame"), "{message}");
}

#[test]
fn a_file_with_secrets_is_its_owners_alone() {
    let folder = tempfile::tempdir().expect("a temporary folder");
    let file = folder.path().join("standpipe.toml");
    let load = |text: &str, mode| {
        std::fs::write(&file, text).expect("written");
        let mode = std::fs::Permissions::from_mode(mode);
        std::fs::set_permissions(&file, mode).expect("its own file");
        Config::load(&file).map(|_| ()).map_err(|e| e.to_string())
    };
    assert_eq!(load(&text(), 0o644), Ok(()));
    let secrets = text() + CHAP;
    assert_eq!(load(&secrets, 0o600), Ok(()));
    assert_eq!(load(&secrets, 0o400), Ok(()));
    for mode in [0o640, 0o604, 0o622] {
        let message = load(&secrets, mode).expect_err("others can open it");
        let remedy = format!("chmod 600 {}", file.display());
        assert!(message.ends_with(&remedy), "{message}");
    }
}

#[test]
fn qualified_names() {
    for name in [
        "iqn.2026-01.com.example",
        "IQN.1992-12.com.Example:Disk-1.a:b",
    ] {
        let iqn = Iqn::parse(name).expect(name);
        assert_eq!(iqn.as_str(), name.to_lowercase());
    }
    let long = format!("iqn.2026-01.com.{}", "x".repeat(223));
    for name in [
        "",
        "iqn.",
        "iqn.2026-01",
        "iqn.2026-01.",
        "iqn.26-01.com",
        "iqn.2026-00.com",
        "iqn.2026-13.com",
        "iqn.2026-1.com",
        "iqn.2026-+1.com",
        "iqn.2026-01.com_example",
        "iqn.2026-01.com example",
        "iqn.2026-01..com",
        "eui.0123456789abcdef",
        &long,
    ] {
        assert_eq!(Iqn::parse(name), None, "{name}");
    }
}

#[test]
fn an_unreadable_file_is_named() {
    let missing = Config::load(Path::new("/nonexistent/standpipe.toml")).map(|_| ());
    let message = missing.expect_err("missing").to_string();
    assert!(message.contains("/nonexistent/standpipe.toml"));
}

#[test]
fn what_is_done_about_drift_and_the_file_of_others_are_read() {
    let more = text().replace(
        "[limits]",
        "[masking]\nsaveconfig = \"/etc/target/saveconfig.json\"\ndrift = \"repair\"\n[limits]",
    );
    let config = Config::parse(Path::new("c.toml"), &more).expect("right");
    let file = config.masking.saveconfig.as_deref();
    assert_eq!(file, Some(Path::new("/etc/target/saveconfig.json")));
    assert_eq!(config.masking.drift, DriftPolicy::Repair);
    let wrong = message(&more.replace("repair", "ignore"));
    assert!(wrong.contains("write \"report\" or \"repair\""), "{wrong}");
    let wrong = message(&more.replace("/etc/target/", ""));
    assert!(wrong.contains("absolute path"), "{wrong}");
}
