//! Links the unwinder statically. `libgcc_s.so.1`, which a Rust library asks for by default, takes 110 of the 125 µs
//! that loading it costs, and most processes that load a PAM module have no other use for it. `-static-libgcc` does
//! not help by itself because the standard library asks for `-lgcc_s` by name: so that name has to mean libgcc_eh.
//!
//! The segments are what else loading costs: each is an mmap and the page faults after it. GNU ld can make it two of them
//! instead of four or five; at what it costs to load, the module then stands beside one written in C.

use std::path::Path;
use std::{env, fs};

fn main() -> Result<(), Box<dyn std::error::Error>> {
    println!("cargo::rerun-if-changed=build.rs");
    if env::var("CARGO_CFG_TARGET_ENV")? != "gnu" {
        return Ok(());
    }
    let directory = env::var("OUT_DIR")?;
    fs::write(Path::new(&directory).join("libgcc_s.so"), "INPUT(-lgcc_eh)\n")?;
    println!("cargo::rustc-link-search=native={directory}");
    for target in ["cdylib", "examples"] {
        for argument in ["-static-libgcc", "-fuse-ld=bfd", "-Wl,-z,noseparate-code"] {
            println!("cargo::rustc-link-arg-{target}={argument}");
        }
    }
    // A symbol that nobody provides is an error now, not when sshd loads the module.
    println!("cargo::rustc-link-arg-cdylib=-Wl,-z,defs");
    Ok(())
}
