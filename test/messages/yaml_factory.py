# Copyright 2026 vla_iss_ros maintainers
# SPDX-License-Identifier: Apache-2.0
"""YAML that grows beyond all measure when it is written out."""


def alias_bomb(levels: int = 20, width: int = 9) -> str:
    """Return a few lines whose anchor ``bomb`` stands for ``width`` to the power of ``levels`` texts."""
    lines = ["bombs:", "  - &l0 lol"]
    for level in range(1, levels + 1):
        name = "bomb" if level == levels else f"l{level}"
        lines.append(f"  - &{name} [{', '.join([f'*l{level - 1}'] * width)}]")
    return "\n".join(lines) + "\n"
