//! One `lvm` shell that stays: commands go in as lines, one JSON document comes back for each.
//!
//! A command costs a third of a started process. The shell's report stream is its standard
//! output, so that no descriptor has to be passed, and everything meant for people goes to
//! standard error. A document that has been read whole is the end of its command; no prompt is
//! waited for. This module knows nothing of volumes.

use super::line::Line;
use super::report::Document;
use rustix::process::{Pid, Signal, kill_process};
use std::io::{self, BufReader, Read, Write};
use std::os::unix::process::CommandExt;
use std::path::PathBuf;
use std::process::{Child, ChildStdin, Command, Stdio};
use std::sync::mpsc::{Receiver, RecvTimeoutError, sync_channel};
use std::sync::{Arc, Mutex, PoisonError};
use std::thread;
use std::time::Duration;

/// Largest document taken from LVM, in bytes: far beyond a metadata area full of volumes.
const DOCUMENT_LIMIT: u64 = 256 << 20;
/// Most text kept of what the shell wrote to standard error, in bytes.
const COMPLAINT_LIMIT: usize = 8 << 10;

/// How a command failed.
#[derive(Debug, thiserror::Error)]
pub enum ShellError {
    /// The program could not be started; nothing was done.
    #[error("{program} could not be started")]
    Start {
        /// The program's path.
        program: String,
        /// Why.
        source: io::Error,
    },
    /// LVM refused or failed, and says so; its metadata commits are atomic.
    #[error("LVM refused `{command}`: {reason}")]
    Refused {
        /// The line.
        command: String,
        /// 2 no such command, 3 bad arguments, 5 anything else.
        code: u32,
        /// The first error of the log.
        reason: String,
    },
    /// No end within the deadline. The command may go on; whether it took effect must be
    /// read from LVM.
    #[error("LVM did not finish `{command}` within {seconds} s")]
    TimedOut {
        /// The line.
        command: String,
        /// The deadline.
        seconds: u64,
    },
    /// The shell died during the command. Whether it took effect must be read from LVM.
    #[error("LVM ended during `{command}`: {complaint}")]
    Died {
        /// The line.
        command: String,
        /// The end of its standard error.
        complaint: String,
    },
}

impl ShellError {
    /// Whether the command may have taken effect all the same.
    pub fn outcome_is_unknown(&self) -> bool {
        matches!(self, Self::TimedOut { .. } | Self::Died { .. })
    }
}

/// A shell, started at the first command and again after it died.
#[derive(Debug)]
pub struct Shell {
    program: PathBuf,
    system_dir: PathBuf,
    running: Option<Running>,
}

#[derive(Debug)]
struct Running {
    child: Child,
    lines: ChildStdin,
    documents: Receiver<Document>,
    complaints: Arc<Mutex<Vec<u8>>>,
}

impl Shell {
    /// A shell of `program` under a folder that [`super::system_dir::write`] made.
    pub fn new(program: impl Into<PathBuf>, system_dir: impl Into<PathBuf>) -> Self {
        Self {
            program: program.into(),
            system_dir: system_dir.into(),
            running: None,
        }
    }

    /// Runs one command to its end, at most for `deadline`.
    pub fn run(&mut self, line: &Line, deadline: Duration) -> Result<Document, ShellError> {
        let mut running = match self.running.take() {
            Some(running) => running,
            None => self.start()?,
        };
        running.forget_complaints();
        if running.send(line).is_err() {
            // It died while idle: the line was not read, so a fresh shell may take it.
            running.end();
            running = self.start()?;
            if running.send(line).is_err() {
                return Err(running.died(line));
            }
        }
        match running.documents.recv_timeout(deadline) {
            Ok(document) => {
                let outcome = running.judge(line, document);
                self.running = Some(running);
                outcome
            }
            Err(RecvTimeoutError::Disconnected) => Err(running.died(line)),
            Err(RecvTimeoutError::Timeout) => {
                running.abandon();
                Err(ShellError::TimedOut {
                    command: line.to_string(),
                    seconds: deadline.as_secs(),
                })
            }
        }
    }

