//! By what an account signs in, or has something run without signing in.

use super::Host;

impl Host {
    /// The account's line of shadow, its keys (all of `~/.ssh` and `~/keys`), its table of cron, its jobs of at and whether it
    /// lingers: of each file kind, mode, owner, target of the link and a hash of the content, one a line. Two such texts
    /// are equal if nothing differs in a byte.
    #[track_caller]
    pub fn sign_in_state(&self, account: &str) -> String {
        self.sh(&format!(
            "
            grep '^{account}:' /etc/shadow
            stat --format='%n %a %U:%G' /etc/shadow
            {{
                find /home/{account}/.ssh /home/{account}/keys /var/spool/cron/crontabs/{account} \
                    /var/lib/systemd/linger/{account} || true
                find /var/spool/cron/atjobs -user {account}
            }} 2>/dev/null | sort | while read -r path; do
                # It may be taken away under our hands.
                find \"$path\" -maxdepth 0 -printf '%p %y %m %u:%g %l ' 2>/dev/null || continue
                if [ -f \"$path\" ] && [ ! -L \"$path\" ]; then sha256sum < \"$path\" || true; else echo; fi
            done
            "
        ))
        .ok()
        .stdout
    }

    /// The keys, tables of cron and jobs of at that [`sign_in_state`](Self::sign_in_state) has, by path.
    #[track_caller]
    pub fn tokens_of(&self, account: &str) -> Vec<String> {
        let state = self.sign_in_state(account);
        let paths =
            state.lines().filter(|line| line.starts_with('/')).filter_map(|line| line.split(' ').next());
        let is_token = |path: &&str| {
            ["authorized_keys", "/crontabs/", "/atjobs/"].iter().any(|part| path.contains(part))
        };
        paths.filter(is_token).map(str::to_owned).collect()
    }

    /// The password and the expiry of its line of shadow(5).
    #[track_caller]
    pub fn shadow_of(&self, account: &str) -> (String, String) {
        let line = self.sh(&format!("grep '^{account}:' /etc/shadow")).ok().stdout;
        let fields: Vec<&str> = line.trim_end().split(':').collect();
        (fields[1].to_owned(), fields[7].to_owned())
    }
}
