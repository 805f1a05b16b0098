//! What the system says of itself and of a process. In full on Linux; elsewhere little.

use serde::{Deserialize, Serialize};

/// CPU time that a process has used.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct CpuTime {
    /// In nanoseconds, user and system.
    pub nanoseconds: u64,
    /// How it was read.
    pub source: CpuSource,
}

/// How CPU time is read.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum CpuSource {
    /// `/proc/PID/task/*/schedstat`: nanoseconds. Of a thread that runs while it is read, up to one
    /// scheduler's tick is missing; of one that sleeps, nothing.
    Schedstat,
    /// `/proc/PID/stat`: ticks, of 10 ms on most systems.
    Stat,
}

/// Memory, in bytes.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Memory {
    /// What the process has in memory (`Rss` of `smaps_rollup`).
    pub resident: u64,
    /// The kernel's own objects, of the whole machine (`Slab` of `meminfo`): sockets among them.
    pub slab: u64,
    /// Buffers of TCP sockets, of the whole machine (`mem` of `/proc/net/sockstat`).
    pub tcp: u64,
}

/// The machine.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct Machine {
    pub processor: String,
    /// How many processors this process may use.
    pub processors: usize,
    pub memory_mib: u64,
    pub system: String,
    pub kernel: String,
}

#[cfg(target_os = "linux")]
mod linux {
    use super::{CpuSource, CpuTime, Machine, Memory};
    use procfs::{process::Process, Current as _};
    use std::fs;

    fn process(id: u32) -> Option<Process> {
        Process::new(id.cast_signed()).ok()
    }

    pub fn cpu_time(id: u32) -> Option<CpuTime> {
        let process = process(id)?;
        let threads = process.tasks().ok()?;
        let run: Option<u64> = threads
            // A thread may end between the listing and the reading.
            .filter_map(Result::ok)
            .map(|thread| Some(thread.schedstat().ok()?.sum_exec_runtime))
            .sum();
        if let Some(nanoseconds) = run.filter(|run| *run > 0) {
            let source = CpuSource::Schedstat;
            return Some(CpuTime {
                nanoseconds,
                source,
            });
        }
        let stat = process.stat().ok()?;
        let ticks = stat.utime + stat.stime;
        Some(CpuTime {
            nanoseconds: ticks * 1_000_000_000 / procfs::ticks_per_second(),
            source: CpuSource::Stat,
        })
    }

    pub fn memory(id: u32) -> Option<Memory> {
        let rollup = process(id)?.smaps_rollup().ok()?.memory_map_rollup;
        let resident = rollup.0.first()?.extension.map.get("Rss").copied()?;
        Some(Memory {
            resident,
            slab: procfs::Meminfo::current().ok()?.slab,
            tcp: tcp().unwrap_or(0),
        })
    }

    pub fn family(root: u32) -> Vec<u32> {
        let stats = procfs::process::all_processes().into_iter().flatten();
        let parents: Vec<(u32, u32)> = stats
            .filter_map(|process| process.ok()?.stat().ok())
            .map(|stat| (stat.pid.cast_unsigned(), stat.ppid.cast_unsigned()))
            .collect();
        let mut family = vec![root];
        let mut at = 0;
        while let Some(parent) = family.get(at).copied() {
            let children = parents.iter().filter(|(_, of)| *of == parent);
            family.extend(children.map(|(child, _)| child));
            at += 1;
        }
        family
    }

    pub fn cpu_time_of(family: &[u32]) -> Option<CpuTime> {
        let times = family.iter().map(|id| cpu_time(*id));
        times.reduce(|sum, time| {
            let (sum, time) = (sum?, time?);
            (sum.source == time.source).then_some(CpuTime {
                nanoseconds: sum.nanoseconds + time.nanoseconds,
                source: sum.source,
            })
        })?
    }

    pub fn memory_of(family: &[u32]) -> Option<Memory> {
        let proportional = |id: &u32| {
            let rollup = process(*id)?.smaps_rollup().ok()?.memory_map_rollup;
            rollup.0.first()?.extension.map.get("Pss").copied()
        };
        Some(Memory {
            resident: family.iter().map(proportional).sum::<Option<u64>>()?,
            ..memory(*family.first()?)?
        })
    }

    /// `TCP: inuse 6 orphan 0 tw 236 alloc 6 mem 0`, the last in pages.
    fn tcp() -> Option<u64> {
        let text = fs::read_to_string("/proc/net/sockstat").ok()?;
        let line = text.lines().find_map(|line| line.strip_prefix("TCP:"))?;
        let mut words = line.split_whitespace().skip_while(|word| *word != "mem");
        let pages: u64 = words.nth(1)?.parse().ok()?;
        Some(pages * procfs::page_size())
    }

    pub fn machine() -> Machine {
        let processor = procfs::CpuInfo::current().ok();
        let processor = processor.and_then(|info| info.model_name(0).map(str::to_owned));
        let memory = procfs::Meminfo::current().map_or(0, |memory| memory.mem_total);
        let kernel = fs::read_to_string("/proc/sys/kernel/osrelease").unwrap_or_default();
        Machine {
            processor: processor.unwrap_or_else(|| "unknown".to_owned()),
            memory_mib: memory / 1024 / 1024,
            kernel: kernel.trim().to_owned(),
            ..Machine::default()
        }
    }

