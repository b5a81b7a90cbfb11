//! Refusals and failures by meaning, each with one sentence for the person who reads it.

use std::fmt;
use std::sync::Arc;

/// What went wrong, by meaning: a caller decides from this, never from the sentence.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, serde::Serialize, serde::Deserialize)]
pub enum Kind {
    /// The thing that was named is not there.
    NotFound,
    /// Something of that name or identity is there already.
    AlreadyExists,
    /// It is there, but something else holds it.
    InUse,
    /// There are others that are nothing without it.
    HasDependents,
    /// The initiator sees the port through a view already.
    AlreadyShown,
    /// The initiator does not see the port through that view.
    NotShown,
    /// The device number means another device there.
    NumberTaken,
    /// The view has no device number left.
    ViewFull,
    /// The target listens at that address already.
    PortalTaken,
    /// Initiators are logged in.
    InSession,
    /// The pool has too little room for it.
    NoSpace,
    /// No size of that order is possible here.
    SizeNotSupported,
    /// The request itself makes no sense.
    InvalidArgument,
    /// This array does not do that.
    NotSupported,
    /// It is not this array's, or not this user's, to change.
    AccessDenied,
    /// It did not end in time; it may still be going on.
    Timeout,
    /// It cannot be done now; later it may.
    Unavailable,
    /// A mistake of this program.
    Bug,
}

/// A refusal or a failure.
///
/// `Display` prints the sentence only; what lay below it is in `source()` and goes to the log.
#[derive(Clone, Debug)]
pub struct Error {
    /// By meaning.
    pub kind: Kind,
    /// One sentence: what is wrong and what to do next.
    pub message: String,
    /// With [`Kind::NoSpace`] and [`Kind::SizeNotSupported`]: the largest possible size, in bytes; the
    /// least one where too little was asked for.
    pub largest: Option<u64>,
    source: Option<Arc<dyn std::error::Error + Send + Sync>>,
}

impl Error {
    /// An error of that kind with that sentence.
    pub fn new(kind: Kind, message: impl Into<String>) -> Self {
        Self {
            kind,
            message: message.into(),
            largest: None,
            source: None,
        }
    }

    /// The same error, saying the largest size in bytes that would have been possible, or the least.
    #[must_use]
    pub fn with_largest(mut self, bytes: u64) -> Self {
        self.largest = Some(bytes);
        self
    }

    /// The same error, with what caused it.
    #[must_use]
    pub fn caused_by(mut self, source: impl std::error::Error + Send + Sync + 'static) -> Self {
        self.source = Some(Arc::new(source));
        self
    }
}

impl fmt::Display for Error {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.message)
    }
}

impl std::error::Error for Error {
    fn source(&self) -> Option<&(dyn std::error::Error + 'static)> {
        self.source.as_deref().map(|e| e as _)
    }
}

macro_rules! shorthand {
    ($($(#[$doc:meta])* $name:ident => $kind:ident),* $(,)?) => {
        impl Error {$(
            $(#[$doc])*
            pub fn $name(message: impl Into<String>) -> Self {
                Self::new(Kind::$kind, message)
            }
        )*}
    };
}

shorthand! {
    /// The thing that was named is not there.
    not_found => NotFound,
    /// Something of that name or identity is there already.
    already_exists => AlreadyExists,
    /// It is there, but something else holds it.
    in_use => InUse,
    /// There are others that are nothing without it.
    has_dependents => HasDependents,
    /// The initiator sees the port through a view already.
    already_shown => AlreadyShown,
    /// The initiator does not see the port through that view.
    not_shown => NotShown,
    /// The device number means another device there.
    number_taken => NumberTaken,
    /// The view has no device number left.
    view_full => ViewFull,
    /// The target listens at that address already.
    portal_taken => PortalTaken,
    /// Initiators are logged in.
    in_session => InSession,
    /// The pool has too little room for it.
    no_space => NoSpace,
    /// No size of that order is possible here.
    size_not_supported => SizeNotSupported,
    /// The request itself makes no sense.
    invalid => InvalidArgument,
    /// This array does not do that.
    not_supported => NotSupported,
    /// It is not this array's, or not this user's, to change.
    access_denied => AccessDenied,
    /// It did not end in time; it may still be going on.
    timeout => Timeout,
    /// It cannot be done now; later it may.
    unavailable => Unavailable,
    /// A mistake of this program.
    bug => Bug,
}
