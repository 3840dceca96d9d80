#!/usr/bin/python
# SPDX-License-Identifier: Apache-2.0

DOCUMENTATION = r"""
---
module: lockdown_apply
short_description: Puts state documents of lockdown in force, whole or not at all
description:
  - State documents say which accounts of a host are locked, when they expire, and what is kept with them, see
    lockdown-state(5).
  - All that are given are checked together with those in force, and take effect in one transaction. If anything is wrong
    with one, nothing is changed, and the module fails with file, line and key.
  - A document is in force until one of the same name is given, also over a restart, or until it is taken away. Only what
    it has set itself is taken back with it.
  - Without I(documents), I(src) and I(content), the files in C(/etc/lockdown/state.d) are read anew.
version_added: 0.1.0
author:
  - The lockdown developers (@lockdown)
options:
  documents:
    description:
      - Documents by name, each as TOML text, or as a mapping of the same form.
      - An empty text takes the document of that name away.
    type: dict
  src:
    description: A document, as the path of a file on the managed host.
    type: path
  content:
    description: A document, as TOML text.
    type: str
  name:
    description:
      - What the document of I(content) or I(src) is called, or which one is taken away with C(state=absent).
      - 1 to 64 letters, digits, dots, underscores and hyphens, the first neither a dot nor a hyphen.
      - Without it, the name of the file I(src), without C(.toml).
    type: str
  state:
    description: Whether the document I(name) is in force. C(absent) takes it away.
    type: str
    choices: [absent, present]
    default: present
attributes:
  check_mode:
    description: Says exactly what would change, and changes nothing.
    support: full
  diff_mode:
    description: Shows the state of accounts before and after.
    support: full
notes:
  - Has to run as root.
  - A document that is a file in C(/etc/lockdown/state.d) is changed there, and not given by the same name.
seealso:
  - module: lockdown.host.lockdown_account
    description: For one account.
"""

EXAMPLES = r"""
- name: Who may use this host
  lockdown.host.lockdown_apply:
    documents:
      people: "{{ lookup('ansible.builtin.file', 'people.toml') }}"
      contractors:
        version: 1
        protected: [breakglass]
        account:
          - name: alice
            state: locked
            reason: sabbatical
            expires: 2027-06-30
          - group: contractors
            valid_until: 2027-07-01
      interns: ""

- name: A document of the host's own
  lockdown.host.lockdown_apply:
    src: /opt/site/web.toml

- name: A document as a file, which only its own name can be checked for beforehand
  ansible.builtin.template:
    src: people.toml.j2
    dest: /etc/lockdown/state.d/people.toml
    owner: root
    group: root
    mode: "0644"
    validate: lockdownctl validate %s

- name: The files take effect
  lockdown.host.lockdown_apply:

- name: Nobody is an intern any more
  lockdown.host.lockdown_apply:
    name: interns
    state: absent
"""

RETURN = r"""
changes:
  description: What was changed, or in check mode would be.
  returned: success
  type: list
  elements: dict
  sample:
    - document: people
      account: alice
      what: lock
      key: ""
      before: ""
      after: locked, reason "sabbatical"
changes_left_out:
  description: How many more changes there are than C(changes) names.
  returned: success
  type: int
  sample: 0
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
  description: What is wrong with the documents, each with C(file), C(line), C(column), C(key) and C(message).
  returned: failure
  type: list
  elements: dict
"""

from ansible.module_utils.basic import AnsibleModule
from ansible_collections.lockdown.host.plugins.module_utils.document import is_name, to_toml
from ansible_collections.lockdown.host.plugins.module_utils.lockdownctl import Lockdownctl


def main():
    module = AnsibleModule(
        argument_spec={
            "documents": {"type": "dict"},
            "src": {"type": "path"},
            "content": {"type": "str"},
            "name": {"type": "str"},
            "state": {"type": "str", "choices": ["absent", "present"], "default": "present"},
        },
        mutually_exclusive=[("documents", "src", "content"), ("documents", "name")],
        required_by={"content": "name"},
        required_if=[("state", "absent", ("name",))],
        supports_check_mode=True,
    )
    given = module.params
    lockdownctl = Lockdownctl(module)
    if given["state"] == "absent":
        lockdownctl.apply_texts(texts(module, {given["name"]: ""}))
    elif given["documents"] is not None:
        lockdownctl.apply_texts(texts(module, given["documents"]))
    elif given["content"] is not None:
        if not given["content"]:
            module.fail_json(msg="content is empty: to take the document %s away, say state: absent" % given["name"])
        lockdownctl.apply_texts(texts(module, {given["name"]: given["content"]}))
    elif given["src"] is not None:
        name = ["--name", given["name"]] if given["name"] else []
        lockdownctl.apply(name + ["--", given["src"]], given["src"])
    elif given["name"] is not None:
        module.fail_json(msg="name: the document %s needs content or src, or state: absent" % given["name"])
    else:
        lockdownctl.apply([], "")


def texts(module, documents):
    """Each document as text, by name."""
    # Of a template with dates, ansible-core before 2.19 makes a text, and AnsibleModule takes it for a mapping.
    if not isinstance(documents, dict):
        module.fail_json(msg="documents is no mapping; write the dates in it as texts, such as '2027-06-30'")
    result = {}
    for name, document in documents.items():
        if not is_name(name):
            module.fail_json(
                msg="%r cannot be the name of a document: 1 to 64 letters, digits, dots, underscores and hyphens can, "
                "the first neither a dot nor a hyphen" % name
            )
        if not isinstance(document, (dict, str)):
            module.fail_json(msg="the document %s is neither a text nor a mapping" % name)
        try:
            result[name] = to_toml(document) if isinstance(document, dict) else document
        except ValueError as error:
            module.fail_json(msg="the document %s %s" % (name, error))
    return result


if __name__ == "__main__":
    main()
