//! The users of the configuration, and the check of a credential against them.

use std::collections::HashMap;
use std::fmt;
use std::net::SocketAddr;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

use base64::Engine as _;
use ring::hmac;
use tokio::sync::Semaphore;

use super::throttle::Throttle;
use super::{Identity, PasswordHash, PasswordHashError, Role};

/// How many passwords are verified at once: each takes megabytes and a core.
const VERIFICATIONS_AT_ONCE: usize = 2;
/// How long an attempt waits for its turn before it is told to come back.
const LONGEST_WAIT: Duration = Duration::from_secs(10);
/// How long a verified credential is believed without another verification.
const REMEMBER_FOR: Duration = Duration::from_secs(300);
/// Longest Basic credential that is looked at, in bytes of base64.
const MAX_CREDENTIAL: usize = 2048;

/// One configured user.
#[derive(Clone, Debug)]
pub struct User {
    /// The name, as it is sent and shown. Contains no colon.
    pub name: String,
    /// The hash of the password.
    pub password: PasswordHash,
    /// What the user may do.
    pub role: Role,
}

/// Why a list of users cannot be used.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum UsersError {
    /// Two users of one name.
    #[error("user {0} is configured twice")]
    Duplicate(String),
    /// A name that no Basic credential can carry.
    #[error("user name {0:?} is empty, too long or contains a colon or a control character")]
    BadName(String),
    /// The operating system gives no random numbers.
    #[error("the operating system gives no random numbers")]
    NoRandomness,
}

/// A user name and a password as a client sent them. `Debug` hides the password.
#[derive(Clone, PartialEq, Eq)]
pub struct Credential {
    user: String,
    password: String,
}

impl Credential {
    /// A credential from its two parts.
    pub fn new(user: impl Into<String>, password: impl Into<String>) -> Self {
        Self {
            user: user.into(),
            password: password.into(),
        }
    }

    /// Reads the value of an `Authorization` header: `Basic`, in any case, and base64 of
    /// `user:password` (RFC 7617). Bytes that are no UTF-8 are taken as Latin-1.
    pub fn from_basic(header: &[u8]) -> Option<Self> {
        if header.len() > MAX_CREDENTIAL {
            return None;
        }
        let (scheme, rest) = std::str::from_utf8(header).ok()?.trim().split_once(' ')?;
        if !scheme.eq_ignore_ascii_case("basic") {
            return None;
        }
        let bytes = base64::engine::general_purpose::STANDARD
            .decode(rest.trim())
            .ok()?;
        let text = String::from_utf8(bytes)
            .unwrap_or_else(|e| e.into_bytes().into_iter().map(char::from).collect());
        let (user, password) = text.split_once(':')?;
        Some(Self::new(user, password))
    }
}

impl fmt::Debug for Credential {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Credential({:?}, …)", self.user)
    }
}

/// Why a credential gives no identity.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Refusal {
    /// No such user, or not that password; which of the two is never told.
    Wrong,
    /// Too many attempts are waiting; the client should come back.
    Busy,
}

/// Everyone who may log in.
pub struct Users {
    users: HashMap<Arc<str>, User>,
    /// Verified for unknown names, so that the answer takes as long as for known ones.
    stranger: PasswordHash,
    /// Random for each process: a remembered tag is worth nothing outside it.
    key: hmac::Key,
    remembered: Mutex<HashMap<Arc<str>, Remembered>>,
    slots: Arc<Semaphore>,
    throttle: Throttle,
}

struct Remembered {
    tag: hmac::Tag,
    until: Instant,
}

impl Users {
    /// The users of a configuration.
    pub fn new(list: impl IntoIterator<Item = User>) -> Result<Self, UsersError> {
        let mut users = HashMap::new();
        let mut stranger = None;
        for user in list {
            let fits = (1..=255).contains(&user.name.len());
            if !fits || user.name.contains(|c: char| c == ':' || c.is_control()) {
                return Err(UsersError::BadName(user.name));
            }
            stranger.get_or_insert_with(|| user.password.clone());
            let name: Arc<str> = user.name.as_str().into();
            if let Some(twin) = users.insert(name, user) {
                return Err(UsersError::Duplicate(twin.name));
            }
        }
        let no_randomness = |_: PasswordHashError| UsersError::NoRandomness;
        let stranger = match stranger {
            Some(hash) => hash,
            None => PasswordHash::of("nobody").map_err(no_randomness)?,
        };
        let key = hmac::Key::generate(hmac::HMAC_SHA256, &ring::rand::SystemRandom::new())
            .map_err(|_| UsersError::NoRandomness)?;
        Ok(Self {
            users,
            stranger,
            key,
            remembered: Mutex::default(),
            slots: Arc::new(Semaphore::new(VERIFICATIONS_AT_ONCE)),
            throttle: Throttle::default(),
        })
    }

