"""Every flow there is.  One module per flow; the generic attack runs on all of them."""

from nova_lite.operations.flow import Flow
from nova_lite.operations.instance_create import INSTANCE_CREATE
from nova_lite.operations.instance_delete import INSTANCE_DELETE
from nova_lite.operations.instance_power import INSTANCE_REBOOT, INSTANCE_START, INSTANCE_STOP

FLOWS: dict[str, Flow] = {
    flow.kind: flow
    for flow in (
        INSTANCE_CREATE,
        INSTANCE_DELETE,
        INSTANCE_START,
        INSTANCE_STOP,
        INSTANCE_REBOOT,
    )
}