    fn start(&self) -> Result<Running, ShellError> {
        let mut child = Command::new(&self.program)
            .env_clear()
            .env("LC_ALL", "C")
            .env("PATH", "/usr/sbin:/usr/bin:/sbin:/bin")
            .env("LVM_SYSTEM_DIR", &self.system_dir)
            .env("LVM_SUPPRESS_FD_WARNINGS", "1")
            .env("LVM_REPORT_FD", "1")
            .env("LVM_OUT_FD", "2")
            .process_group(0)
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .spawn()
            .map_err(|source| ShellError::Start {
                program: self.program.display().to_string(),
                source,
            })?;
        let (lines, reports, errors) =
            (child.stdin.take(), child.stdout.take(), child.stderr.take());
        let lines = lines.expect("standard input was asked to be a pipe");
        let reports = reports.expect("standard output was asked to be a pipe");
        let errors = errors.expect("standard error was asked to be a pipe");
        let (sender, documents) = sync_channel(1);
        thread::spawn(move || {
            let mut reports = Budgeted {
                inner: BufReader::new(reports),
                left: DOCUMENT_LIMIT,
            };
            loop {
                reports.left = DOCUMENT_LIMIT;
                let mut parser = serde_json::Deserializer::from_reader(&mut reports);
                let document = match serde::Deserialize::deserialize(&mut parser) {
                    Ok(document) => document,
                    Err(_) => break,
                };
                if sender.send(document).is_err() {
                    break;
                }
            }
        });
        let complaints = Arc::new(Mutex::new(Vec::new()));
        let kept = Arc::clone(&complaints);
        thread::spawn(move || keep_end(errors, &kept));
        Ok(Running {
            child,
            lines,
            documents,
            complaints,
        })
    }
}

impl Running {
    fn send(&mut self, line: &Line) -> io::Result<()> {
        writeln!(self.lines, "{line}")?;
        self.lines.flush()
    }

    /// Turns the shell's verdict into a result.
    fn judge(&self, line: &Line, document: Document) -> Result<Document, ShellError> {
        match document.result() {
            Some(1) => Ok(document),
            code => Err(ShellError::Refused {
                command: line.to_string(),
                code: code.unwrap_or(0),
                reason: match document.reason() {
                    Some(reason) => reason.to_owned(),
                    None => self.complaint(),
                },
            }),
        }
    }

    fn died(self, line: &Line) -> ShellError {
        let complaint = self.complaint();
        self.end();
        ShellError::Died {
            command: line.to_string(),
            complaint,
        }
    }

    fn complaint(&self) -> String {
        let kept = self
            .complaints
            .lock()
            .unwrap_or_else(PoisonError::into_inner);
        match String::from_utf8_lossy(&kept).trim() {
            "" => "no reason given".to_owned(),
            text => text.to_owned(),
        }
    }

    fn forget_complaints(&self) {
        self.complaints
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .clear();
    }

    /// Asks the command to end and leaves it to itself: a wait for a lock ends at once, anything
    /// else goes on to its end. Killed in the middle, LVM may leave a device suspended, and then
    /// everything that touches it hangs. The shell ends at the end of its input.
    fn abandon(self) {
        if let Some(pid) = self.pid() {
            // It may have ended just now, which is as good.
            let _ = kill_process(pid, Signal::INT);
        }
        let Self {
            mut child,
            lines,
            documents,
            ..
        } = self;
        drop(lines);
        thread::spawn(move || {
            // Takes what it still has to say, so that it never waits for a reader.
            while documents.recv().is_ok() {}
            let _ = child.wait();
        });
    }

    /// Lets an idle or dead shell go, and waits for its end elsewhere.
    fn end(self) {
        let Self {
            mut child, lines, ..
        } = self;
        drop(lines);
        thread::spawn(move || {
            let _ = child.wait();
        });
    }

    fn pid(&self) -> Option<Pid> {
        i32::try_from(self.child.id()).ok().and_then(Pid::from_raw)
    }
}

impl Drop for Shell {
    fn drop(&mut self) {
        if let Some(running) = self.running.take() {
            running.end();
        }
    }
}

/// A reader that ends when its budget is spent.
struct Budgeted<R> {
    inner: R,
    left: u64,
}

