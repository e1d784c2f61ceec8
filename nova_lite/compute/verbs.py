"""What a compute worker can do: between a command's words and the drivers' verbs."""

from __future__ import annotations

import base64
from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from uuid import UUID

from nova_lite.bus.messages import Json
from nova_lite.bus.worker import Question, Verb
from nova_lite.domain.errors import GuestNotFound
from nova_lite.domain.specs import GuestSpec, ImageSource, Nic, from_json, to_json
from nova_lite.domain.states import PowerState
from nova_lite.images.sending import send
from nova_lite.network.driver import NetworkDriver
from nova_lite.virt.driver import VirtDriver


class ComputeVerbs:
    """`send` uploads a file to an address: an image of ours, for a while."""

    def __init__(
        self, virt: VirtDriver, network: NetworkDriver, send: Callable[[str, Path], None] = send
    ) -> None:
        self.virt = virt
        self.network = network
        self.send = send

    def verbs(self) -> Mapping[str, Verb]:
        return {
            "guest.run": self.run,
            "guest.stop": self.stop,
            "guest.reboot": self.reboot,
            "guest.pause": self.pause,
            "guest.suspend": self.suspend,
            "guest.define": self.define,
            "guest.plug": self.plug,
            "guest.protect": self.protect,
            "guest.snapshot": self.snapshot,
            "guest.migrate": self.migrate,
            "guest.look": self.look,
            "guest.remove": self.remove,
            "guest.remove_idle": self.remove_idle,
            "image.fetch": self.fetch,
        }

    def questions(self) -> Mapping[str, Question]:
        return {
            "console.log": self.console_log,
            "console.address": self.console,
            "guest.diagnostics": self.diagnostics,
            "guest.set_password": self.set_password,
            "guest.interrupt": self.interrupt,
        }

    def run(self, args: Json, sequence: int) -> Json:
        """Make the guest exist, on its networks, and running."""
        spec = self._ensure(args, sequence)
        self.virt.power(spec.id, PowerState.RUNNING)
        return self._done(spec, PowerState.RUNNING)

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
        return self._done(spec, PowerState.RUNNING)

    def pause(self, args: Json, sequence: int) -> Json:
        self.virt.power(UUID(args["id"]), PowerState.PAUSED)
        return {"power_state": PowerState.PAUSED}

    def suspend(self, args: Json, sequence: int) -> Json:
        """Off, with its memory kept on disk."""
        self.virt.power(UUID(args["id"]), PowerState.SUSPENDED)
        return {"power_state": PowerState.SUSPENDED}

    def define(self, args: Json, sequence: int) -> Json:
        """Make the guest exist, without starting it."""
        return self._done(self._ensure(args, sequence), PowerState.SHUTDOWN)

    def plug(self, args: Json, sequence: int) -> Json:
        """Give the guest the NICs of its description, now."""
        spec = self._described(args, sequence)
        self.virt.plug(spec)
        # Not before: what it has not let go of is filtered to the end.
        self.network.unprotect(spec.id, but=spec.nics)
        return {"filters": spec.filters}

    def protect(self, args: Json, sequence: int) -> Json:
        """Let through these NICs of the guest what they say now, and touch nothing else."""
        self._wire(UUID(args["id"]), [from_json(Nic, nic) for nic in args["nics"]])
        return {"filters": int(args["filters"])}

    def snapshot(self, args: Json, sequence: int) -> Json:
        """Send a copy of the root disk to the image that `url` is good for."""
        with self.virt.snapshot(UUID(args["id"])) as copy:
            self.send(f"{args['url']}&disk_format={copy.disk_format}", copy.path)
        return {}

    def migrate(self, args: Json, sequence: int) -> Json:
        self.virt.migrate(UUID(args["id"]), args["to"])
        return {}

    def look(self, args: Json, sequence: int) -> Json:
        """How the guest is; a guest that is not here has no power state."""
        known = self.virt.guests().get(UUID(args["id"]))
        return {"power_state": known and known.power_state}

    def remove(self, args: Json, sequence: int) -> Json:
        self._remove(UUID(args["id"]))
        return {}

    def fetch(self, args: Json, sequence: int) -> Json:
        """Have an image at hand before a guest needs it."""
        self.virt.fetch(from_json(ImageSource, args["image"]))
        return {}

    def remove_idle(self, args: Json, sequence: int) -> Json:
        """Remove the guest unless it has come to life here; how it is then, as `look` says it."""
        seen = self.look(args, sequence)
        if seen["power_state"] in (PowerState.RUNNING, PowerState.PAUSED):
            return seen
        self._remove(UUID(args["id"]))
        return {"power_state": None}

    def console_log(self, args: Json) -> Json:
        """The end of the serial log, as base64: a guest may print any bytes."""
        log = self.virt.console_log(UUID(args["id"]), int(args["max_bytes"]))
        return {"log": base64.b64encode(log).decode()}

    def console(self, args: Json) -> Json:
        """Where a console proxy finds the guest."""
        found = self.virt.console(UUID(args["id"]), args["kind"])
        return {"host": found.host, "port": found.port}

    def diagnostics(self, args: Json) -> Json:
        known: Json = to_json(self.virt.diagnostics(UUID(args["id"])))
        return known

    def set_password(self, args: Json) -> Json:
        self.virt.set_password(UUID(args["id"]), args["user"], args["password"])
        return {}

    def interrupt(self, args: Json) -> Json:
        self.virt.interrupt(UUID(args["id"]))
        return {}

    def _ensure(self, args: Json, sequence: int) -> GuestSpec:
        spec = self._described(args, sequence)
        self.virt.ensure(spec)
        return spec

    def _remove(self, guest: UUID) -> None:
        self.virt.remove(guest)
        self.network.unprotect(guest)

    def _done(self, spec: GuestSpec, state: PowerState) -> Json:
        """The answer of a verb that has made the guest what its description says."""
        self.network.unprotect(spec.id, but=spec.nics)
        return {"power_state": state, "filters": spec.filters}

    def _described(self, args: Json, sequence: int) -> GuestSpec:
        """The guest that the command is about, on networks that are there and filtered.

        Before its first packet, and before that of a NIC it is about to get.
        """
        spec = replace(from_json(GuestSpec, args["spec"]), sequence=sequence)
        self._wire(spec.id, spec.nics)
        return spec

    def _wire(self, guest: UUID, nics: Sequence[Nic]) -> None:
        for nic in nics:
            self.network.connect(nic.link)
        self.network.protect(guest, nics)
