//! What a process takes of the machine, as the kernel tells it.

use std::fmt;
use std::fs;

/// What a process holds.
#[derive(Clone, Copy)]
pub struct Holding {
    /// Resident memory, in KiB.
    pub memory: u64,
    /// Open files, sockets among them.
    pub files: usize,
    pub sockets: usize,
}

impl Holding {
    /// What the process with this id holds now.
    pub fn of(process: u32) -> Self {
        let status = fs::read_to_string(format!("/proc/{process}/status")).unwrap();
        let memory = status.lines().find_map(|line| line.strip_prefix("VmRSS:")).unwrap();
        let memory = memory.trim().trim_end_matches(" kB").parse().unwrap();
        let entries = fs::read_dir(format!("/proc/{process}/fd")).unwrap();
        // A file that is closed meanwhile has no link any more.
        let links: Vec<_> = entries.filter_map(|entry| fs::read_link(entry.ok()?.path()).ok()).collect();
        let sockets = links.iter().filter(|link| link.to_string_lossy().starts_with("socket:")).count();
        Self { memory, files: links.len(), sockets }
    }
}

impl fmt::Display for Holding {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} KiB, {} files, {} sockets", self.memory, self.files, self.sockets)
    }
}
