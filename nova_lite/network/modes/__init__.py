"""Flat, FlatDHCP, VLAN: pure planners, by the names the database knows them by."""

from __future__ import annotations

from nova_lite.network.modes.base import HostSettings, Mode, NetworkView, PortView, SubnetView
from nova_lite.network.modes.flat import Flat
from nova_lite.network.modes.flat_dhcp import FlatDhcp

__all__ = ["MODES", "HostSettings", "Mode", "NetworkView", "PortView", "SubnetView"]

MODES: dict[str, Mode] = {"flat": Flat(), "flatdhcp": FlatDhcp()}
