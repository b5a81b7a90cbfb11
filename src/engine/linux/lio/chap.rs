//! Who has to prove who he is at login (CHAP), and who need not.
//!
//! Where the configuration names any initiator, the portal group demands credentials of everyone.
//! An ACL that was just made has none and so lets nobody in, until it is given credentials or
//! excused: at no moment can an initiator with a secret log in without it. Linux 6.1 does so, and
//! takes the word of an ACL (`attrib/authentication`, since Linux 6.0) before that of its group.
//! Credentials that change hold from the next login on; sessions that are there stay.
//!
//! What was written here is marked, so that it can be taken back and so that what somebody else
//! demands is never loosened: an ACL by its tag, a portal group by the user name of its own, which
//! the kernel looks at for initiators without ACL only, and those it does not let in.

use std::collections::BTreeMap;

use super::acl::{self, Mark};
use super::configfs::{Configfs, ConfigfsError};
use super::export::{self, ExportError};
use super::{fabric, target};
use crate::array::{Chap, ChapTable};
use zeroize::Zeroizing;

/// The user name of a portal group that demands credentials because of us.
pub const SIGN: &str = "standpipe";
/// What clears a name or a secret in the kernel.
const NONE: &str = "NULL";

/// What is demanded at every target of ours.
#[derive(Debug, Clone, Default)]
pub struct Demands(BTreeMap<String, Chap>);

impl Demands {
    /// The demands of a configuration.
    pub fn new(table: &ChapTable) -> Self {
        let folded = table
            .iter()
            .map(|(initiator, chap)| (initiator.folded(), chap.clone()));
        Self(folded.collect())
    }

    /// Whether nobody has to prove anything.
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// Whether anything is demanded at a target: on some fabrics nothing can be.
    fn concern(&self, iqn: &str) -> bool {
        !self.is_empty() && fabric::of(iqn).credentials
    }
}

/// Makes a portal group demand credentials, or no longer demand them if it did so for us. One that
/// is open and demands none is made to, whoever opened it.
pub fn demand(configfs: &Configfs, iqn: &str, demands: &Demands) -> Result<(), ConfigfsError> {
    let attribute = format!("{}/attrib/authentication", target::group(iqn));
    match demands.concern(iqn) {
        false if is_ours(configfs, iqn) => {
            configfs.write(&attribute, "0")?;
            configfs.write(&sign(iqn), NONE)
        }
        true if configfs.read(&attribute)? != "1" => {
            configfs.write(&sign(iqn), SIGN)?;
            configfs.write(&attribute, "1")?;
            if target::is_open(configfs, iqn) {
                tracing::warn!(
                    iqn,
                    "the open target now demands CHAP, in ACLs of others too"
                );
            }
            Ok(())
        }
        _ => Ok(()),
    }
}

/// Makes every ACL of ours in a target ask for what is demanded. Where one does not, what we show
/// there is hidden. All are tried; the first error is told.
pub fn settle_all(configfs: &Configfs, iqn: &str, demands: &Demands) -> Result<(), ExportError> {
    if !fabric::of(iqn).credentials {
        return Ok(());
    }
    let mut first = Ok(());
    for initiator in configfs.folders(&format!("{}/acls", target::group(iqn)))? {
        let Err(error) = settle(configfs, iqn, &initiator, demands) else {
            continue;
        };
        first = match export::hide_all(configfs, iqn, &initiator) {
            // An ACL of somebody in which nothing of ours stands.
            Ok(0)
                if matches!(
                    error,
                    ExportError::OthersAcl { .. } | ExportError::ShutOut { .. }
                ) =>
            {
                first
            }
            _ => first.and(Err(error)),
        };
    }
    first
}

/// Sees to it that an initiator, whose ACL is made when it is missing, has to prove what is demanded
/// of it before anything is shown to it.
pub fn admit(
    configfs: &Configfs,
    iqn: &str,
    initiator: &str,
    demands: &Demands,
) -> Result<(), ExportError> {
    if !demands.concern(iqn) {
        return Ok(());
    }
    demand(configfs, iqn, demands)?;
    acl::make(configfs, iqn, initiator)?;
    settle(configfs, iqn, initiator, demands)
}

