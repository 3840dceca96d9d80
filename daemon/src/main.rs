//! `lockdownd`: see lockdownd(8).

use std::process::ExitCode;

use lockdownd::{host::memory, logging, report, service};

/// sysexits.h: what is wrong lasts until somebody mends it; the unit does not restart on it.
const EX_CONFIG: u8 = 78;

fn main() -> ExitCode {
    match std::env::args().nth(1).as_deref() {
        None => run(),
        Some("--version") => {
            println!("lockdownd {}", env!("CARGO_PKG_VERSION"));
            ExitCode::SUCCESS
        }
        Some(_) => {
            eprintln!(
                "lockdownd takes no arguments but --version; it is started by systemd. See lockdownd(8)."
            );
            ExitCode::from(2)
        }
    }
}

fn run() -> ExitCode {
    memory::share_one_heap();
    logging::start();
    if let Err(error) = report::start() {
        tracing::error!("the journal is not told of events: {error}");
    }
    let runtime = match tokio::runtime::Builder::new_current_thread().enable_all().build() {
        Ok(runtime) => runtime,
        Err(error) => {
            tracing::error!("lockdownd cannot start: {error}");
            return ExitCode::FAILURE;
        }
    };
    let result = runtime.block_on(service::run());
    if let Err(error) = &result {
        // First of all: journald has to see which unit says so before the process is gone.
        tracing::error!("lockdownd stops: {error}");
    }
    runtime.shutdown_timeout(service::SHUTDOWN_PATIENCE);
    report::finish(service::SHUTDOWN_PATIENCE);
    match result {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) if error.is_lasting() => ExitCode::from(EX_CONFIG),
        Err(_) => ExitCode::FAILURE,
    }
}
