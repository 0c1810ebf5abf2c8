"""The one error that says why a policy cannot be used."""


class PolicyError(ValueError):
    """A policy cannot be loaded or does not fit; the message is one line with the value and the remedy."""
