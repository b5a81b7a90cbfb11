//! Pull sessions: what is left of a listing between two requests (DSP0200 §5.3.2.24).
//!
//! A session pins its snapshot, so sessions are capped, per user and together, and expire.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use crate::cim::{CimError, Status};
use crate::identity::Identity;

use super::listing::Renderer;
use super::model::{Namespace, Snapshot, Subject};
use super::operation::{Objects, PullKind, Reply, SessionTerms};

/// What pull sessions may cost.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct PullLimits {
    /// How long a session waits for its next request where the client does not say.
    pub default_timeout: Duration,
    /// The longest time that a client may ask for.
    pub longest_timeout: Duration,
    /// The most objects in one answer; a client that asks for more gets these.
    pub objects: u32,
    /// Open sessions of one user.
    pub sessions_per_user: usize,
    /// Open sessions.
    pub sessions: usize,
    /// Pulls of no objects, one after another: they keep a session alive and nothing else.
    pub empty_pulls: u32,
}

impl Default for PullLimits {
    fn default() -> Self {
        Self {
            default_timeout: Duration::from_secs(60),
            longest_timeout: Duration::from_secs(300),
            objects: 10_000,
            sessions_per_user: 64,
            sessions: 256,
            empty_pulls: 100,
        }
    }
}

/// The open sessions.
pub(super) struct Sessions<S: Snapshot> {
    limits: PullLimits,
    open: Mutex<HashMap<String, Session<S>>>,
}

/// Who may go on with a session, and how.
#[derive(Clone, Debug, PartialEq, Eq)]
struct Binding {
    user: Arc<str>,
    namespace: &'static str,
    kind: PullKind,
}

struct Session<S: Snapshot> {
    binding: Binding,
    renderer: Arc<Renderer<S>>,
    rest: std::vec::IntoIter<Subject<S>>,
    timeout: Duration,
    expires: Instant,
    empty_pulls: u32,
}

/// Terms that were accepted.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Accepted {
    timeout: Duration,
    count: u32,
}

impl<S: Snapshot> Sessions<S> {
    pub(super) fn new(limits: PullLimits) -> Self {
        Self {
            limits,
            open: Mutex::default(),
        }
    }

    /// Checks what a client asks of a session, apart from the filter.
    pub(super) fn accept(&self, terms: &SessionTerms) -> Result<Accepted, CimError> {
        let longest = self.limits.longest_timeout;
        let timeout = match terms.timeout {
            None => self.limits.default_timeout,
            Some(seconds) => Duration::from_secs(seconds.into()),
        };
        if timeout.is_zero() || timeout > longest {
            return Err(CimError::new(
                Status::InvalidOperationTimeout,
                format!(
                    "OperationTimeout is from 1 to {} seconds",
                    longest.as_secs()
                ),
            ));
        }
        if terms.continue_on_error {
            return Err(CimError::new(
                Status::ContinuationOnErrorNotSupported,
                "ContinueOnError is not supported: nothing fails after a session is open",
            ));
        }
        Ok(Accepted {
            timeout,
            count: terms.count,
        })
    }

    /// Opens a session and gives its first objects; there is none if these are all.
    pub(super) fn open(
        &self,
        who: &Identity,
        namespace: Namespace,
        terms: Accepted,
        renderer: Arc<Renderer<S>>,
        subjects: Vec<Subject<S>>,
        now: Instant,
    ) -> Result<Reply, CimError> {
        let binding = Binding {
            user: Arc::clone(&who.user),
            namespace: namespace.name,
            kind: renderer.kind(),
        };
        let mut session = Session {
            binding,
            renderer,
            rest: subjects.into_iter(),
            timeout: terms.timeout,
            expires: now + terms.timeout,
            empty_pulls: 0,
        };
        let objects = session.take(terms.count.min(self.limits.objects));
        // Asked for nothing, the client is told of the end by a Pull (DSP0200 §5.3.2.24.1).
        if terms.count > 0 && session.is_finished() {
            return Ok(Reply::Page {
                objects,
                context: None,
            });
        }
        let mut open = self.current(now);
        let of_user = open.values().filter(|s| s.binding.user == who.user);
        if of_user.count() >= self.limits.sessions_per_user || open.len() >= self.limits.sessions {
            return Err(CimError::new(
                Status::ServerLimitsExceeded,
                "too many enumerations are open: finish or close some of them",
            ));
        }
        // 122 bits from the system's random numbers: not to be guessed.
        let context = uuid::Uuid::new_v4().simple().to_string();
        open.insert(context.clone(), session);
        Ok(Reply::Page {
            objects,
            context: Some(context),
        })
    }

