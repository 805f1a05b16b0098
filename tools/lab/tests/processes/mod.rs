//! Processes that a test has started, and what they have started.

use std::{collections::BTreeMap, fs, process::Child};

/// A child that is killed when the test fails.
pub struct Ended(pub Child);

impl Drop for Ended {
    fn drop(&mut self) {
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

/// `PID (NAME) STATE PARENT …`, of which the name may hold anything.
fn stat(process: u32) -> Option<(char, u32)> {
    let text = fs::read_to_string(format!("/proc/{process}/stat")).ok()?;
    let mut words = text[text.rfind(')')? + 1..].split_whitespace();
    let state = words.next()?.chars().next()?;
    Some((state, words.next()?.parse().ok()?))
}

/// Whether it runs. Whoever has no parent left to wait for it stays as a zombie.
pub fn runs(process: u32) -> bool {
    stat(process).is_some_and(|(state, _)| state != 'Z' && state != 'X')
}

/// All that descend from a process.
pub fn descendants(ancestor: u32) -> Vec<u32> {
    let Ok(processes) = fs::read_dir("/proc") else {
        return Vec::new();
    };
    let parents: BTreeMap<u32, u32> = processes
        .filter_map(|entry| entry.ok()?.file_name().to_str()?.parse().ok())
        .filter_map(|process| Some((process, stat(process)?.1)))
        .collect();
    let descends = |process: &u32| {
        let mut parent = parents.get(process);
        while let Some(found) = parent {
            if *found == ancestor {
                return true;
            }
            parent = parents.get(found);
        }
        false
    };
    parents.keys().copied().filter(descends).collect()
}
