//! Programs that run once: by absolute path, with an argument vector, a closed environment and
//! nothing on standard input, so that a question is answered by "no".

use std::io::{self, Read};
use std::os::unix::process::CommandExt;
use std::path::Path;
use std::process::{Child, Command, ExitStatus, Stdio};
use std::sync::mpsc::{RecvTimeoutError, sync_channel};
use std::thread;

use rustix::process::{Pid, Signal, kill_process};

use super::watch::Deadline;

/// Most that is kept of what a program prints on each stream, in bytes; it may print more.
const OUTPUT_LIMIT: u64 = 64 << 20;

/// How a program ended.
#[derive(Debug)]
pub struct Ended {
    /// Its status.
    pub status: ExitStatus,
    /// Its standard output.
    pub output: String,
    /// Its standard error.
    pub errors: String,
}

/// Why there is no end to report.
#[derive(Debug, thiserror::Error)]
pub enum RunError {
    /// It could not be started; nothing was done.
    #[error("the program could not be started")]
    Start(#[source] io::Error),
    /// It did not end in time. It was asked to end and may go on.
    #[error("the program did not end in time")]
    TimedOut,
}

/// Runs a program at most until the deadline. Then it is interrupted and left to itself: killed in
/// the middle it might leave a device suspended.
pub fn run(
    program: &Path,
    arguments: &[String],
    environment: &[(&str, &Path)],
    deadline: Deadline,
) -> Result<Ended, RunError> {
    let mut child = Command::new(program)
        .args(arguments)
        .env_clear()
        .env("LC_ALL", "C")
        .env("PATH", "/usr/sbin:/usr/bin:/sbin:/bin")
        .envs(environment.iter().copied())
        .process_group(0)
        .stdin(Stdio::null())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .map_err(RunError::Start)?;
    let pid = i32::try_from(child.id()).ok().and_then(Pid::from_raw);
    let (sender, ends) = sync_channel(1);
    thread::spawn(move || {
        // Nobody may be waiting any more.
        let _ = sender.send(end(&mut child));
    });
    match ends.recv_timeout(deadline.left()) {
        Ok(ended) => ended.map_err(RunError::Start),
        Err(RecvTimeoutError::Timeout) => {
            if let Some(pid) = pid {
                // It may have ended just now, which is as good.
                let _ = kill_process(pid, Signal::INT);
            }
            Err(RunError::TimedOut)
        }
        Err(RecvTimeoutError::Disconnected) => Err(RunError::Start(io::Error::other(
            "the thread that waited for it ended",
        ))),
    }
}

/// Takes everything that it says, and waits for its end.
fn end(child: &mut Child) -> io::Result<Ended> {
    let errors = child.stderr.take();
    let errors = thread::spawn(move || errors.map_or_else(String::new, text));
    let output = child.stdout.take().map_or_else(String::new, text);
    Ok(Ended {
        output,
        errors: errors.join().unwrap_or_default(),
        status: child.wait()?,
    })
}

/// Reads to the end and keeps the beginning.
fn text(mut stream: impl Read) -> String {
    let mut kept = Vec::new();
    let read = stream.by_ref().take(OUTPUT_LIMIT).read_to_end(&mut kept);
    if read.is_ok() {
        // A reader that stops would stop the program, too.
        let _ = io::copy(&mut stream, &mut io::sink());
    }
    String::from_utf8_lossy(&kept).into_owned()
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::time::Duration;

    fn sh(script: &str, limit: Duration) -> Result<Ended, RunError> {
        let arguments = ["-c".to_owned(), script.to_owned()];
        run(
            Path::new("/bin/sh"),
            &arguments,
            &[("PLACE", Path::new("/here"))],
            Deadline::after(limit),
        )
    }

    #[test]
    fn both_streams_and_the_status_come_back_and_a_question_hears_nothing() {
        let script = "read answer; echo out $? $PLACE $HOME; echo err >&2; exit 5";
        let ended = sh(script, Duration::from_secs(60)).expect("it ends");
        assert_eq!(ended.output, "out 1 /here\n");
        assert_eq!(ended.errors, "err\n");
        assert_eq!(ended.status.code(), Some(5));
    }

    #[test]
    fn a_program_that_hangs_is_given_up() {
        let error = sh("exec sleep 60", Duration::from_millis(50));
        assert!(matches!(error, Err(RunError::TimedOut)));
    }

    #[test]
    fn a_missing_program_is_a_start_error() {
        let error = run(
            Path::new("/nonexistent/program"),
            &[],
            &[],
            Deadline::after(Duration::from_secs(60)),
        );
        assert!(matches!(error, Err(RunError::Start(_))));
    }
}
