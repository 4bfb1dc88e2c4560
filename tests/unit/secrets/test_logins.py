"""Logins, as HAProxy reads them."""

import pytest
from dagfleet.errors import ConfigurationError
from dagfleet.secrets.logins import logins
from passlib.hash import sha512_crypt

HASH = sha512_crypt.using(salt="abcdefgh", rounds=5000).hash("secret")


def hashed(text: str, salt: str = "salt of the fleet") -> dict[str, str]:
    lines = logins(text, salt=salt, secret="web_users").splitlines()
    return {user: password for user, _, password in (line.partition(":") for line in lines)}


def test_a_password_becomes_a_sha512_crypt_hash_of_it() -> None:
    users = hashed("ann:correct:horse\nbob:battery\n")
    assert sha512_crypt.verify("correct:horse", users["ann"])
    assert sha512_crypt.verify("battery", users["bob"])
    assert not sha512_crypt.verify("correct", users["ann"])
    assert users["ann"].startswith("$6$")


def test_applying_twice_gives_the_same_hash() -> None:
    assert hashed("ann:horse") == hashed("ann:horse")


def test_equal_passwords_do_not_look_equal() -> None:
    users = hashed("ann:horse\nbob:horse")
    assert users["ann"] != users["bob"]
    assert users["ann"] != hashed("ann:horse", salt="another fleet")["ann"]


def test_a_hash_stays_as_it_is() -> None:
    assert hashed(f"ann:{HASH}") == {"ann": HASH}


def test_blank_lines_and_comments_are_left_out() -> None:
    assert list(hashed("# people\n\nann:horse\n")) == ["ann"]


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("ann:horse\nhunter2", "line 2 is not user:password"),
        ("ann:", "line 1 is not user:password"),
        ("an n:hunter2", "cannot be a user's name"),
        ("ann:hunter2\nann:hunter2", "there twice"),
        ("ann:$6$hunter2", "the hash is not whole"),
        ("", "names no user"),
    ],
)
def test_a_line_that_is_no_login_is_told_without_its_content(text: str, words: str) -> None:
    with pytest.raises(ConfigurationError) as raised:
        hashed(text)
    assert words in raised.value.message
    assert '"web_users"' in raised.value.message
    assert "hunter2" not in f"{raised.value.message} {raised.value.fix}"