impl<R: Read> Read for Budgeted<R> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let take = usize::try_from(self.left)
            .unwrap_or(usize::MAX)
            .min(buffer.len());
        let read = self.inner.read(&mut buffer[..take])?;
        self.left = self.left.saturating_sub(read as u64);
        Ok(read)
    }
}

/// Reads to the end and keeps the last [`COMPLAINT_LIMIT`] bytes.
fn keep_end(mut input: impl Read, kept: &Mutex<Vec<u8>>) {
    let mut buffer = [0; 1024];
    while let Ok(read @ 1..) = input.read(&mut buffer) {
        let mut kept = kept.lock().unwrap_or_else(PoisonError::into_inner);
        kept.extend_from_slice(&buffer[..read]);
        let surplus = kept.len().saturating_sub(COMPLAINT_LIMIT);
        kept.drain(..surplus);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The stand-in for `lvm` is `sh`: it reads lines, too, and a test's lines say what it answers.
    fn shell() -> Shell {
        Shell::new("/bin/sh", "/nonexistent")
    }

    const OK: &str =
        r#"echo '{"log":[{"log_type":"status","log_context":"shell","log_ret_code":"1"}]}'"#;
    const LONG: Duration = Duration::from_secs(30);

    #[test]
    fn each_command_gets_its_own_document_from_one_process() {
        let line = Line::new(
            r#"n=$((n+1)); echo "{\"report\":[{\"vg\":[{\"vg_name\":\"$n\",\"vg_uuid\":\"$$\"}]}],
            \"log\":[{\"log_type\":\"status\",\"log_context\":\"shell\",\"log_ret_code\":\"1\"}]}""#,
        );
        let mut shell = shell();
        let first = shell.run(&line, LONG).expect("an answer").groups();
        let second = shell.run(&line, LONG).expect("an answer").groups();
        assert_eq!(
            (first[0].vg_name.as_str(), second[0].vg_name.as_str()),
            ("1", "2")
        );
        assert_eq!(first[0].vg_uuid, second[0].vg_uuid, "the same process");
    }

    #[test]
    fn a_refusal_carries_lvms_reason() {
        let line = Line::new(
            r#"echo '{"log":[{"log_type":"error","log_context":"processing","log_message":"no room"},
            {"log_type":"status","log_context":"shell","log_ret_code":"5"}]}'"#,
        );
        let error = shell().run(&line, LONG).expect_err("refused");
        assert!(error.to_string().ends_with("`: no room"), "{error}");
        assert!(matches!(error, ShellError::Refused { code: 5, .. }));
        assert!(!error.outcome_is_unknown());
    }

    #[test]
    fn a_death_leaves_the_outcome_unknown_and_the_next_command_gets_a_new_shell() {
        let mut shell = shell();
        let error = shell
            .run(&Line::new("kill -SEGV $$"), LONG)
            .expect_err("it died");
        assert!(error.outcome_is_unknown(), "{error}");
        assert!(shell.run(&Line::new(OK), LONG).is_ok());
    }

    #[test]
    fn a_shell_that_died_while_idle_is_replaced_without_a_word() {
        let mut shell = shell();
        for _ in 0..3 {
            shell
                .run(&Line::new(OK).with("; exit"), LONG)
                .expect("answered before it died");
            let running = shell.running.as_mut().expect("it was kept");
            running.child.wait().expect("it ends");
        }
    }

    #[test]
    fn a_command_that_hangs_ends_at_the_deadline() {
        let error = shell().run(&Line::new("exec cat"), Duration::from_millis(50));
        let error = error.expect_err("it hangs");
        assert!(matches!(error, ShellError::TimedOut { .. }), "{error}");
        assert!(error.outcome_is_unknown());
    }

    #[test]
    fn an_answer_that_is_no_json_is_a_death() {
        let error = shell()
            .run(&Line::new("echo hello"), LONG)
            .expect_err("no document");
        assert!(matches!(error, ShellError::Died { .. }), "{error}");
    }

    #[test]
    fn a_missing_program_is_a_start_error() {
        let mut shell = Shell::new("/nonexistent/lvm", "/nonexistent");
        let error = shell.run(&Line::new("vgs"), LONG).expect_err("not there");
        assert!(matches!(error, ShellError::Start { .. }));
        assert!(!error.outcome_is_unknown());
    }
}
