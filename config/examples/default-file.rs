//! Prints `lockdown.toml`, the commented default file.

fn main() {
    print!("{}", lockdown_config::default_file());
}
