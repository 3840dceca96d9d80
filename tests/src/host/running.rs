//! What runs on a host.

use super::Host;

impl Host {
    /// The command lines of everything that runs; of what has died and was not waited for yet, nothing.
    #[track_caller]
    pub fn commands(&self) -> Vec<String> {
        self.run(&["ps", "-e", "--no-headers", "-ww", "--format=args"])
            .ok()
            .stdout
            .lines()
            .map(|line| line.trim_end().to_owned())
            .collect()
    }

    /// Everything that is a person's by uid, subordinate uid, loginuid or control group, one a line.
    #[track_caller]
    pub fn belongings_of(&self, uid: u32) -> String {
        self.sh(&format!(
            "
            range=$(awk -F: -v name=$(id -nu {uid}) '$1 == name {{ print $2, $2 + $3 - 1 }}' /etc/subuid)
            ps -e --no-headers --format=uid,ruid,suid,pid,state,args | awk -v uid={uid} -v range=\"$range\" '
                function hers(id) {{ return id == uid || (id >= from && id <= to) }}
                BEGIN {{ split(range \" 1 0\", ends, \" \"); from = ends[1]; to = ends[2] }}
                $5 != \"Z\" && (hers($1) || hers($2) || hers($3))'
            grep --files-with-matches --line-regexp {uid} /proc/[0-9]*/loginuid 2>/dev/null || true
            find /sys/fs/cgroup/user.slice/user-{uid}.slice -name cgroup.procs -exec cat {{}} + 2>/dev/null || true
            "
        ))
        .ok()
        .stdout
    }
}
