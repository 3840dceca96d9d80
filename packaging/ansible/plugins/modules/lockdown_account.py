#!/usr/bin/python
# SPDX-License-Identifier: Apache-2.0

DOCUMENTATION = r"""
---
module: lockdown_account
short_description: Declares how one account of a host should be
description:
  - Locks an account and keeps it out of the host, at every way in that asks PAM, and ends what it runs.
  - Sets when the account expires, what else it can be named by, and what is kept with it.
  - What is declared is a state document of lockdown with one account, see C(lockdown-state(5)); the host keeps it, also
    over a restart. A lock of it has the owner C(config:LABEL.account.NAME).
  - Only what the document has set is ever taken back. A lock of an operator, of attack protection or of an incident stands
    beside it, and stays when the document goes; any one lock denies.
version_added: 0.1.0
author:
  - The lockdown developers (@lockdown)
options:
  name:
    description:
      - The account, as a login name, as C(uid:1000), or by an identifier such as C(email:alice@example.org).
      - An account that does not exist yet is locked as soon as it does.
    type: str
    required: true
  state:
    description:
      - C(locked) locks the account and ends its sessions and whatever else it runs.
      - C(deactivated) locks it without end, and expires it in shadow(5) for what does not ask PAM.
      - C(unlocked) says that there is no lock by this document. Locks of others stay.
      - C(present) says nothing of locks, only I(valid_until), I(identifiers) and I(metadata).
      - C(absent) takes the document away, and with it what it has set and nobody has changed since.
    type: str
    choices: [absent, deactivated, locked, present, unlocked]
    default: present
  reason:
    description: Why, for the audit trail.
    type: str
  user_message:
    description:
      - What the user is told who is refused. Without it, the message that the host is configured with.
      - Only with C(state=locked) and C(state=deactivated).
    type: str
  expires:
    description:
      - When the lock ends, as C(2026-12-31) or C(2026-12-31T18:00:00+01:00). A date is the beginning of the day, UTC.
      - Without it, the lock stands until the document no longer says so. Only with C(state=locked).
    type: str
  valid_until:
    description: When the account expires, written as I(expires), or C(never).
    type: str
  identifiers:
    description: What the account can be named by besides its login name, such as its C(email), C(phone) or C(id).
    type: dict
  metadata:
    description: What else is kept with the account; texts.
    type: dict
  label:
    description:
      - Who says so. What is declared with different labels for one account stands side by side.
      - Up to 32 letters, digits, dots, underscores and hyphens, the first a letter or a digit.
    type: str
    default: ansible
attributes:
  check_mode:
    description: Says exactly what would change, and changes nothing.
    support: full
  diff_mode:
    description: Shows the state of the account before and after.
    support: full
notes:
  - Has to run as root.
seealso:
  - module: lockdown.host.lockdown_apply
    description: For many accounts, groups and authenticators, in one transaction.
"""

EXAMPLES = r"""
- name: Alice is on sabbatical
  lockdown.host.lockdown_account:
    name: alice
    state: locked
    reason: sabbatical
    user_message: Your account sleeps until you are back.
    expires: 2027-06-30T08:00:00+02:00

- name: Bob has left
  lockdown.host.lockdown_account:
    name: email:bob@example.org
    state: deactivated
    reason: left the company

- name: The contractor's account expires in summer
  lockdown.host.lockdown_account:
    name: carol
    valid_until: 2027-07-01
    identifiers:
      email: carol@example.org
    metadata:
      team: blue

- name: Nothing is declared for alice any more
  lockdown.host.lockdown_account:
    name: alice
    state: absent
"""

RETURN = r"""
changes:
  description: What was changed, or in check mode would be.
  returned: success
  type: list
  elements: dict
  sample:
    - document: ansible.account.alice
      account: alice
      what: lock
      key: ""
      before: ""
      after: locked, reason "sabbatical"
sessions_ended:
  description: How many sessions were ended.
  returned: success
  type: int
  sample: 2
problems:
  description: What could not be carried out on the host yet, and is tried again; the module has failed then.
  returned: when lockdown has answered
  type: list
  elements: str
errors:
  description: What is wrong with the declaration, each with C(file), C(line), C(key) and C(message).
  returned: failure
  type: list
  elements: dict
"""

import re

from ansible.module_utils.basic import AnsibleModule
from ansible_collections.lockdown.host.plugins.module_utils.document import name_for, to_toml
from ansible_collections.lockdown.host.plugins.module_utils.lockdownctl import Lockdownctl

# Keys of an account in a document. Ansible has a use of its own for an option that is called message.
KEYS = ("name", "state", "reason", "message", "expires", "valid_until", "identifiers", "metadata")
OPTIONS = {"message": "user_message"}
LABEL = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]{0,31}")


def main():
    module = AnsibleModule(
        argument_spec={
            "name": {"type": "str", "required": True},
            "state": {
                "type": "str",
                "choices": ["absent", "deactivated", "locked", "present", "unlocked"],
                "default": "present",
            },
            "reason": {"type": "str"},
            "user_message": {"type": "str"},
            "expires": {"type": "str"},
            "valid_until": {"type": "str"},
            "identifiers": {"type": "dict"},
            "metadata": {"type": "dict"},
            "label": {"type": "str", "default": "ansible"},
        },
        required_if=[("state", "present", ("valid_until", "identifiers", "metadata"), True)],
        supports_check_mode=True,
    )
    label = module.params["label"]
    if not LABEL.fullmatch(label):
        module.fail_json(msg="label: %r is not 1 to 32 letters, digits, dots, underscores and hyphens" % label)
    document = name_for(label, module.params["name"])
    Lockdownctl(module).apply_texts({document: text(module)})


def text(module):
    """The document, empty if it is to be taken away."""
    if module.params["state"] == "absent":
        return ""
    account = {key: module.params[OPTIONS.get(key, key)] for key in KEYS}
    if account["state"] == "present":
        account["state"] = None
    try:
        return to_toml({"version": 1, "account": [account]})
    except ValueError as error:
        module.fail_json(msg="%s %s" % (account["name"], error))


if __name__ == "__main__":
    main()
