//! What is generated from the command line of `lockdownctl`.

use std::fs::{self, File};
use std::io::{self, Write};
use std::path::Path;

use clap::Command;
use clap_complete::Shell;
use clap_mangen::Man;

use crate::roff::escape;

const NAME: &str = "lockdownctl";
const SOURCE: &str = concat!("lockdown ", env!("CARGO_PKG_VERSION"));
const SEE_ALSO: &[(&str, u8)] =
    &[(NAME, 1), ("lockdown-state", 5), ("lockdown.toml", 5), ("lockdownd", 8), ("pam_lockdown", 8)];

/// Writes `lockdownctl.1` and one page for each subcommand, such as `lockdownctl-lock.1`.
pub fn write_pages(directory: &Path) -> io::Result<()> {
    fs::create_dir_all(directory)?;
    let mut command = lockdownctl::command().disable_help_subcommand(true);
    command.build();
    write_page_and_subcommands(directory, &command)
}

fn write_page_and_subcommands(directory: &Path, command: &Command) -> io::Result<()> {
    for subcommand in command.get_subcommands().filter(|subcommand| !subcommand.is_hide_set()) {
        write_page_and_subcommands(directory, subcommand)?;
    }
    let man = Man::new(command.clone()).source(SOURCE).manual("lockdown");
    let mut file = File::create(directory.join(man.get_filename()))?;
    man.render_title(&mut file)?;
    man.render_name_section(&mut file)?;
    write_synopsis(&mut file, command)?;
    man.render_description_section(&mut file)?;
    man.render_options_section(&mut file)?;
    if command.has_subcommands() {
        man.render_subcommands_section(&mut file)?;
    }
    if let Some(help) = command.get_after_long_help() {
        write_sections(&mut file, &help.to_string())?;
    }
    write_see_also(&mut file, &man.get_filename())
}

/// The usage as `--help` shows it; that of clap_mangen leaves out the values of options.
fn write_synopsis(page: &mut impl Write, command: &Command) -> io::Result<()> {
    let usage = command.clone().render_usage().to_string();
    writeln!(page, ".SH SYNOPSIS\n.nf")?;
    for line in usage.trim_start_matches("Usage:").trim().lines() {
        writeln!(page, "{}", escape(line.trim()))?;
    }
    writeln!(page, ".fi")
}

/// What stands below the options in `--help`: paragraphs, each a heading such as `Exit status:` and indented lines.
fn write_sections(page: &mut impl Write, help: &str) -> io::Result<()> {
    for paragraph in help.split("\n\n") {
        let (heading, lines) = paragraph.split_once('\n').unwrap_or((paragraph, ""));
        writeln!(page, ".SH {}\n.nf", escape(&heading.trim_end_matches(':').to_uppercase()))?;
        for line in lines.lines() {
            writeln!(page, "{}", escape(line.strip_prefix("  ").unwrap_or(line)))?;
        }
        writeln!(page, ".fi")?;
    }
    Ok(())
}

fn write_see_also(page: &mut impl Write, this: &str) -> io::Result<()> {
    let others: Vec<_> = SEE_ALSO
        .iter()
        .filter(|(name, section)| format!("{name}.{section}") != this)
        .map(|(name, section)| format!(".BR {} ({section})", escape(name)))
        .collect();
    writeln!(page, ".SH SEE ALSO\n{}", others.join(",\n"))
}

/// Writes the completions under the names by which the shells look for them.
pub fn write_completions(directory: &Path) -> io::Result<()> {
    for (shell, subdirectory, file) in [
        (Shell::Bash, "bash", "lockdownctl"),
        (Shell::Fish, "fish", "lockdownctl.fish"),
        (Shell::Zsh, "zsh", "_lockdownctl"),
    ] {
        let directory = directory.join(subdirectory);
        fs::create_dir_all(&directory)?;
        let mut file = File::create(directory.join(file))?;
        clap_complete::generate(shell, &mut lockdownctl::command(), NAME, &mut file);
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn help_below_the_options_becomes_sections() {
        let mut page = Vec::new();
        write_sections(&mut page, "Exit status:\n  0  done\n\nFiles:\n  .a  b-c").unwrap();
        let expected = ".SH EXIT STATUS\n.nf\n0  done\n.fi\n.SH FILES\n.nf\n\\&.a  b\\-c\n.fi\n";
        assert_eq!(String::from_utf8(page).unwrap(), expected);
    }

    #[test]
    fn a_page_does_not_point_to_itself() {
        let mut page = Vec::new();
        write_see_also(&mut page, "lockdownctl.1").unwrap();
        let expected = ".SH SEE ALSO\n.BR lockdown\\-state (5),\n.BR lockdown.toml (5),\n.BR lockdownd (8),\n.BR pam_lockdown (8)\n";
        assert_eq!(String::from_utf8(page).unwrap(), expected);
    }
}
