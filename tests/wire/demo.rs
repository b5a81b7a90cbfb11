//! A running `standpipe demo`.

use std::io::{BufRead as _, BufReader};
use std::net::SocketAddr;
use std::path::Path;
use std::process::{Child, ChildStdout, Command, ExitStatus, Stdio};

use rustix::process::{Pid, Signal, kill_process};

use super::client::{self, Client};

/// The program, from its `ready` line to its end; stopped when dropped.
pub struct Demo {
    child: Child,
    urls: Vec<String>,
    /// Kept open: what the program still says must not break it.
    _said: BufReader<ChildStdout>,
}

impl Demo {
    /// An array with that many volumes.
    pub fn with_volumes(volumes: u32) -> Self {
        Self::start(volumes, None)
    }

    /// An array that keeps its state in a directory.
    pub fn kept_in(state: &Path, volumes: u32) -> Self {
        Self::start(volumes, Some(state))
    }

    fn start(volumes: u32, state: Option<&Path>) -> Self {
        let mut command = Command::new(env!("CARGO_BIN_EXE_standpipe"));
        command
            .args(["demo", "--listen", "http://127.0.0.1:0"])
            .args(["--listen", "https://127.0.0.1:0"])
            .args(["--user", client::USER, "--volumes", &volumes.to_string()])
            .env("STANDPIPE_PASSWORD", client::PASSWORD)
            .stdin(Stdio::null())
            .stdout(Stdio::piped())
            .stderr(Stdio::null());
        if let Some(state) = state {
            command.arg("--state").arg(state);
        }
        let mut child = command.spawn().expect("the program starts");
        let mut said = BufReader::new(child.stdout.take().expect("a pipe"));
        let mut ready = String::new();
        said.read_line(&mut ready).expect("readable");
        let words = ready.split_whitespace();
        let urls = words.filter(|word| word.contains("://")).map(str::to_owned);
        let demo = Self {
            child,
            urls: urls.collect(),
            _said: said,
        };
        assert!(ready.starts_with("ready "), "it said {ready:?}");
        demo
    }

    /// Where it listens with that scheme.
    pub fn address(&self, scheme: &str) -> SocketAddr {
        let rest = |url: &String| {
            let (found, rest) = url.split_once("://")?;
            (found == scheme).then(|| rest.trim_end_matches('/').parse().ok())?
        };
        self.urls.iter().find_map(rest).expect("a listener")
    }

    /// A connection with plain HTTP.
    pub fn connect(&self) -> Client {
        Client::plain(self.address("http"))
    }

    /// A figure of `/proc/<pid>/status`, in KiB.
    pub fn memory(&self, figure: &str) -> u64 {
        let status = std::fs::read_to_string(format!("/proc/{}/status", self.child.id()));
        let status = status.expect("a process");
        let line = status.lines().find(|line| line.starts_with(figure));
        let number = line.and_then(|line| line.split_whitespace().nth(1));
        number.expect("a figure").parse().expect("a number")
    }

    /// Asks it to end.
    pub fn terminate(&self) {
        kill_process(Pid::from_child(&self.child), Signal::TERM).expect("it runs");
    }

    /// Asks it to end and waits until it has.
    pub fn stop(mut self) -> ExitStatus {
        self.terminate();
        self.child.wait().expect("an exit status")
    }

    /// Waits until it has ended.
    pub fn ended(mut self) -> ExitStatus {
        self.child.wait().expect("an exit status")
    }
}

impl Drop for Demo {
    fn drop(&mut self) {
        if let Ok(None) = self.child.try_wait() {
            self.terminate();
            let _it_has_ended = self.child.wait();
        }
    }
}
