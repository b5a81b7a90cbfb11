//! `standpipe demo`: a simulated array, up in one command.

use std::path::{Path, PathBuf};
use std::sync::Arc;

use clap::Args;
use ring::rand::{SecureRandom as _, SystemRandom};

use crate::http::{Limits, ListenUrl, Scheme, Service, Tls};
use crate::identity::{PasswordHash, Role, User, Users};

use super::Failure;
use super::run::Front;

/// The environment variable that holds the password of the demo's user.
const PASSWORD: &str = "STANDPIPE_PASSWORD";

/// What can be said about the simulated array.
#[derive(Clone, Debug, Args)]
pub struct Demo {
    /// Where to listen, such as http://127.0.0.1:5988; port 0 picks a free one (repeatable).
    #[arg(
        long,
        value_name = "URL",
        default_values = ["http://127.0.0.1:5988", "https://127.0.0.1:5989"]
    )]
    listen: Vec<ListenUrl>,
    /// The user who may log in; the password comes from STANDPIPE_PASSWORD, or is made up.
    #[arg(long, value_name = "NAME", default_value = "admin")]
    user: String,
    /// Volumes to start with, some of them mapped.
    #[arg(long, value_name = "N", default_value_t = 0)]
    volumes: u32,
    /// iSCSI targets, each of which listens at every interface; clients can make more.
    #[arg(long, value_name = "N", default_value_t = 1, value_parser = clap::value_parser!(u32).range(1..=64))]
    targets: u32,
    /// Fibre Channel ports, beside the targets.
    #[arg(long, value_name = "N", default_value_t = 0, value_parser = clap::value_parser!(u32).range(0..=64))]
    fc_ports: u32,
    /// Disks that belong to no pool, to make pools from.
    #[arg(long, value_name = "N", default_value_t = 4)]
    spare_disks: u32,
    /// File or FIFO to read events from while it runs: fail DISK, pull DISK, restore DISK, wipe
    /// DISK, fill POOL PERCENT, login INITIATOR (PORT), logout INITIATOR.
    #[arg(long, value_name = "FILE")]
    events: Option<PathBuf>,
    /// Directory that keeps the array's state and certificate; without it nothing is kept.
    #[arg(long, value_name = "DIR")]
    state: Option<PathBuf>,
}

/// The array that a demo wants.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct DemoArray<'a> {
    /// How many volumes it starts with.
    pub volumes: u32,
    /// How many targets it has.
    pub targets: u32,
    /// How many Fibre Channel ports it has.
    pub fc_ports: u32,
    /// How many disks belong to no pool.
    pub spare_disks: u32,
    /// Where events come from while it runs.
    pub events: Option<&'a Path>,
    /// Where its state is kept; `None`: nowhere.
    pub state: Option<&'a Path>,
}

impl Demo {
    /// Serves the array that `build` makes, until a signal.
    pub async fn run<S: Service>(
        self,
        build: impl FnOnce(DemoArray<'_>, &[ListenUrl]) -> Result<Arc<S>, Failure>,
    ) -> Result<(), Failure> {
        for url in &self.listen {
            if url.scheme == Scheme::Http && !url.is_loopback() {
                return Err(Failure::usage(format!(
                    "{url} would send the password in the clear over the network; use https"
                )));
            }
        }
        let password = Password::from_environment()?;
        let array = DemoArray {
            volumes: self.volumes,
            targets: self.targets,
            fc_ports: self.fc_ports,
            spare_disks: self.spare_disks,
            events: self.events.as_deref(),
            state: self.state.as_deref(),
        };
        let front = Front {
            tls: self.tls()?,
            users: self.users(&password)?,
            listen: self.listen.clone(),
            limits: Limits::default(),
        };
        let build = |urls: &[ListenUrl]| build(array, urls);
        front
            .run(build, |urls| announcement(urls, &self.user, &password))
            .await
    }

    /// The demo's certificate, if it listens anywhere with https.
    fn tls(&self) -> Result<Option<Tls>, Failure> {
        if self.listen.iter().all(|url| url.scheme == Scheme::Http) {
            return Ok(None);
        }
        let mut names = vec!["localhost".to_owned(), "127.0.0.1".into(), "::1".into()];
        let listening = self.listen.iter().map(|url| url.address.ip());
        for name in listening
            .filter(|ip| !ip.is_unspecified())
            .map(|ip| ip.to_string())
        {
            if !names.contains(&name) {
                names.push(name);
            }
        }
        let tls = match &self.state {
            Some(directory) => Tls::self_signed(directory, &names),
            None => Tls::ephemeral(&names),
        };
        tls.map(Some).map_err(|error| Failure::new(&error))
    }

    fn users(&self, password: &Password) -> Result<Users, Failure> {
        let user = User {
            name: self.user.clone(),
            password: PasswordHash::of(password.text()).map_err(|e| Failure::new(&e))?,
            role: Role::Administrator,
        };
        Users::new([user]).map_err(|error| Failure::configuration(&error))
    }
}

/// The password of the demo's user.
enum Password {
    /// From the environment; never printed.
    Given(String),
    /// Made up; printed, because nobody knows it.
    Generated(String),
}

impl Password {
    /// Letters and digits that nobody mistakes for one another.
    const ALPHABET: &[u8; 32] = b"abcdefghijkmnpqrstuvwxyz23456789";
    const LENGTH: usize = 20;

