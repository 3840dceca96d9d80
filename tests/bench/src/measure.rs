//! Takes the times.

use std::ffi::{CStr, CString};
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use crate::libpam::{Item, SUCCESS, Transaction, c_path};

const ROUNDS: usize = 200;
const CALLS_PER_ROUND: usize = 50;
const TRANSACTIONS_PER_ROUND: usize = 5;

/// A file in the directory of stacks.
pub struct Stack {
    /// For people.
    pub name: String,
    /// For libpam.
    pub service: CString,
    /// What is measured.
    pub work: Work,
    /// Removed before every round.
    pub tally: Option<PathBuf>,
}

/// What a service does with a stack.
#[derive(Clone, Copy)]
pub enum Work {
    /// `pam_acct_mgmt`.
    Account,
    /// `pam_authenticate`, which fails.
    WrongPassword,
    /// `pam_authenticate` and `pam_acct_mgmt`.
    Login,
}

/// Microseconds.
#[derive(Clone, Copy)]
pub struct Times {
    /// The median.
    pub median: f64,
    /// The shortest.
    pub min: f64,
}

/// What one stack costs.
pub struct Measured {
    /// The work in a transaction that is under way.
    pub call: Times,
    /// `pam_start` to `pam_end`, with the loading of the module.
    pub transaction: Times,
}

impl Measured {
    /// What it costs more than `floor`.
    pub fn net_of(&self, floor: &Self) -> Self {
        let net = |times: Times, floor: Times| Times {
            median: times.median - floor.median,
            min: times.min - floor.min,
        };
        Self { call: net(self.call, floor.call), transaction: net(self.transaction, floor.transaction) }
    }
}

/// Measures all stacks, taking turns. Ends the program if one of them refuses.
pub fn measure<const COUNT: usize>(
    stacks: &[Stack; COUNT],
    user: &CStr,
    directory: &Path,
) -> [Measured; COUNT] {
    let directory = c_path(directory);
    let calls = in_turns(stacks, |stack, times| {
        let transaction = start(stack, user, &directory);
        check(stack, &transaction);
        for _ in 0..CALLS_PER_ROUND {
            times.push(time(|| check(stack, &transaction)));
        }
    });
    let transactions = in_turns(stacks, |stack, times| {
        for _ in 0..TRANSACTIONS_PER_ROUND {
            times.push(time(|| check(stack, &start(stack, user, &directory))));
        }
    });
    let mut both = calls.into_iter().zip(transactions);
    std::array::from_fn(|_| {
        let (call, transaction) = both.next().expect("as many as there are stacks");
        Measured { call, transaction }
    })
}

fn start(stack: &Stack, user: &CStr, directory: &CStr) -> Transaction {
    let transaction = Transaction::start(&stack.service, user, directory);
    transaction.set(Item::RemoteHost, c"192.0.2.1");
    transaction
}

fn check(stack: &Stack, transaction: &Transaction) {
    let code = match stack.work {
        Work::Account => transaction.check_account(0),
        Work::WrongPassword => transaction.authenticate(),
        Work::Login => match transaction.authenticate() {
            SUCCESS => transaction.check_account(0),
            code => code,
        },
    };
    if (code == SUCCESS) == matches!(stack.work, Work::WrongPassword) {
        panic!(
            "{} answers with PAM code {code}; run this as root, for an account that may log in",
            stack.name
        );
    }
}

fn time(work: impl FnOnce()) -> Duration {
    let start = Instant::now();
    work();
    start.elapsed()
}

fn in_turns<const COUNT: usize>(
    stacks: &[Stack; COUNT],
    mut measure: impl FnMut(&Stack, &mut Vec<Duration>),
) -> [Times; COUNT] {
    let mut times: [Vec<Duration>; COUNT] = std::array::from_fn(|_| Vec::new());
    let mut order: [usize; COUNT] = std::array::from_fn(|index| index);
    let mut random = 1_u32;
    for _ in 0..ROUNDS {
        shuffle(&mut order, &mut random);
        for index in order {
            if let Some(tally) = &stacks[index].tally {
                // It may not be there.
                let _ = std::fs::remove_file(tally);
            }
            measure(&stacks[index], &mut times[index]);
        }
    }
    times.map(|mut times| {
        times.sort_unstable();
        let microseconds = |index: usize| times[index].as_nanos() as f64 / 1000.0;
        Times { median: microseconds(times.len() / 2), min: microseconds(0) }
    })
}

/// A new order every round, or each stack would always find the caches as the same other one has left them.
fn shuffle(order: &mut [usize], random: &mut u32) {
    for last in (1..order.len()).rev() {
        *random = random.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
        order.swap(last, (*random >> 16) as usize % (last + 1));
    }
}
