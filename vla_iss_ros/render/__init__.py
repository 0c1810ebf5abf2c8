# Copyright 2026 vla_iss_ros maintainers
# SPDX-License-Identifier: Apache-2.0
