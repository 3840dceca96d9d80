//! What somebody who guesses could learn from how long the answer takes: attempts on a locked, an unlocked and an unknown
//! account, taking turns.

use lockdown_enforcement::AttackProtection;

use crate::pam_client::Attempt;
use crate::statistics::{mann_whitney, median, microseconds};
use crate::{Host, PamClient, password_of};

/// Where the stack of all services is asked, and where it is asked without lockdown's lines.
const GUARDED: &str = "guarded";
const ALONE: &str = "alone";
const FROM: &str = "192.0.2.1";
const UNKNOWN: &str = "nobody-here";
/// A p not above this tells two samples apart.
pub const TELLS: f64 = 0.05;
/// From one block to the next the unlocked account's failures are forgotten, so that it stays unlocked.
const BLOCK: usize = 9;

/// Microseconds from `pam_start(3)` to the verdict, of as many attempts each.
#[derive(Clone, Debug, Default)]
pub struct Times {
    /// A wrong password for a locked account.
    pub locked: Vec<f64>,
    /// The right one.
    pub locked_right: Vec<f64>,
    /// A wrong one for an account that is not locked.
    pub unlocked: Vec<f64>,
    /// One for an account that there is not.
    pub unknown: Vec<f64>,
    /// As `unlocked`, without lockdown.
    pub unlocked_alone: Vec<f64>,
    /// As `unknown`, without lockdown.
    pub unknown_alone: Vec<f64>,
}

impl Times {
    /// Locked and unlocked: the likelihood of such a difference if there is none.
    pub fn locked_or_not(&self) -> f64 {
        mann_whitney(&self.locked, &self.unlocked)
    }

    /// The right and the wrong password for a locked account.
    pub fn right_or_wrong(&self) -> f64 {
        mann_whitney(&self.locked_right, &self.locked)
    }

    /// What lockdown adds to attempts on an unknown account, and to those on one that there is: pam_unix(8) alone may make
    /// a difference, which is not counted.
    pub fn known_or_not(&self) -> f64 {
        // Those of one round, which had the same machine.
        let added = |with: &[f64], alone: &[f64]| -> Vec<f64> {
            with.iter().zip(alone).map(|(with, alone)| with - alone).collect()
        };
        mann_whitney(&added(&self.unknown, &self.unknown_alone), &added(&self.unlocked, &self.unlocked_alone))
    }

    /// The least of those about a locked account.
    pub fn of_locked(&self) -> f64 {
        self.locked_or_not().min(self.right_or_wrong())
    }

    /// The least of all three.
    pub fn of_all(&self) -> f64 {
        self.of_locked().min(self.known_or_not())
    }

    /// pam_unix(8) alone, for comparison.
    pub fn known_or_not_alone(&self) -> f64 {
        mann_whitney(&self.unknown_alone, &self.unlocked_alone)
    }

    /// Prints the medians and what the tests say.
    pub fn print(&self) {
        println!("{} attempts each, medians in µs:", self.locked.len());
        for (what, times) in [
            ("locked", &self.locked),
            ("locked, right password", &self.locked_right),
            ("unlocked", &self.unlocked),
            ("unknown", &self.unknown),
            ("unlocked, without lockdown", &self.unlocked_alone),
            ("unknown, without lockdown", &self.unknown_alone),
        ] {
            println!("    {what:<28} {:>10.1}", median(times));
        }
        println!(
            "Mann-Whitney p: locked/unlocked {:.3}, right/wrong while locked {:.3}, known/unknown by what lockdown adds {:.3} (pam_unix alone {:.3})",
            self.locked_or_not(),
            self.right_or_wrong(),
            self.known_or_not(),
            self.known_or_not_alone()
        );
    }
}

/// Measures until the times tell nothing, as `p` says, but three times at most: one in twenty tells something by chance. What
/// `p` says of the last time.
#[track_caller]
pub fn measure(host: &Host, client: &PamClient<'_>, attempts: usize, p: fn(&Times) -> f64) -> f64 {
    let measured = || {
        let times = measure_once(host, client, attempts);
        times.print();
        p(&times)
    };
    (0..2).map(|_| measured()).find(|&p| p > TELLS).unwrap_or_else(measured)
}

/// Measures once: `attempts` of each kind, rounded up to whole blocks.
#[track_caller]
pub fn measure_once(host: &Host, client: &PamClient<'_>, attempts: usize) -> Times {
    host.protect(&AttackProtection::default());
    host.sh(&format!(
        "cd /etc/pam.d
         printf '@include common-auth\\n@include common-account\\n' > {GUARDED}
         grep -v pam_lockdown common-auth > {ALONE}"
    ))
    .ok();
    let mut times = Times::default();
    let blocks = attempts.div_ceil(BLOCK).next_multiple_of(2);
    for block in 0..blocks {
        // Each of the two is the locked one for half of the time.
        let (locked, unlocked) = if block < blocks / 2 { ("alice", "bob") } else { ("bob", "alice") };
        host.forget_failures(unlocked);
        if block == 0 || block == blocks / 2 {
            client.attempts(&vec![Attempt::new(GUARDED, locked, "wrong").from(FROM); 10]);
        }
        let wrong = |service, user| Attempt::new(service, user, "wrong").from(FROM);
        let kinds = [
            wrong(GUARDED, locked),
            Attempt::new(GUARDED, locked, &password_of(locked)).from(FROM),
            wrong(GUARDED, unlocked),
            wrong(GUARDED, UNKNOWN),
            wrong(ALONE, unlocked),
            wrong(ALONE, UNKNOWN),
        ];
        // Nobody is always behind the same other one.
        let order: Vec<usize> =
            (0..BLOCK).flat_map(|round| shuffled(kinds.len(), block * BLOCK + round)).collect();
        let list: Vec<Attempt> = order.iter().map(|&kind| kinds[kind].clone()).collect();
        for (kind, outcome) in order.iter().zip(client.attempts(&list)) {
            assert!(!outcome.entered(), "{outcome:?}");
            let samples = [
                &mut times.locked,
                &mut times.locked_right,
                &mut times.unlocked,
                &mut times.unknown,
                &mut times.unlocked_alone,
                &mut times.unknown_alone,
            ];
            samples.into_iter().nth(*kind).expect("a kind").push(microseconds(outcome.took));
        }
    }
    times
}

/// The numbers below `count` in an order that `seed` says.
fn shuffled(count: usize, seed: usize) -> Vec<usize> {
    let mut order: Vec<usize> = (0..count).collect();
    let mut random = (seed as u32).wrapping_mul(2_654_435_761).wrapping_add(1);
    for last in (1..count).rev() {
        random = random.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
        order.swap(last, (random >> 16) as usize % (last + 1));
    }
    order
}
