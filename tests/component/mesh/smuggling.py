"""Requests that carry another one inside: what two HTTP parsers in a row may read differently."""

HIDDEN = b"POST /containers/%s/exec HTTP/1.1\r\nHost: docker\r\nContent-Length: 0\r\n\r\n"
PREFACE = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n"

# A carrier that the launcher may send, then what hides: %h the hidden request, %n its length, %x that in hex;
# %c says that chunks follow, %l ends a request line, %z a head without a body, %e both.
_CARRIERS: dict[str, bytes] = {
    "a length and chunks": b"Content-Length: %n\r\n%c\r\n0\r\n\r\n%h",
    "chunks and a length": b"%cContent-Length: 4\r\n\r\n%x\r\n%h\r\n0\r\n\r\n",
    "two lengths, none first": b"Content-Length: 0\r\nContent-Length: %n\r\n\r\n%h",
    "two lengths, none last": b"Content-Length: %n\r\n%z%h",
    "a list of lengths": b"Content-Length: 0, %n\r\n\r\n%h",
    "a length with a sign": b"Content-Length: +%n\r\n\r\n%h",
    "a negative length": b"Content-Length: -1\r\n\r\n%h",
    "a length in hexadecimal": b"Content-Length: 0x%x\r\n\r\n%h",
    "a length in two words": b"Content-Length: 0 %n\r\n\r\n%h",
    "an empty length": b"Content-Length:\r\n\r\n%h",
    "a length too long for a number": b"Content-Length: 18446744073709551616\r\n\r\n%h",
    "a blank before the colon": b"Content-Length : %n\r\n\r\n%h",
    "chunks behind a blank": b"Transfer-Encoding : chunked\r\nContent-Length: %n\r\n\r\n0\r\n\r\n%h",
    "chunks behind a vertical tab": b"Transfer-Encoding:\x0bchunked\r\nContent-Length: %n\r\n\r\n0\r\n\r\n%h",
    "an unknown coding": b"Transfer-Encoding: xchunked\r\nContent-Length: %n\r\n\r\n0\r\n\r\n%h",
    "chunked not last": b"Transfer-Encoding: chunked, identity\r\n\r\n0\r\n\r\n%h",
    "chunked twice": b"%c%c\r\n0\r\n\r\n%h",
    "chunked and identity": b"Transfer-Encoding: identity\r\n%c\r\n0\r\n\r\n%h",
    "a coding in capitals": b"tRANSFER-eNCODING: CHUNKED\r\nContent-Length: %n\r\n\r\n0\r\n\r\n%h",
    "a folded coding": b"Transfer-Encoding:\r\n chunked\r\nContent-Length: %n\r\n\r\n0\r\n\r\n%h",
    "a folded header": b"X-A: b\r\n %cContent-Length: %n\r\n\r\n0\r\n\r\n%h",
    "bare line feeds": b"X-A: b\nContent-Length: 0\n\n%h",
    "a bare line feed before a length": b"X-A: b\nContent-Length: %n\r\n\r\n%h",
    "a bare carriage return": b"X-A: b\rContent-Length: %n\r\n\r\n%h",
    "a zero byte": b"X-A: b\x00c\r\n%z%h",
    "a header without a name": b": b\r\n%z%h",
    "a header without a colon": b"X-A\r\n%z%h",
    "an extension with a line feed": b"%c\r\n2;\nxx\r\n%x\r\n0\r\n\r\n%h",
    "a chunk that ends in a line feed": b"%c\r\n1\na\n0\n\n%h",
    "a chunk size that overflows": b"%c\r\n10000000000000000\r\n%h",
    "a negative chunk size": b"%c\r\n-1\r\n%h",
    "a chunk size with a prefix": b"%c\r\n0x0\r\n\r\n%h",
    "a trailer that looks like a request": b"%c\r\n0\r\n%h",
    "a length named by Connection": b"Connection: Content-Length\r\nContent-Length: %n\r\n\r\n%h",
    "a coding named by Connection": b"Connection: Transfer-Encoding\r\n%c\r\n0\r\n\r\n%h",
    "an expectation": b"Expect: 100-continue\r\nContent-Length: %n\r\n\r\n%h",
    "an upgrade": b"Connection: Upgrade\r\nUpgrade: tcp\r\n%z%h",
    "an upgrade to h2c": b"Connection: Upgrade, HTTP2-Settings\r\nUpgrade: h2c\r\n"
    b"HTTP2-Settings: AAMAAABk\r\n\r\n%h",
    "an upgrade in pieces": b"Connection: close\r\nConnection: upGRADE\r\nUpgrade: tcp\r\n%z%h",
    "nothing: a second request": b"%z%h",
}

# Request lines that one parser may read as the carrier and another as the hidden request.
_LINES: dict[str, bytes] = {
    "two targets": b"POST /containers/%i/start /containers/%i/exec %e",
    "two blanks": b"POST  /containers/%i/exec %e",
    "a tab": b"POST\t/containers/%i/exec %e",
    "no version": b"POST /containers/%i/exec\r\n\r\n",
    "an old version": b"POST /containers/%i/start HTTP/1.0\r\nConnection: keep-alive\r\n"
    b"Content-Length: %n\r\n\r\n%h",
    "an invented version": b"POST /containers/%i/start HTTP/1.9\r\nHost: docker\r\n%z%h",
    "an absolute target": b"POST http://docker/containers/%i/exec %e",
    "an absolute target of another scheme": b"POST unix:///containers/%i/start %e",
    "a fragment": b"POST /containers/%i/start#/../exec %e",
    "an encoded question mark": b"POST /containers/%i/exec%3f/start %e",
    "an encoded line end": b"POST /containers/%i/start%20HTTP/1.1%0d%0aX:%20/exec %l\r\n",
    "blank lines first": b"\r\n\r\nPOST /containers/%i/exec %e",
    "two hosts": b"POST /containers/%i/exec %lHost: other\r\n%z",
    "a tunnel": b"CONNECT docker:2376 %l\r\n%h",
    "the first words of HTTP/2": PREFACE + b"\x00\x00\x00\x04\x00\x00\x00\x00\x00%h",
}  # fmt: skip


def attacks() -> dict[str, tuple[str, bytes]]:
    """Return each attack by name: the container it is about, and the bytes to send.

    Nothing but `POST /containers/<container>/start` may come of any of them, once at most.
    """
    lines = {name: b"POST /containers/%i/start %l" + rest for name, rest in _CARRIERS.items()} | _LINES
    return {
        name: (f"smuggled-{number}", _filled(text, f"smuggled-{number}".encode()))
        for number, (name, text) in enumerate(lines.items())
    }


def _filled(text: bytes, container: bytes) -> bytes:
    hidden = HIDDEN % container
    for sign, value in {
        b"%e": b"%l%z",
        b"%l": b"HTTP/1.1\r\nHost: docker\r\n",
        b"%z": b"Content-Length: 0\r\n\r\n",
        b"%c": b"Transfer-Encoding: chunked\r\n",
        b"%i": container,
        b"%n": b"%d" % len(hidden),
        b"%x": b"%x" % len(hidden),
    }.items():
        text = text.replace(sign, value)
    return text.replace(b"%h", hidden)
