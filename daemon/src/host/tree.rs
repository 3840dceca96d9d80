//! A process and what descends from it, held still before it is ended: a child that is being forked while its parent dies has
//! nothing left by which it could be found.

use std::{
    collections::BTreeSet,
    time::{Duration, Instant},
};

use super::processes::{Held, Target, find};

/// How long a process may take to stop: what it waits for in the kernel may not let it.
const PATIENCE: Duration = Duration::from_millis(100);
const PAUSE: Duration = Duration::from_millis(1);
/// Most generations that are followed.
const GENERATIONS: usize = 16;

/// Stops a tree from its root on, until nothing new is found in it.
///
/// Only where the root is sshd's: a shell would tell its user that the `su` in it has stopped.
pub fn hold_still(target: &Target) {
    let Target::Tree { leader } = target else { return };
    if Held::take(*leader).is_some_and(|held| held.facts.program.starts_with("sshd")) {
        stop_all(target);
    }
}

fn stop_all(target: &Target) {
    let mut known = BTreeSet::new();
    for _ in 0..GENERATIONS {
        let new: Vec<Held> =
            find(target).its.into_iter().filter(|held| known.insert(held.facts.pid)).collect();
        if new.is_empty() {
            return;
        }
        new.iter().for_each(Held::stop);
        let deadline = Instant::now() + PATIENCE;
        // A fork that has begun still comes to its end.
        while !new.iter().all(Held::is_still) && Instant::now() < deadline {
            std::thread::sleep(PAUSE);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::process::Command;

    #[test]
    fn what_forks_while_it_is_stopped_is_found() {
        // At most 300 children, each for at most 20 seconds.
        let forks = "for _ in $(seq 300); do sleep 20 & done; wait";
        let mut root =
            Command::new("timeout").args(["--kill-after=1", "20", "sh", "-c", forks]).spawn().unwrap();
        let target = Target::Tree { leader: root.id() };
        while find(&target).its.len() < 20 {
            std::thread::sleep(PAUSE);
        }
        stop_all(&target);
        let found = find(&target).its;
        std::thread::sleep(Duration::from_millis(50));
        let later = find(&target).its;
        let ids = |held: &[Held]| held.iter().map(|held| held.facts.pid).collect::<BTreeSet<_>>();
        let same = ids(&found) == ids(&later);
        let still = later.iter().all(Held::is_still);
        later.iter().for_each(Held::kill);
        root.wait().unwrap();
        assert!(still && same, "{} and {}", found.len(), later.len());
    }
}
