//! The control field of a line: what a result does to the stack.

/// What a result of a module does to its stack.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Action {
    /// Nothing.
    Ignore,
    /// It counts as a yes.
    Ok,
    /// It counts as a yes, and ends the stack unless something has failed before.
    Done,
    /// The stack fails, at once or at its end.
    Bad,
    /// So many steps are passed over.
    Jump(usize),
}

impl Action {
    /// What a control field, in lower case and without brackets, says of a result such as `perm_denied`.
    pub(crate) fn of(control: &str, result: &str) -> Self {
        match control {
            "required" | "requisite" => return Self::keyword(result, Self::Ok, Self::Bad),
            "sufficient" => return Self::keyword(result, Self::Done, Self::Ignore),
            "optional" => return Self::keyword(result, Self::Ok, Self::Ignore),
            _ => {}
        }
        let pairs = control.split_whitespace().filter_map(|pair| pair.split_once('='));
        let value = |name: &str| {
            let mut values = pairs.clone().filter(|(key, _)| *key == name).map(|(_, value)| value);
            values.next_back()
        };
        match value(result).or_else(|| value("default")) {
            Some("ignore" | "reset") => Self::Ignore,
            Some("ok") => Self::Ok,
            Some("done") => Self::Done,
            // `bad` and `die`, what libpam does not know, and without a default what is not named.
            other => other.and_then(|number| number.parse().ok()).map_or(Self::Bad, Self::Jump),
        }
    }

    fn keyword(result: &str, pass: Self, fail: Self) -> Self {
        match result {
            "success" | "new_authtok_reqd" => pass,
            "ignore" => Self::Ignore,
            _ => fail,
        }
    }

    /// Whether it keeps the stack from a step that comes `distance` steps later.
    #[must_use]
    pub fn passes_over(self, distance: usize) -> bool {
        match self {
            Self::Done => true,
            Self::Jump(steps) => steps >= distance,
            Self::Ignore | Self::Bad | Self::Ok => false,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn keywords_are_what_the_manual_spells_out() {
        for (control, success, perm_denied) in [
            ("required", Action::Ok, Action::Bad),
            ("requisite", Action::Ok, Action::Bad),
            ("sufficient", Action::Done, Action::Ignore),
            ("optional", Action::Ok, Action::Ignore),
        ] {
            assert_eq!(Action::of(control, "success"), success, "{control}");
            assert_eq!(Action::of(control, "perm_denied"), perm_denied, "{control}");
            assert_eq!(Action::of(control, "ignore"), Action::Ignore, "{control}");
        }
    }

    #[test]
    fn pairs_name_results_and_the_last_one_counts() {
        let control = "success=2 perm_denied=die perm_denied=ignore default=done";
        assert_eq!(Action::of(control, "success"), Action::Jump(2));
        assert_eq!(Action::of(control, "perm_denied"), Action::Ignore);
        assert_eq!(Action::of(control, "auth_err"), Action::Done);
        for control in ["", "success=ok", "default=", "default=-1", "default=never"] {
            assert_eq!(Action::of(control, "auth_err"), Action::Bad, "{control}");
        }
    }
}
