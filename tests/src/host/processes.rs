//! Processes of this machine, as /proc shows them.

use std::fs;

use rustix::process::{Pid, Signal, kill_process};

/// Those whose parent is `parent`.
pub fn children_of(parent: u32) -> Vec<u32> {
    let processes = fs::read_dir("/proc").into_iter().flatten().flatten();
    processes
        .filter_map(|entry| entry.file_name().to_str()?.parse().ok())
        .filter(|&pid| status_field(pid, "PPid").is_some_and(|text| text == parent.to_string()))
        .collect()
}

/// Kills a process and all that descends from it.
pub fn kill_tree(pid: u32) {
    let children = children_of(pid);
    if let Some(pid) = i32::try_from(pid).ok().and_then(Pid::from_raw) {
        // It may have ended by itself.
        let _ = kill_process(pid, Signal::KILL);
    }
    for child in children {
        kill_tree(child);
    }
}

/// Whether it is the init of a pid namespace below ours.
pub fn is_init_of_namespace(pid: u32) -> bool {
    status_field(pid, "NSpid").is_some_and(|ids| {
        let ids: Vec<&str> = ids.split_whitespace().collect();
        ids.len() > 1 && ids.last() == Some(&"1")
    })
}

/// A field of `/proc/PID/status`, see proc(5).
fn status_field(pid: u32, name: &str) -> Option<String> {
    let status = fs::read_to_string(format!("/proc/{pid}/status")).ok()?;
    let (_, value) =
        status.lines().filter_map(|line| line.split_once(':')).find(|(field, _)| *field == name)?;
    Some(value.trim().to_owned())
}
