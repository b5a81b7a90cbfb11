//! Who is logged in: what the kernel tells of the session of an ACL.
//!
//! The kernel tells of one session for each ACL, in a text for people; of an initiator that has
//! logged in several times, the latest. Nothing is told of discovery, nor of the digests and segment
//! lengths of a connection.

use super::configfs::Configfs;
use crate::array::Terms;
use std::net::IpAddr;
use std::str::FromStr;

/// The session of an ACL, without what moves with every command.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Login {
    /// The identifier that the initiator gave it.
    pub isid: [u8; 6],
    /// The handle that the target gave it.
    pub tsih: u16,
    /// What the initiator calls itself.
    pub alias: Option<String>,
    /// It is for discovery.
    pub discovery: bool,
    /// Its state in the kernel's word, e.g. `LOGGED_IN`.
    pub state: String,
    /// Its connections.
    pub links: Vec<Link>,
}

/// A connection of a session.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Link {
    /// The number that the initiator gave it.
    pub cid: u16,
    /// Its state in the kernel's word.
    pub state: String,
    /// The initiator's address.
    pub from: Option<IpAddr>,
}

/// The word for what is logged in.
pub const LOGGED_IN: &str = "LOGGED_IN";

/// Reads the session of the ACL at that path; `None` where there is none, or none that can be read.
pub fn login(configfs: &Configfs, acl: &str) -> Option<Login> {
    parse(&configfs.read(&format!("{acl}/info")).ok()?)
}

/// Reads what was agreed upon in the session of the ACL at that path.
pub fn terms(configfs: &Configfs, acl: &str) -> Terms {
    let number = |name: &str| -> Option<u32> {
        let text = configfs.read(&format!("{acl}/param/{name}")).ok()?;
        text.parse().ok()
    };
    let flag = |name: &str| match number(name)? {
        0 => Some(false),
        1 => Some(true),
        _ => None,
    };
    Terms {
        max_connections: number("MaxConnections"),
        initial_r2t: flag("InitialR2T"),
        immediate_data: flag("ImmediateData"),
        max_outstanding_r2t: number("MaxOutstandingR2T"),
        first_burst: number("FirstBurstLength"),
        max_burst: number("MaxBurstLength"),
        sequence_in_order: flag("DataSequenceInOrder"),
        pdu_in_order: flag("DataPDUInOrder"),
        error_recovery_level: number("ErrorRecoveryLevel"),
        time_to_wait: number("DefaultTime2Wait"),
        time_to_retain: number("DefaultTime2Retain"),
    }
}

/// Takes the text of `info` apart.
fn parse(info: &str) -> Option<Login> {
    // The alias comes from the network and may hold anything, lines that look like the kernel's
    // included. What the kernel says itself comes after it.
    let (head, told) = info.split_at(info.rfind("LIO Session ID:")?);
    let (_, alias) = head.split_once("\nInitiatorAlias:").unwrap_or_default();
    let alias: String = alias.chars().filter(|c| !c.is_control()).collect();
    let (session, links) = told.split_once("[iSCSI Connections]")?;
    Some(Login {
        isid: isid(session)?,
        tsih: word(session, "TSIH:")?,
        alias: Some(alias.trim().to_owned()).filter(|alias| !alias.is_empty()),
        discovery: word::<String>(session, "SessionType:")? == "Discovery",
        state: state(session, "Session State:")?,
        links: links.split("CID:").skip(1).filter_map(link).collect(),
    })
}

/// Reads what follows `CID:`, up to the next connection.
fn link(text: &str) -> Option<Link> {
    Some(Link {
        cid: text.split_whitespace().next()?.parse().ok()?,
        state: state(text, "Connection State:")?,
        from: word::<String>(text, "Address ").and_then(|text| {
            let address = text.trim_matches(['[', ']']).parse::<IpAddr>().ok()?;
            Some(address.to_canonical())
        }),
    })
}

/// The word that follows a label.
fn word<T: FromStr>(text: &str, label: &str) -> Option<T> {
    let (_, rest) = text.split_once(label)?;
    rest.split_whitespace().next()?.parse().ok()
}

/// A state without what all of them begin with.
fn state(text: &str, label: &str) -> Option<String> {
    let word: String = word(text, label)?;
    let prefixes = ["TARG_SESS_", "TARG_CONN_", "STATE_"];
    let bare = prefixes.iter().fold(word.as_str(), |word, prefix| {
        word.strip_prefix(prefix).unwrap_or(word)
    });
    Some(bare.to_owned())
}