/// Makes an ACL ask for what is demanded; one of another manager is only looked at.
fn settle(
    configfs: &Configfs,
    iqn: &str,
    initiator: &str,
    demands: &Demands,
) -> Result<(), ExportError> {
    let acl = Acl::new(configfs, iqn, initiator);
    match demands.0.get(initiator) {
        Some(chap) if acl.is_ours() => Ok(acl.give(chap)?),
        Some(chap) if acl.asks_for(chap) => Ok(()),
        Some(_) => Err(ExportError::OthersAcl {
            initiator: initiator.to_owned(),
        }),
        None if !acl.is_ours() && is_ours(configfs, iqn) && !acl.has_user() && !acl.is_open() => {
            Err(ExportError::ShutOut {
                initiator: initiator.to_owned(),
            })
        }
        // Somebody gave it credentials by hand, or demands some of everyone: that stays so.
        None if !acl.is_ours() || (acl.mark == Some(Mark::Plain) && acl.has_user()) => Ok(()),
        None if demands.is_empty() || !is_ours(configfs, iqn) => Ok(acl.leave()?),
        None if acl.has_own_word() => Ok(acl.excuse()?),
        None => {
            acl.leave()?;
            Err(ExportError::NoExcuse {
                initiator: initiator.to_owned(),
            })
        }
    }
}

/// The mark for an ACL that is taken over with what it asks for; the reason against it in a sentence,
/// where the next start would ask for something else.
pub fn mark_for(
    configfs: &Configfs,
    iqn: &str,
    initiator: &str,
    demands: &Demands,
) -> Result<Mark, String> {
    let acl = Acl::new(configfs, iqn, initiator);
    match demands.0.get(initiator) {
        Some(chap) if acl.asks_for(chap) && acl.is_obeyed(iqn) && acl.proves(chap) => {
            Ok(Mark::Demanding)
        }
        Some(_) => Err(format!(
            "the ACL of {initiator} does not ask for the credentials that the configuration names; \
             give it the same there first"
        )),
        None if acl.has_user() || !acl.holds("userid_mutual", None) => Err(format!(
            "the ACL of {initiator} has credentials that this array does not know and that would be \
             lost; put them into a [[chap]] table of the configuration first"
        )),
        None if acl.is_open() => Ok(Mark::Excused),
        None => Ok(Mark::Plain),
    }
}

/// Whether a portal group demands credentials, whoever made it do so.
pub fn is_demanding(configfs: &Configfs, iqn: &str) -> bool {
    let attribute = format!("{}/attrib/authentication", target::group(iqn));
    configfs.read(&attribute).is_ok_and(|text| text == "1")
}

/// Whether a portal group demands credentials because of us.
pub fn is_ours(configfs: &Configfs, iqn: &str) -> bool {
    configfs.read(&sign(iqn)).is_ok_and(|text| text == SIGN)
}

/// Where a portal group has its sign.
fn sign(iqn: &str) -> String {
    format!("{}/auth/userid", target::group(iqn))
}

/// What an ACL asks for.
struct Acl<'a> {
    configfs: &'a Configfs,
    initiator: &'a str,
    folder: String,
    /// What stands in its tag; `None` for one that is not ours.
    mark: Option<Mark>,
}

impl<'a> Acl<'a> {
    fn new(configfs: &'a Configfs, iqn: &str, initiator: &'a str) -> Self {
        Self {
            configfs,
            initiator,
            folder: acl::folder(iqn, initiator),
            mark: Mark::read(configfs, iqn, initiator),
        }
    }

    const fn is_ours(&self) -> bool {
        self.mark.is_some()
    }

    /// Demands these credentials. It demands some before it is given any, and nobody can log in
    /// while they change.
    fn give(&self, chap: &Chap) -> Result<(), ConfigfsError> {
        self.put(Mark::Demanding)?;
        self.say("1")?;
        let texts = texts(chap);
        if texts.iter().all(|(name, text)| self.holds(name, *text)) {
            return Ok(());
        }
        self.write("password", None)?;
        texts
            .iter()
            .try_for_each(|(name, text)| self.write(name, *text))
    }