    /// Who `credential`, presented by `peer`, is. Failures are logged and slow the peer down.
    pub async fn verify(
        &self,
        credential: &Credential,
        peer: SocketAddr,
    ) -> Result<Identity, Refusal> {
        let known = self.users.get_key_value(credential.user.as_str());
        let message = self.message(credential);
        if let Some((name, user)) = known
            && self.remembers(name, &message)
        {
            return Ok(identity(name, user, peer));
        }
        let throttled = self.throttled(credential, known, &message, peer);
        match tokio::time::timeout(LONGEST_WAIT, throttled).await {
            Err(_) => Err(Refusal::Busy),
            Ok(Err(refusal)) => Err(refusal),
            Ok(Ok((name, user))) => Ok(identity(name, user, peer)),
        }
    }

    /// Takes the address's turn where it has to, verifies, and pauses after a failure.
    async fn throttled<'a>(
        &self,
        credential: &Credential,
        known: Option<(&'a Arc<str>, &'a User)>,
        message: &[u8],
        peer: SocketAddr,
    ) -> Result<(&'a Arc<str>, &'a User), Refusal> {
        let turn = self.throttle.turn(peer.ip());
        let _turn = match &turn {
            Some(turn) => Some(turn.lock().await),
            None => None,
        };
        let right = self.matches(credential, known, message).await?;
        match known {
            Some(found) if right => {
                self.throttle.succeeded(peer.ip());
                Ok(found)
            }
            _ => {
                tracing::warn!(%peer, user = ?Shortened(&credential.user), "login refused");
                tokio::time::sleep(self.throttle.failed(peer.ip())).await;
                Err(Refusal::Wrong)
            }
        }
    }

    /// Verifies the password in the blocking pool, a few at once. When what was remembered runs out,
    /// everybody comes at once: one verification is enough for all of them.
    async fn matches(
        &self,
        credential: &Credential,
        known: Option<(&Arc<str>, &User)>,
        message: &[u8],
    ) -> Result<bool, Refusal> {
        let slot = Arc::clone(&self.slots).acquire_owned().await;
        let slot = slot.map_err(|_| Refusal::Busy)?;
        if known.is_some_and(|(name, _)| self.remembers(name, message)) {
            return Ok(true);
        }
        let hash = known.map_or(&self.stranger, |(_, user)| &user.password);
        let (hash, password) = (hash.clone(), credential.password.clone());
        // It keeps its slot to its end, also where nobody waits for it any more.
        let verified =
            tokio::task::spawn_blocking(move || (hash.matches(password.as_bytes()), slot));
        let (right, _slot) = verified.await.map_err(|_| Refusal::Busy)?;
        if let Some((name, _)) = known.filter(|_| right) {
            self.remember(name, message);
        }
        Ok(right)
    }

    fn message(&self, credential: &Credential) -> Vec<u8> {
        // A name has no colon, so the two parts cannot be confused.
        format!("{}:{}", credential.user, credential.password).into_bytes()
    }

    fn remembers(&self, name: &str, message: &[u8]) -> bool {
        let remembered = self
            .remembered
            .lock()
            .unwrap_or_else(PoisonError::into_inner);
        remembered.get(name).is_some_and(|known| {
            known.until > Instant::now()
                && hmac::verify(&self.key, message, known.tag.as_ref()).is_ok()
        })
    }

    fn remember(&self, name: &Arc<str>, message: &[u8]) {
        let entry = Remembered {
            tag: hmac::sign(&self.key, message),
            until: Instant::now() + REMEMBER_FOR,
        };
        let mut remembered = self
            .remembered
            .lock()
            .unwrap_or_else(PoisonError::into_inner);
        remembered.insert(Arc::clone(name), entry);
    }
}

fn identity(name: &Arc<str>, user: &User, peer: SocketAddr) -> Identity {
    Identity {
        user: Arc::clone(name),
        role: user.role,
        peer,
    }
}

/// A name from outside, cut for the log.
struct Shortened<'a>(&'a str);

