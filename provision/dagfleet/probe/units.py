"""Numbers as people read them."""

KIB = 1024
MIB = 1024 * KIB
GIB = 1024 * MIB


def size(count: float) -> str:
    """Return a number of bytes in the unit that fits: 31 GiB, 3.1 GiB, 420 MiB."""
    for unit, name in ((GIB, "GiB"), (MIB, "MiB"), (KIB, "KiB")):
        if count >= unit:
            value = count / unit
            return f"{value:.0f} {name}" if value >= 10 or value == int(value) else f"{value:.1f} {name}"
    return f"{count:.0f} B"


def duration(seconds: float) -> str:
    """Return a time span: 1.3 s, 48 s, 3 min 21 s, 2 h 5 min."""
    if seconds < 10:
        return f"{seconds:.1f} s"
    if seconds < 120:
        return f"{seconds:.0f} s"
    minutes, rest = divmod(round(seconds), 60)
    if minutes < 60:
        return f"{minutes} min {rest} s" if rest else f"{minutes} min"
    hours, minutes = divmod(minutes, 60)
    return f"{hours} h {minutes} min" if minutes else f"{hours} h"


def count(number: int, noun: str, plural: str | None = None) -> str:
    """Return `1 host`, `3 hosts`."""
    return f"{number} {noun if number == 1 else plural or noun + 's'}"
