//! What somebody who guesses could learn from how long the answer takes: attempts on a locked, an unlocked and an unknown
//! account, in turn and at the same time.

use lockdown_enforcement::AttackProtection;

use crate::pam_client::Attempt;
use crate::statistics::{mann_whitney, median, microseconds};
use crate::{Host, PamClient, password_of};

/// The stack of all services.
const SERVICE: &str = "guarded";
const UNKNOWN: &str = "nobody-here";
/// So many guess at the same time, each from an address of their own.
const PROCESSES: usize = 3;
/// Fewer than lock: in a block each tries this often, then the unlocked account's failures are forgotten.
const ROUNDS: usize = 9;

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

    /// An account, and a name that is none.
    pub fn known_or_not(&self) -> f64 {
        mann_whitney(&self.unknown, &self.unlocked)
    }

    /// The least of the three.
    pub fn least(&self) -> f64 {
        self.locked_or_not().min(self.right_or_wrong()).min(self.known_or_not())
    }

    /// Prints the medians and what the tests say.
    pub fn print(&self) {
        println!("{} attempts each, medians in µs:", self.locked.len());
        for (what, times) in [
            ("locked", &self.locked),
            ("locked, right password", &self.locked_right),
            ("unlocked", &self.unlocked),
            ("unknown", &self.unknown),
        ] {
            println!("    {what:<24} {:>10.1}", median(times));
        }
        println!(
            "Mann-Whitney p: locked/unlocked {:.3}, right/wrong while locked {:.3}, known/unknown {:.3}",
            self.locked_or_not(),
            self.right_or_wrong(),
            self.known_or_not()
        );
    }

    fn of_kind(&mut self, kind: usize) -> &mut Vec<f64> {
        let kinds = [&mut self.locked, &mut self.locked_right, &mut self.unlocked, &mut self.unknown];
        kinds.into_iter().nth(kind).expect("a kind")
    }
}

/// Measures `attempts` of each kind, rounded up to whole blocks, and prints what came of it.
#[track_caller]
pub fn measure(host: &Host, client: &PamClient<'_>, attempts: usize) -> Times {
    // Nobody is locked but who is meant to be, however many guess.
    host.protect(&AttackProtection { max_attempts_total: 128, ..AttackProtection::default() });
    host.write(&format!("/etc/pam.d/{SERVICE}"), "@include common-auth\n@include common-account\n");
    let mut times = Times::default();
    let blocks = attempts.div_ceil(PROCESSES * ROUNDS).next_multiple_of(2);
    for block in 0..blocks {
        // Each of the two is the locked one for half of the time.
        let (locked, unlocked) = if block < blocks / 2 { ("alice", "bob") } else { ("bob", "alice") };
        host.forget_failures(unlocked);
        if block == 0 || block == blocks / 2 {
            let lists = (0..PROCESSES).map(|process| vec![attempt(locked, "wrong", process); 10]);
            make(client, lists.collect());
        }
        // Nobody is always behind the same other one.
        let orders: Vec<Vec<usize>> = (0..PROCESSES)
            .map(|process| {
                let seed = |round| (block * ROUNDS + round) * PROCESSES + process;
                (0..ROUNDS).flat_map(|round| shuffled(4, seed(round))).collect()
            })
            .collect();
        let right = password_of(locked);
        let lists = orders.iter().enumerate().map(|(process, order)| {
            let kinds = [(locked, "wrong"), (locked, &*right), (unlocked, "wrong"), (UNKNOWN, "wrong")];
            let attempts = order.iter().map(|&kind| attempt(kinds[kind].0, kinds[kind].1, process));
            attempts.collect()
        });
        for (order, took) in orders.iter().zip(make(client, lists.collect())) {
            for (&kind, took) in order.iter().zip(took) {
                times.of_kind(kind).push(took);
            }
        }
    }
    times.print();
    times
}

fn attempt(user: &str, password: &str, process: usize) -> Attempt {
    Attempt::new(SERVICE, user, password).from(&format!("192.0.2.{process}"))
}

/// How long each took; none led in.
fn make(client: &PamClient<'_>, lists: Vec<Vec<Attempt>>) -> Vec<Vec<f64>> {
    let lists: Vec<&[Attempt]> = lists.iter().map(Vec::as_slice).collect();
    let outcomes = client.attempts_at_once(&lists).into_iter();
    let took = outcomes.map(|outcomes| {
        assert!(outcomes.iter().all(|outcome| !outcome.entered()), "{outcomes:?}");
        outcomes.iter().map(|outcome| microseconds(outcome.took)).collect()
    });
    took.collect()
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
