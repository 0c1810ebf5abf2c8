# Copyright 2026 vla_iss_ros maintainers
# SPDX-License-Identifier: Apache-2.0
"""Every setting as a ROS parameter: with description and range, checked together, handed on as one object."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any

from rcl_interfaces.msg import FloatingPointRange, IntegerRange, ParameterDescriptor, SetParametersResult
from rclpy.exceptions import InvalidParameterTypeException, InvalidParameterValueException
from rclpy.node import Node
from rclpy.parameter import Parameter

from vla_iss_ros.settings import Setting, check


class Parameters:
    """The settings of one node, as ROS parameters.

    A value that is refused at start-up (from the command line or a parameter file) never ends the node: it is
    noted in ``problems``, the default stands in its place, and :meth:`read` raises until it is set right.
    """

    def __init__(
        self,
        node: Node,
        settings: Sequence[Setting],
        is_fixed: Callable[[], bool],
        refuse: Callable[[Any], None],
        changed: Callable[[Any], None],
    ) -> None:
        """Declare ``settings`` on ``node``.

        ``is_fixed`` tells whether settings marked ``fixed`` are held. ``refuse`` may raise ValueError for new
        Settings that cannot be used; ``changed`` gets them once they are in force.
        """
        self._settings = {setting.name: setting for setting in settings}
        self._is_fixed = is_fixed
        self._refuse, self._changed = refuse, changed
        self.problems: dict[str, str] = {}
        self._values: dict[str, Any] = {}
        for setting in settings:
            self._values[setting.name] = self._declare(node, setting)
        node.add_on_set_parameters_callback(self._on_set)
        if hasattr(node, "add_pre_set_parameters_callback"):  # not in Humble
            node.add_pre_set_parameters_callback(self._give_types)

    def read(self) -> Any:
        """Return the present Settings; raises ValueError for refused values and those that do not fit."""
        if self.problems:
            raise ValueError("; ".join(self.problems.values()))
        return check(self._values)

    def _declare(self, node: Node, setting: Setting) -> Any:
        try:
            value = node.declare_parameter(setting.name, setting.default, describe(setting)).value
            if value is not None:
                return value
            node.undeclare_parameter(setting.name)
        except (InvalidParameterTypeException, InvalidParameterValueException):
            pass
        value = _override(node, setting)
        try:
            accepted = setting.check(value)
        except ValueError as error:
            self.problems[setting.name] = str(error)
            accepted = setting.default
        # With its default, for an empty list says nothing of its type.
        node.declare_parameter(setting.name, setting.default, describe(setting), ignore_override=True)
        node.set_parameters([_typed(setting, accepted)])
        return accepted

    def _give_types(self, parameters: Sequence[Parameter]) -> list[Parameter]:
        """Return ``parameters`` with empty lists in their settings' types: ``ros2 param set`` sends any."""
        return [
            _typed(self._settings[item.name], []) if self._is_empty_list(item) else item
            for item in parameters
        ]

    def _is_empty_list(self, item: Parameter) -> bool:
        setting = self._settings.get(item.name)
        return setting is not None and isinstance(setting.default, list) and _plain(item.value) == []

    def _on_set(self, parameters: Sequence[Parameter]) -> SetParametersResult:
        changes = {item.name: _plain(item.value) for item in parameters if item.name in self._settings}
        if not changes:
            return SetParametersResult(successful=True)
        try:
            self._take(changes)
        except ValueError as error:
            return SetParametersResult(successful=False, reason=str(error))
        return SetParametersResult(successful=True)

    def _take(self, changes: Mapping[str, Any]) -> None:
        held = [
            name
            for name, value in changes.items()
            if self._settings[name].fixed and value != self._values[name] and self._is_fixed()
        ]
        if held:
            raise ValueError(
                f"{', '.join(held)} can change only while the node is not configured; "
                "deactivate and clean it up first (ros2 lifecycle set NODE deactivate, then cleanup)"
            )
        checked = {name: self._settings[name].check(value) for name, value in changes.items()}
        values = {**self._values, **checked}
        problems = {name: text for name, text in self.problems.items() if name not in changes}
        settings = check(values)
        self._refuse(settings)
        self._values, self.problems = values, problems
        self._changed(settings)


def describe(setting: Setting) -> ParameterDescriptor:
    """Return the ROS descriptor of a setting: description with unit and choices, and its range."""
    text = setting.description
    if setting.unit not in ("", "1"):
        text += f" Unit: {setting.unit}."
    if setting.choices:
        text += f" One of: {', '.join(setting.choices)}."
    if setting.fixed:
        text += " Can change only while the node is not configured."
    descriptor = ParameterDescriptor(description=text)
    if setting.minimum is None or setting.maximum is None:
        return descriptor
    if isinstance(setting.default, float):
        floats = FloatingPointRange(from_value=float(setting.minimum), to_value=float(setting.maximum))
        descriptor.floating_point_range = [floats]
    else:
        integers = IntegerRange(from_value=int(setting.minimum), to_value=int(setting.maximum), step=1)
        descriptor.integer_range = [integers]
    return descriptor


def _override(node: Node, setting: Setting) -> Any:
    """Return the refused start-up value in its own type, without keeping it.

    rclpy hands on ``[]`` from a command line or a parameter file as a parameter that is not set; nothing else
    arrives so.
    """
    node.declare_parameter(setting.name, None, ParameterDescriptor(dynamic_typing=True))
    value = _plain(node.get_parameter(setting.name).value)
    node.undeclare_parameter(setting.name)
    return [] if value is None else value


def _typed(setting: Setting, value: Any) -> Parameter:
    """Return ``value`` as a parameter of the type that the setting's default has."""
    return Parameter(setting.name, Parameter.Type.from_parameter_value(setting.default), value)


def _plain(value: Any) -> Any:
    """Return arrays of parameters as lists."""
    return value if value is None or isinstance(value, (bool, int, float, str)) else list(value)
