"""What a compute worker can do: between a command's words and the drivers' verbs."""

from __future__ import annotations

import base64
from collections.abc import Mapping
from dataclasses import replace
from uuid import UUID

from nova_lite.bus.messages import Json
from nova_lite.bus.worker import Question, Verb
from nova_lite.domain.errors import GuestNotFound
from nova_lite.domain.specs import GuestSpec, from_json
from nova_lite.domain.states import PowerState
from nova_lite.network.driver import NetworkDriver
from nova_lite.virt.driver import VirtDriver


class ComputeVerbs:
    def __init__(self, virt: VirtDriver, network: NetworkDriver) -> None:
        self.virt = virt
        self.network = network

    def verbs(self) -> Mapping[str, Verb]:
        return {
            "guest.run": self.run,
            "guest.stop": self.stop,
            "guest.reboot": self.reboot,
            "guest.remove": self.remove,
        }

    def questions(self) -> Mapping[str, Question]:
        return {"console.log": self.console_log}

    def run(self, args: Json, sequence: int) -> Json:
        """Make the guest exist, on its networks, and running."""
        spec = self._ensure(args, sequence)
        self.virt.power(spec.id, PowerState.RUNNING)
        return {"power_state": PowerState.RUNNING}

    def stop(self, args: Json, sequence: int) -> Json:
        """Shut the guest down; after `grace` seconds pull its plug."""
        guest = UUID(args["id"])
        try:
            self.virt.power(guest, PowerState.SHUTDOWN, grace=float(args["grace"]))
        except GuestNotFound:
            # It is not running, then; its definition comes back when it starts.
            self._ensure(args, sequence)
        return {"power_state": PowerState.SHUTDOWN}

    def reboot(self, args: Json, sequence: int) -> Json:
        """Soft: let the guest shut down by itself, within `grace` seconds; hard: do not ask."""
        spec = self._ensure(args, sequence)
        grace = 0.0 if args.get("hard") else float(args["grace"])
        self.virt.power(spec.id, PowerState.SHUTDOWN, grace=grace)
        self.virt.power(spec.id, PowerState.RUNNING)
        return {"power_state": PowerState.RUNNING}

    def remove(self, args: Json, sequence: int) -> Json:
        self.virt.remove(UUID(args["id"]))
        return {}

    def console_log(self, args: Json) -> Json:
        """The end of the serial log, as base64: a guest may print any bytes."""
        log = self.virt.console_log(UUID(args["id"]), int(args["max_bytes"]))
        return {"log": base64.b64encode(log).decode()}

    def _ensure(self, args: Json, sequence: int) -> GuestSpec:
        spec = replace(from_json(GuestSpec, args["spec"]), sequence=sequence)
        for nic in spec.nics:
            self.network.connect(nic.link)
        self.virt.ensure(spec)
        return spec
