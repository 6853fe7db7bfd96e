"""The errors that a person can act on: one line that names what is wrong and what to do."""


class UserError(ValueError):
    """A wrong setting, environment or file. Command lines print its text and exit with status 2."""


class WeightsError(UserError):
    """A file of weights that cannot be used."""