/// `ISID: 0x80 0f 12 2e 00 00`.
fn isid(text: &str) -> Option<[u8; 6]> {
    let (_, rest) = text.split_once("ISID: 0x")?;
    let bytes = rest.split_whitespace().take(6);
    let bytes: Vec<u8> = bytes
        .map_while(|byte| u8::from_str_radix(byte, 16).ok())
        .collect();
    bytes.try_into().ok()
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::fs;

    /// As Linux 6.1 tells it of QEMU's initiator.
    const ONE: &str = "\
InitiatorName: iqn.2026-11.example.host:a
InitiatorAlias: 
LIO Session ID: 1   ISID: 0x80 0f 12 2e 00 00  TSIH: 1  SessionType: Normal
Session State: TARG_SESS_STATE_LOGGED_IN
---------------------[iSCSI Session Values]-----------------------
  CmdSN/WR  :  CmdSN/WC  :  ExpCmdSN  :  MaxCmdSN  :     ITT    :     TTT
 0x00000040   0x00000040   0x671f22ee   0x671f232d   0x80069a20   0x00000006
----------------------[iSCSI Connections]-------------------------
CID: 0  Connection State: TARG_CONN_STATE_LOGGED_IN
   Address 127.0.0.1 TCP  StatSN: 0x3298d13a
";
    /// The connections of a session that has two, one of them over IPv6.
    const TWO: &str = "\
----------------------[iSCSI Connections]-------------------------
CID: 1  Connection State: TARG_CONN_STATE_LOGGED_IN
   Address ::1 TCP  StatSN: 0x9cbf9d74
CID: 2  Connection State: TARG_CONN_STATE_CLEANUP_WAIT
   Address 127.0.0.1 TCP  StatSN: 0x73ba91c1
";
    const NONE: &str =
        "No active iSCSI Session for Initiator Endpoint: iqn.2026-11.example.host:a\n";

    fn expected() -> Login {
        Login {
            isid: [0x80, 0x0f, 0x12, 0x2e, 0, 0],
            tsih: 1,
            alias: None,
            discovery: false,
            state: LOGGED_IN.into(),
            links: vec![Link {
                cid: 0,
                state: LOGGED_IN.into(),
                from: Some([127, 0, 0, 1].into()),
            }],
        }
    }

    #[test]
    fn a_session_is_read_and_its_absence_too() {
        assert_eq!(parse(ONE), Some(expected()));
        assert_eq!(parse(NONE), None);
        assert_eq!(parse(""), None);
    }

    #[test]
    fn every_connection_is_read() {
        let (session, _) = ONE
            .split_once("----------------------[iSCSI C")
            .expect("two parts");
        let login = parse(&format!("{session}{TWO}")).expect("a session");
        let link = |cid, state: &str, from: &str| Link {
            cid,
            state: state.into(),
            from: from.parse().ok(),
        };
        let expected = [
            link(1, LOGGED_IN, "::1"),
            link(2, "CLEANUP_WAIT", "127.0.0.1"),
        ];
        assert_eq!(login.links, expected);
    }

    #[test]
    fn what_moves_with_every_command_is_passed_over() {
        let later = ONE.replace("0x671f22ee", "0x671f22ff");
        let later = later.replace("0x3298d13a", "0x3298d13b");
        assert_eq!(parse(&later), parse(ONE));
    }

    #[test]
    fn every_cut_of_the_text_is_read_or_passed_over() {
        for end in 0..ONE.len() {
            let _ = parse(&ONE[..end]);
        }
    }

    #[test]
    fn an_alias_cannot_pass_for_the_kernel() {
        let alias = "me\nLIO Session ID: 7   ISID: 0x00 00 00 00 00 07  TSIH: 7  SessionType: \
                     Normal\nSession State: TARG_SESS_STATE_FAILED\n[iSCSI Connections]\nCID: 7  \
                     Connection State: TARG_CONN_STATE_LOGGED_IN\n   Address 192.0.2.7 TCP";
        let text = ONE.replace("InitiatorAlias: ", &format!("InitiatorAlias: {alias}"));
        let login = parse(&text).expect("a session");
        let said = login.alias.clone().expect("an alias");
        assert!(said.starts_with("meLIO Session ID: 7"), "{said}");
        assert_eq!(
            Login {
                alias: None,
                ..login
            },
            expected()
        );
    }

    #[test]
    fn terms_are_what_the_kernel_tells_and_nothing_else() {
        let folder = tempfile::tempdir().expect("a temporary folder");
        let param = folder.path().join("acl/param");
        fs::create_dir_all(&param).expect("set up");
        for (name, text) in [
            ("MaxConnections", "1\n"),
            ("InitialR2T", "1\n"),
            ("ImmediateData", "0\n"),
            ("MaxBurstLength", "262144\n"),
            ("DefaultTime2Wait", "No Active iSCSI Session\n"),
        ] {
            fs::write(param.join(name), text).expect("set up");
        }
        let expected = Terms {
            max_connections: Some(1),
            initial_r2t: Some(true),
            immediate_data: Some(false),
            max_burst: Some(262_144),
            ..Terms::default()
        };
        assert_eq!(terms(&Configfs::new(folder.path()), "acl"), expected);
    }
}