    pub fn number(path: &str) -> Option<u64> {
        fs::read_to_string(path).ok()?.trim().parse().ok()
    }

    pub fn client_ports() -> Option<u32> {
        let text = fs::read_to_string("/proc/sys/net/ipv4/ip_local_port_range").ok()?;
        let mut bounds = text.split_whitespace().map(str::parse::<u32>);
        let (first, last) = (bounds.next()?.ok()?, bounds.next()?.ok()?);
        // Of the last tenth some may be in use, or wait for late packets of a closed connection.
        Some(((last + 1).checked_sub(first)? * 9 / 10).max(1))
    }

    pub fn load() -> Option<f64> {
        let load = procfs::LoadAverage::current().ok()?;
        Some(f64::from(load.one))
    }
}

#[cfg(not(target_os = "linux"))]
mod linux {
    use super::{CpuTime, Machine, Memory};

    pub fn cpu_time(_id: u32) -> Option<CpuTime> {
        None
    }

    pub fn memory(_id: u32) -> Option<Memory> {
        None
    }

    pub fn family(root: u32) -> Vec<u32> {
        vec![root]
    }

    pub fn cpu_time_of(_family: &[u32]) -> Option<CpuTime> {
        None
    }

    pub fn memory_of(_family: &[u32]) -> Option<Memory> {
        None
    }

    pub fn machine() -> Machine {
        Machine::default()
    }

    pub fn number(_path: &str) -> Option<u64> {
        None
    }

    pub fn client_ports() -> Option<u32> {
        None
    }

    pub fn load() -> Option<f64> {
        None
    }
}

/// The CPU time of all threads of a process; `None` where the system does not tell. A thread that
/// has ended is not in it: no server of the lab ends one while it is measured.
pub use linux::cpu_time;

/// A process and all that descend from it, itself first; elsewhere than on Linux itself alone.
pub use linux::family;

/// The CPU time of several processes; `None` where that of one is not known.
pub use linux::cpu_time_of;

/// How many connections this machine makes to one address and port, with a tenth to spare; `None`
/// where the system does not tell.
pub use linux::client_ports;
/// As [`memory`], of several processes. A page that some of them share counts once, in equal parts
/// (`Pss`).
pub use linux::memory_of;

/// A number that the kernel shows as a file, such as a limit.
pub use linux::number;

/// The load of the last minute: how many processes ran or wanted to.
pub use linux::load;

/// What a process has in memory, and what the kernel has for all; `None` where the system does not
/// tell.
pub use linux::memory;

/// The machine that this runs on.
pub fn machine() -> Machine {
    Machine {
        processors: std::thread::available_parallelism().map_or(1, usize::from),
        system: std::env::consts::OS.to_owned(),
        ..linux::machine()
    }
}

/// Raises the number of files that this process, and what it starts, may open, as far as it is
/// allowed; how many that is. `None` where there is no such limit.
#[cfg(unix)]
pub fn raise_descriptors() -> Option<u64> {
    use rustix::process::{getrlimit, setrlimit, Resource, Rlimit};
    let limit = getrlimit(Resource::Nofile);
    let raised = Rlimit {
        current: limit.maximum,
        maximum: limit.maximum,
    };
    match setrlimit(Resource::Nofile, raised) {
        Ok(()) => limit.maximum,
        Err(_) => limit.current,
    }
}

/// The system has no such limit.
#[cfg(not(unix))]
pub fn raise_descriptors() -> Option<u64> {
    None
}

#[cfg(all(test, target_os = "linux"))]
mod tests {
    use super::*;

    #[test]
    fn work_takes_cpu_time_and_a_page_that_is_touched_takes_memory() {
        let own = std::process::id();
        let cpu = || cpu_time(own).unwrap().nanoseconds;
        let resident = || memory(own).unwrap().resident;
        // Far more than the tests beside this one take or give back.
        const TOUCHED: usize = 64 * 1024 * 1024;
        let (before, mut bytes) = (resident(), vec![0_u8; TOUCHED]);
        bytes
            .iter_mut()
            .step_by(4096)
            .for_each(|byte| *byte = byte.wrapping_add(1));
        let grown = resident().saturating_sub(before);
        assert!(grown > TOUCHED as u64 / 2, "{grown}");
        // The kernel adds a running thread's time at its ticks, so this works until it has.
        let (before, started) = (cpu(), std::time::Instant::now());
        while cpu() == before {
            assert!(started.elapsed().as_secs() < 30, "no CPU time is counted");
            bytes
                .iter_mut()
                .step_by(4096)
                .for_each(|byte| *byte = byte.wrapping_add(1));
        }
        let machine = machine();
        assert!(
            machine.processors >= 1 && machine.memory_mib > 0,
            "{machine:?}"
        );
    }
}