impl fmt::Debug for Shortened<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let short: String = self.0.chars().take(64).collect();
        fmt::Debug::fmt(&short, f)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn peer() -> SocketAddr {
        ([192, 0, 2, 7], 4711).into()
    }

    fn users() -> Users {
        let user = |name: &str, password: &str, role| User {
            name: name.into(),
            password: PasswordHash::of(password).expect("hashable"),
            role,
        };
        Users::new([
            user("admin", "pâss:word", Role::Administrator),
            user("watch", "", Role::Monitor),
        ])
        .expect("two users")
    }

    #[test]
    fn basic_credentials_are_read_leniently_in_form_only() {
        let basic = |plain: &[u8]| base64::engine::general_purpose::STANDARD.encode(plain);
        for scheme in ["Basic", "BASIC", "basic "] {
            let header = format!("{scheme} {}", basic("u:pâ:ss".as_bytes()));
            let read = Credential::from_basic(header.as_bytes());
            assert_eq!(read, Some(Credential::new("u", "pâ:ss")), "{header}");
        }
        let latin1 = format!("Basic {}", basic(b"u:p\xe2:ss"));
        let read = Credential::from_basic(latin1.as_bytes());
        assert_eq!(read, Some(Credential::new("u", "pâ:ss")));
        let long = format!("Basic {}", basic(&[b':'; 4096]));
        for header in ["", "Basic", "Basic !!!", "Digest dTpw", "Basic dQ==", &long] {
            assert_eq!(Credential::from_basic(header.as_bytes()), None, "{header}");
        }
    }

    #[tokio::test]
    async fn the_right_password_gives_the_configured_role() {
        let users = users();
        for _ in 0..2 {
            let admin = users
                .verify(&Credential::new("admin", "pâss:word"), peer())
                .await;
            let admin = admin.expect("right password");
            assert_eq!((&*admin.user, admin.role), ("admin", Role::Administrator));
            assert_eq!(admin.peer, peer());
        }
        let watch = users.verify(&Credential::new("watch", ""), peer()).await;
        assert!(!watch.expect("empty password").role.may_change());
    }

    #[tokio::test]
    async fn anything_else_is_refused_even_after_a_success() {
        let users = users();
        let right = Credential::new("admin", "pâss:word");
        assert!(users.verify(&right, peer()).await.is_ok());
        for (user, password) in [
            ("admin", ""),
            ("admin", "pass:word"),
            ("Admin", "pâss:word"),
            ("", ""),
        ] {
            let wrong = users.verify(&Credential::new(user, password), peer()).await;
            assert_eq!(wrong, Err(Refusal::Wrong), "{user}");
        }
    }

    #[tokio::test]
    async fn a_verified_credential_is_remembered_without_its_text() {
        let users = users();
        let right = Credential::new("admin", "pâss:word");
        assert!(!users.remembers("admin", &users.message(&right)));
        users.verify(&right, peer()).await.expect("right");
        assert!(users.remembers("admin", &users.message(&right)));
        assert!(!users.remembers("watch", &users.message(&right)));
        assert!(!format!("{right:?}").contains("word"));
    }

    #[tokio::test]
    async fn who_waited_while_another_was_verified_is_not_verified_again() {
        let mut users = users();
        let right = Credential::new("admin", "pâss:word");
        let message = users.message(&right);
        // Were it verified again, it would be refused.
        let admin = users.users.get_mut("admin").expect("configured");
        admin.password = PasswordHash::of("another").expect("hashable");
        let slots = u32::try_from(VERIFICATIONS_AT_ONCE).expect("few");
        let taken = users.slots.clone().acquire_many_owned(slots).await;
        let waiting = users.verify(&right, peer());
        tokio::pin!(waiting);
        let early = tokio::time::timeout(Duration::ZERO, &mut waiting).await;
        assert!(early.is_err(), "it waits for its turn");
        users.remember(&"admin".into(), &message);
        drop(taken);
        assert!(waiting.await.is_ok());
    }

    #[tokio::test]
    async fn a_remembered_credential_works_while_its_address_is_slowed_down() {
        let users = users();
        let right = Credential::new("admin", "pâss:word");
        users.verify(&right, peer()).await.expect("right");
        for _ in 0..6 {
            users.throttle.failed(peer().ip());
        }
        let turn = users.throttle.turn(peer().ip()).expect("slowed down");
        let _somebody_else_is_trying = turn.lock().await;
        assert!(users.verify(&right, peer()).await.is_ok());
    }

    #[test]
    fn names_are_unique_and_fit_a_credential() {
        let user = |name: &str| User {
            name: name.into(),
            password: PasswordHash::of("x").expect("hashable"),
            role: Role::Monitor,
        };
        let twice = Users::new([user("a"), user("a")]).err();
        assert_eq!(twice, Some(UsersError::Duplicate("a".into())));
        for name in ["", "a:b", "a\n"] {
            let bad = Users::new([user(name)]).err();
            assert_eq!(bad, Some(UsersError::BadName(name.into())));
        }
    }
}
