"""The cache on a real disk: what was stored, or nothing."""

from __future__ import annotations

import json
from hashlib import sha256

import pytest

from relocd.adapters.local.cache import FileCache
from relocd.errors import Failed
from relocd.model.dn import DN
from relocd.sync.mirror import Mirror
from tests.support.directory import ModelDirectory
from tests.support.entries import ME, cluster, dn, server, service, uuid_of

SEARCH = ("ou=relocd,dc=example,dc=org", "(objectClass=relocServer)", ME)


@pytest.fixture
def saved():
    """What a mirror of a small directory gives, with a renamed entry in it."""
    directory = ModelDirectory(
        [
            server("me", services=["web"], clusters=["pair"]),
            cluster("pair", active="me"),
            service("web", relocSecret="token=s3cret", relocParameter="a=b4rameter"),
        ]
    )
    mirror = Mirror(DN.parse(ME))
    mirror.apply(directory.refresh())
    mirror.apply(directory.rename(uuid_of("web"), "www"))
    found = mirror.saved
    assert found.former == {DN.parse(dn("web")).key: uuid_of("web")}
    return found


@pytest.fixture
def path(tmp_path):
    return tmp_path / "state" / "cache"


async def test_what_is_stored_is_there_after_a_restart(path, saved):
    await FileCache(path, SEARCH).store(saved)
    assert FileCache(path, SEARCH).load() == saved
    assert path.stat().st_mode & 0o777 == 0o600


async def test_the_latest_counts(path, saved):
    cache = FileCache(path, SEARCH)
    await cache.store(saved)
    later = type(saved)("other", None, {}, ())
    await cache.store(later)
    assert cache.load() == later


async def test_it_holds_no_values(path, saved):
    await FileCache(path, SEARCH).store(saved)
    assert b"s3cret" not in path.read_bytes()
    assert b"b4rameter" not in path.read_bytes()


def test_without_a_file_there_is_nothing(path, caplog):
    assert FileCache(path, SEARCH).load() is None
    assert caplog.text == ""


@pytest.mark.parametrize("other", [("dc=other", *SEARCH[1:]), (SEARCH[0], "(x=y)", ME), (*SEARCH[:2], dn("you"))])
async def test_one_of_another_base_filter_or_server_is_dropped(path, saved, caplog, other):
    await FileCache(path, SEARCH).store(saved)
    assert FileCache(path, other).load() is None
    assert "cache ignored" in caplog.text


@pytest.mark.parametrize("at", [0, 10, -70, -1])
async def test_one_with_a_flipped_bit_is_dropped(path, saved, at):
    await FileCache(path, SEARCH).store(saved)
    content = bytearray(path.read_bytes())
    content[at] ^= 1
    path.write_bytes(content)
    assert FileCache(path, SEARCH).load() is None


@pytest.mark.parametrize("length", [0, 1, 100, -1, -65])
async def test_one_that_is_cut_off_is_dropped(path, saved, length):
    await FileCache(path, SEARCH).store(saved)
    path.write_bytes(path.read_bytes()[:length])
    assert FileCache(path, SEARCH).load() is None


@pytest.mark.parametrize(
    "change",
    [{"version": 0}, {"records": [["a"]]}, {"records": None}, {"cookie": ...}],
    ids=["other version", "short record", "no records", "no cookie"],
)
async def test_one_of_another_form_is_dropped_even_if_it_is_whole(path, saved, change):
    await FileCache(path, SEARCH).store(saved)
    content = json.loads(path.read_bytes().rpartition(b"\n")[0])
    body = json.dumps({key: value for key, value in (content | change).items() if value is not ...}).encode()
    path.write_bytes(body + b"\n" + sha256(body).hexdigest().encode())
    assert FileCache(path, SEARCH).load() is None


async def test_a_write_that_was_cut_off_leaves_the_old_one(path, saved):
    await FileCache(path, SEARCH).store(saved)
    path.with_name(".cache.new").write_text("{")
    assert FileCache(path, SEARCH).load() == saved


async def test_a_folder_that_cannot_be_is_a_failure_that_names_it(tmp_path, saved):
    (tmp_path / "file").write_text("")
    with pytest.raises(Failed, match=r"file/cache: cannot be written \(File exists\)"):
        await FileCache(tmp_path / "file" / "cache", SEARCH).store(saved)
