//! Waits for processes to be gone.

use std::time::Duration;

use lockdown_tests::Host;

/// Notes what is alice's by uid or loginuid, runs $ARGV[0], and prints how many milliseconds after its start the last of them
/// had gone; beside the command, so that it does not count what that does afterwards.
const WATCH: &str = r#"
    use Time::HiRes qw(time usleep);
    sub status { open(my $f, "<", "/proc/$_[0]/status") or return ""; local $/; return <$f> // "" }
    sub loginuid { open(my $f, "<", "/proc/$_[0]/loginuid") or return ""; return <$f> // "" }
    my @left = grep { loginuid($_) eq "1000" or status($_) =~ /^Uid:.*\b1000\b/m } map { m{/proc/(\d+)$} } glob("/proc/[0-9]*");
    die "nothing runs\n" unless @left;
    my $start = time;
    my $command = fork // die "fork";
    if (!$command) { exec "sh", "-c", $ARGV[0] }
    while (@left and time - $start < 30) {
        @left = grep { my $status = status($_); $status ne "" and $status !~ /^State:\s+Z/m } @left;
        usleep 500 if @left;
    }
    printf "%.3f\n", 1000 * (time - $start);
    waitpid $command, 0;
    die scalar(@left) . " are left\n" if @left;
"#;

/// Milliseconds from the start of `command` to the end of the last process that alice has now.
pub fn until_gone(host: &Host, command: &str) -> f64 {
    let watch = host.command(&["perl", "-e", WATCH, command]).timeout(Duration::from_secs(60)).run().ok();
    watch.text().parse().unwrap_or_else(|error| panic!("{error}: {watch}"))
}