    /// Asks for nothing.
    fn excuse(&self) -> Result<(), ConfigfsError> {
        // Until they are cleared, it stays marked as one with credentials of ours.
        if self.mark != Some(Mark::Demanding) {
            self.put(Mark::Excused)?;
        }
        self.say("0")?;
        self.clear()?;
        self.put(Mark::Excused)
    }

    /// Takes back what was written here: it asks for what its portal group asks for.
    fn leave(&self) -> Result<(), ConfigfsError> {
        if self.mark == Some(Mark::Plain) {
            return Ok(());
        }
        self.clear()?;
        self.say("-1")?;
        self.put(Mark::Plain)
    }

    /// Clears credentials of ours.
    fn clear(&self) -> Result<(), ConfigfsError> {
        match self.mark == Some(Mark::Demanding) {
            true => ["password", "userid", "password_mutual", "userid_mutual"]
                .iter()
                .try_for_each(|name| self.write(name, None)),
            false => Ok(()),
        }
    }

    /// Whether it has these credentials and does not let anybody in without them. The array may be
    /// able to prove more than the initiator asks for.
    fn asks_for(&self, chap: &Chap) -> bool {
        let texts = texts(chap);
        let mut wanted = texts.iter().filter(|(_, text)| text.is_some());
        !self.is_open() && wanted.all(|(name, text)| self.holds(name, *text))
    }

    /// Whether nobody gets in without the credentials that it has.
    fn is_obeyed(&self, iqn: &str) -> bool {
        let word = self.configfs.read(&self.own_word());
        word.is_ok_and(|text| text == "1") || is_demanding(self.configfs, iqn)
    }

    /// Whether the array proves itself there as it does by these credentials, and no more.
    fn proves(&self, chap: &Chap) -> bool {
        let user = chap.array.as_ref().map(|login| login.user.as_str());
        self.holds("userid_mutual", user)
    }

    /// Whether it lets its initiator in without credentials, whatever its portal group demands.
    fn is_open(&self) -> bool {
        let word = self.configfs.read(&self.own_word());
        word.is_ok_and(|text| text == "0")
    }

    fn has_user(&self) -> bool {
        !self.holds("userid", None)
    }

    fn own_word(&self) -> String {
        format!("{}/attrib/authentication", self.folder)
    }

    /// Whether this kernel lets an ACL differ from its portal group.
    fn has_own_word(&self) -> bool {
        self.configfs.exists(&self.own_word())
    }

    /// Demands credentials (1), or none (0), or what the portal group does (-1). A kernel in which it
    /// cannot say so demands what the portal group does.
    fn say(&self, word: &str) -> Result<(), ConfigfsError> {
        let path = self.own_word();
        match self.has_own_word() && self.configfs.read(&path)? != word {
            true => self.configfs.write(&path, word),
            false => Ok(()),
        }
    }

    fn put(&self, mark: Mark) -> Result<(), ConfigfsError> {
        match self.mark == Some(mark) {
            true => Ok(()),
            false => {
                let path = format!("{}/tag", self.folder);
                self.configfs.write(&path, &mark.tag(self.initiator))
            }
        }
    }

    fn holds(&self, name: &str, text: Option<&str>) -> bool {
        let read = self.configfs.read(&format!("{}/auth/{name}", self.folder));
        let held = Zeroizing::new(read.unwrap_or_default());
        match text {
            Some(text) => *held == text,
            None => matches!(held.as_str(), "" | NONE),
        }
    }

    /// Exactly these bytes: the kernel takes a newline for part of a name.
    fn write(&self, name: &str, text: Option<&str>) -> Result<(), ConfigfsError> {
        let path = format!("{}/auth/{name}", self.folder);
        self.configfs.write(&path, text.unwrap_or(NONE))
    }
}

