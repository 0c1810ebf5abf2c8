# Copyright 2026 vla_iss_ros maintainers
# SPDX-License-Identifier: Apache-2.0
"""The errors that say why a policy cannot be used."""


class PolicyError(ValueError):
    """A policy cannot be loaded or does not fit; the message is one line with the value and the remedy."""


class PolicyGoneError(PolicyError):
    """A policy answers no more, whatever it is shown: no other observation would do better."""


class MissingInstructionError(ValueError):
    """An observation has no instruction, and the policy takes one."""
