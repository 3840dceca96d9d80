//! Whether somebody who guesses can tell a locked, an unlocked and an unknown account apart by the time that the answer takes,
//! or the right password while the account is locked.
//!
//! ```text
//! oracle-bench [--check] [--attempts NUMBER]
//! ```
//!
//! Boots Debian hosts, as root, as the stories of `tests/accept` do, with the package that `LOCKDOWN_DEB` names, and makes real
//! attempts with the stacks that the package leaves, without the random delay after a failure: 1,000 of each kind, or as many
//! as are named. `--check` makes it an exit code of 1 if they can be told apart, Mann-Whitney p ≤ 0.05, in three runs: one in
//! seven tells something by chance. Then, for comparison, what a tenth as many attempts tell where failures are answered at once.

use std::path::PathBuf;
use std::process::ExitCode;

use lockdown_tests::{Host, Release, oracle, pam_client};

/// The argument with which this program runs on the hosts.
const ON_HOST: &str = "--on-host";
/// A p not above this tells two samples apart.
const TELLS: f64 = 0.05;

struct Options {
    check: bool,
    attempts: usize,
}

/// `None`: this is the client on a host.
fn options() -> Result<Option<Options>, String> {
    let mut options = Options { check: false, attempts: 1000 };
    let mut words = std::env::args().skip(1);
    while let Some(word) = words.next() {
        match word.as_str() {
            ON_HOST => return Ok(None),
            "--check" => options.check = true,
            "--attempts" => {
                let number = words.next().and_then(|word| word.parse().ok());
                options.attempts = number.ok_or("--attempts needs a number")?;
            }
            _ => return Err(format!("unknown argument {word:?}; known are --check, --attempts NUMBER")),
        }
    }
    Ok(Some(options))
}

fn main() -> Result<ExitCode, String> {
    let Some(options) = options()? else {
        pam_client::main();
        return Ok(ExitCode::SUCCESS);
    };
    let program: PathBuf = std::env::current_exe().map_err(|error| error.to_string())?;
    let mut told = false;
    for release in [Release::Bookworm, Release::Trixie] {
        let host = Host::with_lockdown(release);
        let client = host.pam_client(&program, &[ON_HOST]);
        println!("{release}");
        let mut least = (0..3).map(|_| oracle::measure(&host, &client, options.attempts).least());
        told |= least.all(|p| p <= TELLS);
        println!("{release}, answered at once");
        host.answer_at_once();
        oracle::measure(&host, &client, options.attempts / 10);
    }
    Ok(if options.check && told { ExitCode::FAILURE } else { ExitCode::SUCCESS })
}
