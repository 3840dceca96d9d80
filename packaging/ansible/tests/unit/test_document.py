# SPDX-License-Identifier: Apache-2.0
"""What a playbook says is what lockdown reads: texts are read back by another reader of TOML."""

import datetime
import pathlib
import random
import sys
import tomllib
import unittest

sys.path.insert(0, str(pathlib.Path(__file__).parents[2] / "plugins" / "module_utils"))

from document import is_name, name_for, to_toml  # noqa: E402  # pylint: disable=import-error,wrong-import-position


class Documents(unittest.TestCase):
    def test_is_read_as_it_was_said(self):
        said = {
            "version": 1,
            "protected": ["breakglass", 'a"b'],
            "account": [
                {"name": "alice", "state": "locked", "reason": "left\nfor \"good\" \\ \x7f \u2028 ü", "expires": None},
                {"name": "CORP\\bob", "identifiers": {"email": "b@example.org"}, "metadata": {"a.b": "c", "no": None}},
            ],
            "authenticator": [{"account": "alice", "id": "ssh", "unenforced": True}],
        }
        read = tomllib.loads(to_toml(said))
        del said["account"][0]["expires"], said["account"][1]["metadata"]["no"]
        self.assertEqual(read, said)

    def test_times_are_times(self):
        for said in ("2026-12-31T18:00:00+01:00", "2026-12-31T18:00:00Z", "2026-12-31 18:00:00.5+00:00"):
            account = tomllib.loads(to_toml({"account": [{"expires": said, "valid_until": "2027-06-30"}]}))["account"][0]
            self.assertIsInstance(account["expires"], datetime.datetime)
            self.assertEqual(account["valid_until"], datetime.date(2027, 6, 30))
        # What is none is left to lockdown to refuse, or to know: "never".
        for said in ("never", "tomorrow", "2026-12-31\nstate = 'locked'", "2026-12-31\n", "2026-12-31T18", ""):
            self.assertEqual(tomllib.loads(to_toml({"account": [{"valid_until": said}]}))["account"][0]["valid_until"], said)
        self.assertEqual(tomllib.loads(to_toml({"account": [{"reason": "2026-12-31"}]}))["account"][0]["reason"], "2026-12-31")

    def test_no_text_is_more_than_text(self):
        chance = random.Random(6)
        for _each in range(2000):
            text = "".join(chr(chance.choice((chance.randrange(128), chance.randrange(0xD800)))) for _one in range(12))
            said = {"account": [{"name": text, "metadata": {text: text}, "expires": text}]}
            self.assertEqual(tomllib.loads(to_toml(said)), said)

    def test_what_toml_does_not_have_is_refused(self):
        for value in ("\udc80", [None], {"a": {1, 2}}):
            with self.assertRaises(ValueError):
                to_toml({"account": [{"name": value}]})

    def test_every_account_has_a_document_of_its_own(self):
        self.assertEqual(name_for("ansible", "alice"), "ansible.account.alice")
        label = "l" * 32
        accounts = ["alice", "Alice", "email:alice@example.org", "email_alice_example.org", "a" * 64, "a" * 65, "ü", "û", "\udc80"]
        for each in ("ansible", label):
            names = [name_for(each, account) for account in accounts]
            self.assertEqual(len(set(names)), len(accounts))
            self.assertTrue(all(is_name(name) for name in names), names)

    def test_names_of_documents(self):
        self.assertTrue(all(is_name(name) for name in ("a", "web-1.x_Y", "x" * 64)))
        self.assertFalse(any(is_name(name) for name in ("", ".a", "-a", "a/b", "x" * 65, "ü", "a b", "../a", "a\n")))


if __name__ == "__main__":
    unittest.main()
