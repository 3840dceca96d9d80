#!/usr/bin/python
# SPDX-License-Identifier: Apache-2.0

DOCUMENTATION = r"""
---
module: lockdown_info
short_description: What lockdown knows about a host and its accounts
description:
  - Returns what lockdown says about the host, and about accounts. Changes nothing.
version_added: 0.1.0
author:
  - The lockdown developers (@lockdown)
options:
  accounts:
    description:
      - Accounts to be told about, as login names, as C(uid:1000), or by identifiers such as C(email:alice@example.org).
      - The module fails if one of them does not exist.
    type: list
    elements: str
  which:
    description:
      - Which accounts to be told about where I(accounts) names none.
      - Of a directory service, C(all) are those that it enumerates, and those that lockdown knows something about.
    type: str
    choices: [all, deactivated, expired, locked, none]
    default: locked
attributes:
  check_mode:
    description: Changes nothing anyway.
    support: full
  diff_mode:
    description: There is nothing to show.
    support: none
notes:
  - Has to run as root.
"""

EXAMPLES = r"""
- name: Ask for whoever is locked
  lockdown.host.lockdown_info:
  register: lockdown

- name: Name them
  ansible.builtin.debug:
    msg: "{{ lockdown.accounts | map(attribute='name') | list }}"

- name: Ask for one account
  lockdown.host.lockdown_info:
    accounts: [alice]
  register: alice

- name: Alice has no lock of an operator
  ansible.builtin.assert:
    that: "'operator' not in alice.accounts[0].locks | map(attribute='owner')"
"""

RETURN = r"""
facts:
  description: What lockdown knows about the host, as C(lockdownctl facts --json) says it.
  returned: success
  type: dict
accounts:
  description: The accounts, each as C(lockdownctl status --json) says it.
  returned: success
  type: list
  elements: dict
  sample:
    - name: alice
      uid: 1000
      locked: true
      locked_until: 0
      locks:
        - owner: config:people
          reason: sabbatical
"""

from ansible.module_utils.basic import AnsibleModule
from ansible_collections.lockdown.host.plugins.module_utils.lockdownctl import Lockdownctl


def main():
    module = AnsibleModule(
        argument_spec={
            "accounts": {"type": "list", "elements": "str"},
            "which": {
                "type": "str",
                "choices": ["all", "deactivated", "expired", "locked", "none"],
                "default": "locked",
            },
        },
        supports_check_mode=True,
    )
    lockdownctl = Lockdownctl(module)
    module.exit_json(changed=False, facts=lockdownctl.ask(["facts"]), accounts=accounts(module, lockdownctl))


def accounts(module, lockdownctl):
    named, which = module.params["accounts"], module.params["which"]
    if named:
        return [lockdownctl.ask(["status", "--", name]) for name in named]
    if which == "none":
        return []
    return lockdownctl.ask(["accounts"] + ([] if which == "all" else ["--" + which]))


if __name__ == "__main__":
    main()
