# SPDX-License-Identifier: Apache-2.0
"""State documents of lockdown, lockdown-state(5), from what a playbook says."""

import hashlib
import json
import re

# Of names of documents, lockdown-state(5): what they may not have, and their most bytes.
_UNSAFE = re.compile(r"[^A-Za-z0-9._-]")
_MOST = 64
_BARE_KEY = re.compile(r"[A-Za-z0-9_-]+")
# A date, or a time as RFC 3339 has it. YAML makes times of what looks so, and Ansible texts again.
_TIME = re.compile(r"[0-9]{4}-[0-9]{2}-[0-9]{2}([Tt ][0-9]{2}:[0-9]{2}:[0-9]{2}(\.[0-9]+)?([Zz]|[+-][0-9]{2}:[0-9]{2})?)?")
_TIME_KEYS = ("expires", "valid_until")


def name_for(label, account):
    """What the document of one account is called: ``LABEL.account.NAME``, with a hash where NAME does not fit."""
    prefix = label + ".account."
    name = prefix + account
    if len(name) <= _MOST and not _UNSAFE.search(account):
        return name
    digest = "-" + hashlib.sha256(account.encode("utf-8", "surrogateescape")).hexdigest()[:16]
    return prefix + _UNSAFE.sub("_", account)[: max(0, _MOST - len(prefix) - len(digest))] + digest


def is_name(name):
    """Whether a document can be called so. A name becomes that of a file: this is asked first."""
    return 0 < len(name) <= _MOST and not _UNSAFE.search(name) and name[0] not in ".-"


def to_toml(document):
    """A document as text. Keys without a value are left out; whether the others are right, lockdown says.

    Raises ValueError for what TOML does not have.
    """
    document = _without_nothing(document)
    tables = [key for key in document if _is_list_of_tables(document[key])]
    lines = [_pair(key, document[key]) for key in document if key not in tables]
    for key in tables:
        for entry in document[key]:
            lines += ["", "[[%s]]" % _key(key)]
            lines += [_pair(*pair) for pair in _without_nothing(entry).items()]
    text = "\n".join(lines) + "\n"
    try:
        text.encode("utf-8")
    except UnicodeEncodeError:
        raise ValueError("has text that is not UTF-8")
    return text


def _without_nothing(table):
    return {key: value for key, value in table.items() if value is not None}


def _is_list_of_tables(value):
    return isinstance(value, list) and bool(value) and all(isinstance(entry, dict) for entry in value)


def _pair(key, value):
    if key in _TIME_KEYS and isinstance(value, str) and _TIME.fullmatch(value):
        return "%s = %s" % (_key(key), value)
    return "%s = %s" % (_key(key), _value(value))


def _key(key):
    key = str(key)
    return key if _BARE_KEY.fullmatch(key) else _text(key)


def _value(value):
    if isinstance(value, (bool, int, float)):
        return json.dumps(value)
    if isinstance(value, list):
        return "[%s]" % ", ".join(_value(one) for one in value)
    if isinstance(value, dict):
        pairs = ["%s = %s" % (_key(key), _value(one)) for key, one in _without_nothing(value).items()]
        return "{ %s }" % ", ".join(pairs) if pairs else "{}"
    if isinstance(value, str):
        return _text(value)
    raise ValueError("has a value that TOML does not have: %r" % (value,))


def _text(text):
    # What JSON escapes, TOML does likewise, and one more.
    return json.dumps(text, ensure_ascii=False).replace("\x7f", "\\u007f")
