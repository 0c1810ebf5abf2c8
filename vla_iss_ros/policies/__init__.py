# Copyright 2026 vla_iss_ros maintainers
# SPDX-License-Identifier: Apache-2.0
"""What is explained: the protocol, the loader and one file a family of policies."""