    fn from_environment() -> Result<Self, Failure> {
        match std::env::var(PASSWORD) {
            Ok(password) if !password.is_empty() => Ok(Self::Given(password)),
            Err(std::env::VarError::NotUnicode(_)) => {
                Err(Failure::usage(format!("{PASSWORD} is no UTF-8")))
            }
            _ => Self::generate(),
        }
    }

    fn generate() -> Result<Self, Failure> {
        let mut bytes = [0; Self::LENGTH];
        SystemRandom::new()
            .fill(&mut bytes)
            .map_err(|_| Failure::usage(format!("no random numbers; set {PASSWORD}")))?;
        let letter = |byte: u8| char::from(Self::ALPHABET[usize::from(byte % 32)]);
        Ok(Self::Generated(bytes.into_iter().map(letter).collect()))
    }

    fn text(&self) -> &str {
        match self {
            Self::Given(text) | Self::Generated(text) => text,
        }
    }

    /// How a shell line names it.
    fn in_shell(&self) -> String {
        match self {
            Self::Given(_) => format!("\"${PASSWORD}\""),
            Self::Generated(text) => text.clone(),
        }
    }
}

/// The `ready` line, and a line to paste.
fn announcement(urls: &[ListenUrl], user: &str, password: &Password) -> String {
    let clients: Vec<_> = urls.iter().map(|url| url.for_local_client()).collect();
    let mut lines = String::from("ready");
    for url in &clients {
        lines.push_str(&format!(" {url}"));
    }
    lines.push_str(&match password {
        Password::Given(_) => format!(" user={user} password from {PASSWORD}"),
        Password::Generated(text) => format!(" user={user} password={text}"),
    });
    let plain = |url: &&ListenUrl| url.scheme == Scheme::Http;
    if let Some(url) = clients.iter().find(plain).or(clients.first()) {
        let unverified = match url.scheme {
            Scheme::Http => "",
            Scheme::Https => " --no-verify",
        };
        lines.push_str(&format!(
            "\npywbemcli -s {url}{unverified} -u {} -p {} -d root/standpipe instance enumerate CIM_StorageVolume",
            quoted(user),
            password.in_shell(),
        ));
    }
    lines
}

/// A word as a shell takes it literally.
fn quoted(word: &str) -> String {
    let plain = |c: char| c.is_ascii_alphanumeric() || "._-".contains(c);
    if word.chars().all(plain) {
        word.to_owned()
    } else {
        format!("'{}'", word.replace('\'', r"'\''"))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_announcement_names_urls_credentials_and_a_line_to_paste() {
        let urls: Vec<ListenUrl> = ["https://0.0.0.0:41", "http://127.0.0.1:42"]
            .map(|url| url.parse().expect("url"))
            .into();
        let generated = Password::Generated("abc".into());
        let lines = announcement(&urls, "o'neil", &generated);
        let (ready, paste) = lines.split_once('\n').expect("two lines");
        assert_eq!(
            ready,
            "ready https://127.0.0.1:41 http://127.0.0.1:42 user=o'neil password=abc"
        );
        assert!(paste.starts_with(r"pywbemcli -s http://127.0.0.1:42 -u 'o'\''neil' -p abc "));

        let given = Password::Given("secret".into());
        let lines = announcement(&urls[..1], "admin", &given);
        assert!(!lines.contains("secret") && lines.contains("\"$STANDPIPE_PASSWORD\""));
        assert!(lines.contains("https://127.0.0.1:41 --no-verify"));
    }

    #[test]
    fn generated_passwords_differ_and_need_no_quoting() {
        let (Ok(a), Ok(b)) = (Password::generate(), Password::generate()) else {
            panic!("no random numbers");
        };
        assert_ne!(a.text(), b.text());
        assert_eq!(a.text().len(), Password::LENGTH);
        assert_eq!(quoted(a.text()), a.text());
    }
}
