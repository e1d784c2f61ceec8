"""/v2.0/agents and /v2.0/availability_zones: the hosts that serve the networks."""

from __future__ import annotations

from nova_lite.api.declare import Field, Request, Resource, render
from nova_lite.api.network.collection import Json, uuid_of

AGENT = (
    Field("id", lambda a: str(a.id)),
    Field("agent_type", lambda a: "Network worker"),
    Field("binary", lambda a: "nova-network"),
    Field("topic", lambda a: "nova-network"),
    Field("host", lambda a: a.host),
    Field("availability_zone", lambda a: a.zone),
    Field("admin_state_up", lambda a: a.enabled),
    Field("alive", lambda a: a.alive),
    Field("created_at", lambda a: f"{a.created_at:%Y-%m-%d %H:%M:%S}"),
    Field("heartbeat_timestamp", lambda a: f"{a.last_seen_at:%Y-%m-%d %H:%M:%S}"),
    Field("configurations", lambda a: {}),
)

agents = Resource("/v2.0/agents")
zones = Resource("/v2.0/availability_zones")


@agents.on("GET", policy="get_agent")
def index(request: Request) -> Json:
    wanted = {name: set(values) for name, values in request.filters().items()}
    shown = [render(AGENT, agent) for agent in request.services.networks.agents()]
    return {
        "agents": [
            agent
            for agent in shown
            if all(str(agent[name]) in wanted[name] for name in wanted.keys() & agent.keys())
        ]
    }


@agents.on("GET", "/{id}", policy="get_agent")
def show(request: Request, id: str) -> Json:
    return {"agent": render(AGENT, request.services.networks.agent(uuid_of(id, "agent")))}


@zones.on("GET", policy="get_availability_zone")
def list_zones(request: Request) -> Json:
    served: dict[str, bool] = {}
    for agent in request.services.networks.agents():
        served[agent.zone] = served.get(agent.zone, False) or (agent.alive and agent.enabled)
    return {
        "availability_zones": [
            {"name": zone, "resource": "network", "state": "available" if up else "unavailable"}
            for zone, up in served.items()
        ]
    }