    /// The next objects of a session.
    pub(super) fn pull(
        &self,
        who: &Identity,
        namespace: Namespace,
        context: &str,
        kind: PullKind,
        count: u32,
        now: Instant,
    ) -> Result<Reply, CimError> {
        let mut open = self.current(now);
        let session = find(&mut open, who, namespace, context)?;
        if session.binding.kind != kind {
            return Err(no_such_session());
        }
        session.empty_pulls = if count == 0 {
            session.empty_pulls + 1
        } else {
            0
        };
        if session.empty_pulls > self.limits.empty_pulls {
            open.remove(context);
            return Err(CimError::new(
                Status::ServerLimitsExceeded,
                "the enumeration is closed: too many pulls asked for no objects",
            ));
        }
        session.expires = now + session.timeout;
        let objects = session.take(count.min(self.limits.objects));
        let context = if count > 0 && session.is_finished() {
            open.remove(context);
            None
        } else {
            Some(context.to_owned())
        };
        Ok(Reply::Page { objects, context })
    }

    pub(super) fn close(
        &self,
        who: &Identity,
        namespace: Namespace,
        context: &str,
        now: Instant,
    ) -> Result<(), CimError> {
        let mut open = self.current(now);
        find(&mut open, who, namespace, context)?;
        open.remove(context);
        Ok(())
    }

    /// How many objects a session has left.
    pub(super) fn count(
        &self,
        who: &Identity,
        namespace: Namespace,
        context: &str,
        now: Instant,
    ) -> Result<u64, CimError> {
        let mut open = self.current(now);
        let session = find(&mut open, who, namespace, context)?;
        Ok(session.rest.len() as u64)
    }

    /// Closes the sessions whose time is up; tells how many are left.
    pub(super) fn expire(&self, now: Instant) -> usize {
        self.current(now).len()
    }

    /// The sessions whose time is not up.
    fn current(&self, now: Instant) -> MutexGuard<'_, HashMap<String, Session<S>>> {
        let mut open = self.open.lock().unwrap_or_else(PoisonError::into_inner);
        open.retain(|_, session| session.expires > now);
        open
    }
}

/// The session of that context, if it is this user's and was opened in this namespace.
fn find<'a, S: Snapshot>(
    open: &'a mut HashMap<String, Session<S>>,
    who: &Identity,
    namespace: Namespace,
    context: &str,
) -> Result<&'a mut Session<S>, CimError> {
    let session = open.get_mut(context);
    session
        .filter(|s| s.binding.user == who.user && s.binding.namespace == namespace.name)
        .ok_or_else(no_such_session)
}

fn no_such_session() -> CimError {
    CimError::new(
        Status::InvalidEnumerationContext,
        "no such enumeration is open: it was finished or closed, its time was up, \
         or it belongs to another user, namespace or kind of pull",
    )
}

impl<S: Snapshot> Session<S> {
    fn take(&mut self, count: u32) -> Objects {
        let count = usize::try_from(count).unwrap_or(usize::MAX);
        let taken: Vec<_> = self.rest.by_ref().take(count).collect();
        Arc::clone(&self.renderer).objects(Box::new(taken.into_iter()))
    }

    fn is_finished(&self) -> bool {
        self.rest.len() == 0
    }
}
