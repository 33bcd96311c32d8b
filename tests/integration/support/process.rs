//! The real binary as a process.

use std::io::{BufRead as _, BufReader, Read};
use std::net::SocketAddr;
use std::process::{Child, Command, ExitStatus, Stdio};
use std::sync::mpsc::{Receiver, channel};
use std::sync::{Arc, Mutex};
use std::thread;

use tempfile::TempDir;

use super::ADMIN_KEY;
use super::wait::PATIENCE;

/// A running command of the binary; killed when it is dropped.
pub struct Process {
    child: Child,
    lines: Receiver<String>,
    text: Arc<Mutex<String>>,
}

/// The binary, with nothing but `variables` in its environment, in a folder of its own.
pub fn command(folder: &TempDir, arguments: &[&str], variables: &[(&str, &str)]) -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_llm-proxy"));
    command.args(arguments).env_clear().current_dir(folder.path()).stdin(Stdio::null());
    command.envs(variables.iter().copied());
    command
}

impl Process {
    /// Runs a command to its end.
    pub fn output(folder: &TempDir, arguments: &[&str], variables: &[(&str, &str)]) -> (i32, String, String) {
        let output = command(folder, arguments, variables).output().unwrap();
        let text = |bytes: Vec<u8>| String::from_utf8(bytes).unwrap();
        (output.status.code().unwrap(), text(output.stdout), text(output.stderr))
    }

    /// Starts a command; what it writes can be waited for.
    pub fn start(folder: &TempDir, arguments: &[&str], variables: &[(&str, &str)]) -> Self {
        let mut command = command(folder, arguments, variables);
        let mut child = command.stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap();
        let (sender, lines) = channel();
        let text = Arc::new(Mutex::new(String::new()));
        let streams: [Box<dyn Read + Send>; 2] =
            [Box::new(child.stdout.take().unwrap()), Box::new(child.stderr.take().unwrap())];
        for stream in streams {
            let (sender, text) = (sender.clone(), Arc::clone(&text));
            thread::spawn(move || {
                for line in BufReader::new(stream).lines() {
                    let line = line.unwrap();
                    text.lock().unwrap().push_str(&format!("{line}\n"));
                    // Nobody may be waiting any more.
                    let _ = sender.send(line);
                }
            });
        }
        Self { child, lines, text }
    }

    /// Starts `serve` on a free port with a database in `folder`, and waits until it listens.
    pub fn serve(folder: &TempDir, variables: &[(&str, &str)]) -> (Self, SocketAddr) {
        let defaults =
            [("ADMIN_KEY", ADMIN_KEY), ("HOST", "127.0.0.1"), ("PORT", "0"), ("WORKERS", "1"), ("LOG_FORMAT", "json")];
        let all: Vec<(&str, &str)> = defaults.iter().chain(variables).copied().collect();
        let process = Self::start(folder, &["serve"], &all);
        let line = process.wait_for("\"message\":\"listening\"");
        let line: serde_json::Value = serde_json::from_str(&line).unwrap();
        let address = line["address"].as_str().unwrap().parse().unwrap();
        (process, address)
    }

    /// The next line that contains `part`.
    pub fn wait_for(&self, part: &str) -> String {
        loop {
            let line = self.lines.recv_timeout(PATIENCE);
            let line = line.unwrap_or_else(|error| panic!("{error} for {part:?} in:\n{}", self.text()));
            if line.contains(part) {
                return line;
            }
        }
    }

    /// Everything it wrote so far.
    pub fn text(&self) -> String {
        self.text.lock().unwrap().clone()
    }

    /// Its id in the system.
    pub fn id(&self) -> u32 {
        self.child.id()
    }

    /// The most memory that it ever held, in bytes; `None` where the system does not tell.
    pub fn peak_memory(&self) -> Option<u64> {
        let status = std::fs::read_to_string(format!("/proc/{}/status", self.id())).ok()?;
        let line = status.lines().find_map(|line| line.strip_prefix("VmHWM:"))?;
        let kilobytes: u64 = line.trim().trim_end_matches(" kB").parse().unwrap();
        Some(kilobytes * 1024)
    }

    /// Sends a signal such as `TERM`.
    pub fn signal(&self, name: &str) {
        let sent = Command::new("kill").args(["-s", name, &self.id().to_string()]).status().unwrap();
        assert!(sent.success());
    }

    /// Waits for its end; gives everything that it wrote.
    pub fn wait(mut self) -> (ExitStatus, String) {
        // Both readers end with the process.
        while self.lines.recv_timeout(PATIENCE).is_ok() {}
        let status = self.child.wait().unwrap();
        (status, self.text())
    }
}

impl Drop for Process {
    fn drop(&mut self) {
        // Both fail when it has ended, which is fine.
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}
