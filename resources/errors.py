"""The errors that CURec raises for what a user can cause or fix.

Each message says, in this order: what was found (value, file, row or setting), what was expected,
and what to do about it.
"""


class CurecError(Exception):
    """Base class: catch this to catch every error that CURec raises on purpose."""


class DataError(CurecError):
    """The input data cannot be used: a file, row, column or value is not what was expected."""


class ConfigError(CurecError):
    """A setting is unknown, out of range, or contradicts another one."""


class ArtifactError(CurecError):
    """Something stored is missing, damaged, or does not fit what it is to be used with."""


class EngineError(CurecError):
    """A model, encoder or download failed while running."""
