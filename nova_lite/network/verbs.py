"""What a network worker can do: between a command's words and the driver's verbs."""

from __future__ import annotations

from collections.abc import Mapping
from uuid import UUID

from nova_lite.bus.messages import Json
from nova_lite.bus.worker import Verb
from nova_lite.domain.specs import NetworkPlan, from_json
from nova_lite.network.driver import NetworkDriver


class NetworkVerbs:
    def __init__(self, driver: NetworkDriver) -> None:
        self.driver = driver

    def verbs(self) -> Mapping[str, Verb]:
        return {"network.ensure": self.ensure, "network.remove": self.remove}

    def ensure(self, args: Json, _sequence: int) -> Json:
        """Provide exactly this plan; an older one than we provide is content as it is."""
        plan = from_json(NetworkPlan, args["plan"])
        provided = self.driver.networks().get(plan.link.network_id, 0)
        if plan.generation >= provided:
            self.driver.ensure(plan)
        return {"generation": max(plan.generation, provided)}

    def remove(self, args: Json, _sequence: int) -> Json:
        self.driver.remove(UUID(args["id"]))
        return {}
