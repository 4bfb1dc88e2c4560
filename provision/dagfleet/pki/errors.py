"""What can be wrong with an authority, a key or a request, each as its own error."""

from dagfleet.errors import ConfigurationError


class PkiError(ConfigurationError):
    """The fleet's authorities cannot be used as they are; nothing was signed."""


class MissingPassphraseError(PkiError):
    """Nobody gave the passphrase of the authorities' keys."""


class WrongPassphraseError(PkiError):
    """The passphrase does not open the authority's key."""


class MissingStoreError(PkiError):
    """This fleet has no authorities yet."""


class IncompleteStoreError(PkiError):
    """Some of the authorities' files are there and some are not."""


class LoosePermissionsError(PkiError):
    """Somebody else on this machine may read a key, or replace it."""


class MismatchedKeyError(PkiError):
    """A key and the certificate beside it do not belong together."""


class UnreadableFileError(PkiError):
    """A file of the store is not what its name says."""


class RefusedRequestError(PkiError):
    """A certificate signing request that must not be signed."""
