"""Changes as LDIF for people: complete, valid, and without passwords."""

from __future__ import annotations

from relocd.openldap.changes import AddEntry, ModifyEntry, ldif


def test_an_add_and_a_modify():
    changes = [
        AddEntry("cn=a", {"objectClass": ("x", "y"), "cn": ("ä",)}, "it is new"),
        ModifyEntry("cn=b", "it is old", replaced={"sn": (), "cn": ("c",)}, added={"l": (" d",)}),
    ]
    assert ldif(changes) == (
        "# it is new\ndn: cn=a\nchangetype: add\nobjectClass: x\nobjectClass: y\ncn:: w6Q=\n\n"
        "# it is old\ndn: cn=b\nchangetype: modify\nreplace: sn\n-\nreplace: cn\ncn: c\n-\nadd: l\nl:: IGQ=\n-\n"
    )


def test_no_password_is_shown():
    secret = 'rid=1 credentials="ge heim" x=1'
    shown = ldif([AddEntry("cn=a", {"olcSyncrepl": (secret, "credentials=geheim"), "olcRootPW": ("geheim",)}, "why")])
    assert "heim" not in shown
    assert "rid=1 credentials=(left out) x=1" in shown
