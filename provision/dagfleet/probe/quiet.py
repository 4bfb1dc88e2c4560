"""The SSH libraries' own words, kept off the screen: they print tracebacks where ours say one sentence."""

import logging


def quieten() -> None:
    """Keep pyinfra and paramiko from printing to standard error; --debug still shows what they say."""
    for name in ("pyinfra", "paramiko"):
        logger = logging.getLogger(name)
        if not logger.handlers:
            logger.addHandler(logging.NullHandler())
