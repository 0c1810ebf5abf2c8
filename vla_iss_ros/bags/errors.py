# Copyright 2026 vla_iss_ros maintainers
# SPDX-License-Identifier: Apache-2.0
"""The one error that unusable bags raise."""


class BagError(ValueError):
    """A bag that cannot be read or written; one line that names the path and what to do."""