/// The attributes of an ACL with their texts; that which lets the initiator in comes last.
fn texts(chap: &Chap) -> [(&'static str, Option<&str>); 4] {
    let array = chap.array.as_ref();
    [
        ("userid", Some(chap.initiator.user.as_str())),
        ("userid_mutual", array.map(|login| login.user.as_str())),
        ("password_mutual", array.map(|login| login.secret.reveal())),
        ("password", Some(chap.initiator.secret.reveal())),
    ]
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::array::{ChapUser, InitiatorName, Login, Secret};
    use std::fs;

    const IQN: &str = "iqn.2026-11.example:array";
    const A: &str = "iqn.2026-11.example:a";
    const B: &str = "iqn.2026-11.example:b";

    /// A target of a kernel before 6.0, with ACLs of these tags.
    fn old_kernel(acls: &[(&str, &str)]) -> (tempfile::TempDir, Configfs) {
        let folder = tempfile::tempdir().expect("a temporary folder");
        let group = folder.path().join(target::group(IQN));
        let mut files = vec![
            (group.join("attrib/authentication"), "0"),
            (group.join("auth/userid"), ""),
        ];
        for (initiator, tag) in acls {
            let acl = group.join("acls").join(initiator);
            files.push((acl.join("tag"), tag));
            for name in ["userid", "password", "userid_mutual", "password_mutual"] {
                files.push((acl.join("auth").join(name), ""));
            }
        }
        for (path, text) in files {
            fs::create_dir_all(path.parent().expect("below")).expect("set up");
            fs::write(path, text).expect("set up");
        }
        let configfs = Configfs::new(folder.path());
        (folder, configfs)
    }

    fn demands() -> Demands {
        let login = Login {
            user: ChapUser::parse("joe").expect("a name"),
            secret: Secret::parse("open-sesame-42").expect("a secret"),
        };
        let chap = Chap {
            initiator: login,
            array: None,
        };
        Demands::new(&[(InitiatorName::parse(A).expect("a name"), chap)].into())
    }

    fn text(configfs: &Configfs, path: &str) -> String {
        let path = format!("{}/{path}", target::group(IQN));
        configfs.read(&path).expect("it is there")
    }

    #[test]
    fn an_old_kernel_asks_everybody_and_shows_nothing_to_the_others() {
        let (_folder, configfs) = old_kernel(&[(A, &Mark::Plain.tag(A)), (B, &Mark::Plain.tag(B))]);
        admit(&configfs, IQN, A, &demands()).expect("it has credentials");
        assert_eq!(text(&configfs, "attrib/authentication"), "1");
        assert_eq!(text(&configfs, &format!("acls/{A}/auth/userid")), "joe");
        assert_eq!(
            text(&configfs, &format!("acls/{A}/auth/password")),
            "open-sesame-42"
        );
        let refused = admit(&configfs, IQN, B, &demands()).expect_err("it has none");
        let refused = crate::array::Error::from(refused);
        assert_eq!(refused.kind, crate::array::Kind::NotSupported);
        assert!(refused.message.contains(B), "{refused}");
    }

    #[test]
    fn credentials_in_an_acl_of_another_manager_are_never_changed() {
        let (folder, configfs) = old_kernel(&[(A, "theirs"), (B, &Mark::Plain.tag(B))]);
        let refused = admit(&configfs, IQN, A, &demands()).expect_err("it asks for none");
        let refused = crate::array::Error::from(refused);
        assert_eq!(refused.kind, crate::array::Kind::AccessDenied);
        let told = format!("{refused} {refused:?}");
        assert!(told.contains(A) && !told.contains("sesame"), "{told}");
        let auth = folder
            .path()
            .join(format!("{}/acls/{A}/auth", target::group(IQN)));
        assert_eq!(fs::read(auth.join("userid")).expect("read"), b"");
        fs::write(auth.join("userid"), "joe\n").expect("set up");
        fs::write(auth.join("password"), "open-sesame-42\n").expect("set up");
        admit(&configfs, IQN, A, &demands()).expect("they are the same");
        // Nor are those that somebody wrote into one of ours by hand.
        let auth = folder
            .path()
            .join(format!("{}/acls/{B}/auth", target::group(IQN)));
        fs::write(auth.join("userid"), "jane\n").expect("set up");
        admit(&configfs, IQN, B, &demands()).expect("it asks for them");
        assert_eq!(fs::read(auth.join("userid")).expect("read"), b"jane\n");
    }
}
