//! Long work on devices, on a thread of its own: the kernel may hang, the caller may not.

use std::io;
use std::sync::mpsc::{RecvTimeoutError, sync_channel};
use std::thread;

use super::STANDSTILL;
use crate::array::{Error, Kind, Progress, cancelled};
use crate::engine::linux::blockdev::Ended;

/// What is done to which device, for messages.
pub(super) struct Work {
    /// The device.
    pub(super) on: String,
    /// What is done to it: `zeroed`.
    pub(super) done: &'static str,
    /// Bytes.
    pub(super) size: u64,
}

/// Hears how many bytes are done and says whether to go on.
pub(super) type GoOn<'a> = &'a mut dyn FnMut(u64) -> bool;

/// Does the work. It asks before each slice, so that a wish to stop is heard there and then.
pub(super) fn watched(
    work: &Work,
    progress: &dyn Progress,
    run: impl FnOnce(GoOn<'_>) -> io::Result<Ended> + Send + 'static,
) -> Result<(), Error> {
    enum Word {
        Done(u64),
        End(io::Result<Ended>),
    }
    let (sender, words) = sync_channel(1);
    let (answer, answers) = sync_channel(1);
    thread::spawn(move || {
        let end = run(&mut |done| {
            // Without an answer nobody is waiting any more.
            sender.send(Word::Done(done)).is_ok() && answers.recv().unwrap_or(false)
        });
        let _ = sender.send(Word::End(end));
    });
    let Work { on, done, size } = work;
    loop {
        let error = match words.recv_timeout(STANDSTILL) {
            Ok(Word::Done(bytes)) => {
                progress.report(bytes, *size);
                // The thread rests while this does: it holds nothing but the devices.
                let _ = answer.send(progress.pause_point().is_ok());
                continue;
            }
            Ok(Word::End(Ok(Ended::Whole))) => return Ok(()),
            Ok(Word::End(Ok(Ended::Stopped))) => {
                return Err(cancelled());
            }
            Ok(Word::End(Err(error))) => failed(on, done, error),
            Err(RecvTimeoutError::Timeout) => Error::new(
                Kind::Timeout,
                format!("{on} does not get on with being {done}"),
            ),
            Err(RecvTimeoutError::Disconnected) => {
                Error::new(Kind::Bug, format!("{on} was left while being {done}"))
            }
        };
        return Err(error);
    }
}

fn failed(on: &str, done: &str, error: io::Error) -> Error {
    let (kind, message) = match error.kind() {
        io::ErrorKind::ResourceBusy => (
            Kind::InUse,
            format!("{on} is open elsewhere; close it first"),
        ),
        io::ErrorKind::StorageFull => (
            Kind::NoSpace,
            format!("{on} cannot be {done}, because its pool is full; grow it and try again"),
        ),
        _ => (
            Kind::Unavailable,
            format!("{on} cannot be {done}; see the log"),
        ),
    };
    Error::new(kind, message).caused_by(error)
}
