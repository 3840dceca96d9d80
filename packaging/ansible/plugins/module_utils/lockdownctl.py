# SPDX-License-Identifier: Apache-2.0
"""lockdownctl, asked on behalf of a module."""

import json

# What `lockdownctl apply` answers that a module passes on as it is; the diff only where one is asked for.
PASSED_ON = ("changed", "changes", "changes_left_out", "errors", "sessions_ended", "problems", "msg")


class Lockdownctl:
    """The command on the managed host. What it cannot do ends the module as failed."""

    def __init__(self, module):
        self.module = module
        self.path = module.get_bin_path("lockdownctl")

    def ask(self, args):
        """What it answers, from JSON."""
        code, answer, err = self._run(args)
        if code != 0:
            self.module.fail_json(msg=_why(answer, code, err), rc=code)
        return answer

    def apply(self, args, foretold, data=None):
        """Puts documents in force, or says in check mode what that would change, and ends the module.

        ``foretold`` is what they say, for a host without lockdown: there, in check mode, nobody can be asked.
        """
        if self.path is None and self.module.check_mode:
            self._foretell(foretold)
        check = ["--check"] if self.module.check_mode else []
        code, answer, err = self._run(["apply", "--diff"] + check + args, data)
        result = {key: answer[key] for key in PASSED_ON if key in answer}
        if self.module._diff and "diff" in answer:
            result["diff"] = answer["diff"]
        for warning in answer.get("warnings", []):
            self.module.warn(_in_words(warning))
        if code != 0:
            result["msg"] = _why(answer, code, err)
            self.module.fail_json(rc=code, **result)
        self.module.exit_json(**result)

    def apply_texts(self, documents):
        """As apply(), for documents by name, all at once. An empty text takes a document away."""
        bundle = [{"path": name + ".toml", "text": text} for name, text in documents.items() if text]
        args = ["--bundle"] if bundle else []
        for name, text in documents.items():
            if not text:
                args += ["--remove", name]
        if args:
            self.apply(args, "\n".join(documents.values()), json.dumps(bundle))
        self.module.exit_json(changed=False, msg="no documents are given")

    def _run(self, args, data=None):
        if self.path is None:
            self.module.fail_json(
                msg="lockdownctl is not on this host: install the package lockdown, as the role lockdown.host.lockdown does"
            )
        code, out, err = self.module.run_command([self.path, "--json"] + args, data=data)
        try:
            return code, json.loads(out) if out.strip() else {}, err
        except ValueError:
            self.module.fail_json(msg="lockdownctl did not answer in JSON", rc=code, stdout=out, stderr=err)

    def _foretell(self, foretold):
        self.module.warn("lockdown is not on this host yet: what its documents say is shown as what would change")
        result = {"changed": bool(foretold.strip())}
        if self.module._diff:
            result["diff"] = {"before": "", "after": foretold}
        self.module.exit_json(**result)


def _why(answer, code, err):
    # Of an apply: what is wrong with the documents, a line each.
    lines = [_in_words(error) for error in answer.get("errors", [])] if isinstance(answer, dict) else []
    if lines:
        return "\n".join(lines + ["nothing was changed"])
    return err.strip() or "lockdownctl ended with %d and said nothing" % code


def _in_words(problem):
    """FILE:LINE:COLUMN: KEY: MESSAGE, of which there may be less."""
    place = ":".join(str(problem[part]) for part in ("file", "line", "column") if problem.get(part))
    return ": ".join(part for part in (place, problem.get("key"), problem.get("message")) if part)
