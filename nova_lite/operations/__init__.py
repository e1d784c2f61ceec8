"""Every flow there is; those that are alike are in one module.  The attack runs on all of them."""

from nova_lite.operations.flow import Flow
from nova_lite.operations.instance_create import INSTANCE_CREATE
from nova_lite.operations.instance_delete import (
    INSTANCE_DELETE,
    INSTANCE_RESTORE,
    INSTANCE_SOFT_DELETE,
)
from nova_lite.operations.instance_disks import (
    INSTANCE_REBUILD,
    INSTANCE_RESCUE,
    INSTANCE_UNRESCUE,
)
from nova_lite.operations.instance_interfaces import (
    INSTANCE_ATTACH_INTERFACE,
    INSTANCE_DETACH_INTERFACE,
)
from nova_lite.operations.instance_move import (
    INSTANCE_CONFIRM,
    INSTANCE_MIGRATE,
    INSTANCE_RESIZE,
    INSTANCE_REVERT,
)
from nova_lite.operations.instance_power import (
    INSTANCE_PAUSE,
    INSTANCE_REBOOT,
    INSTANCE_RESUME,
    INSTANCE_START,
    INSTANCE_STOP,
    INSTANCE_SUSPEND,
    INSTANCE_UNPAUSE,
)
from nova_lite.operations.instance_relocate import INSTANCE_EVACUATE, INSTANCE_LIVE_MIGRATE
from nova_lite.operations.instance_snapshot import (
    INSTANCE_BACKUP,
    INSTANCE_SHELVE,
    INSTANCE_SHELVE_OFFLOAD,
    INSTANCE_SNAPSHOT,
    INSTANCE_UNSHELVE,
)

FLOWS: dict[str, Flow] = {
    flow.kind: flow
    for flow in (
        INSTANCE_CREATE,
        INSTANCE_DELETE,
        INSTANCE_SOFT_DELETE,
        INSTANCE_RESTORE,
        INSTANCE_START,
        INSTANCE_STOP,
        INSTANCE_REBOOT,
        INSTANCE_PAUSE,
        INSTANCE_UNPAUSE,
        INSTANCE_SUSPEND,
        INSTANCE_RESUME,
        INSTANCE_RESCUE,
        INSTANCE_UNRESCUE,
        INSTANCE_REBUILD,
        INSTANCE_RESIZE,
        INSTANCE_MIGRATE,
        INSTANCE_CONFIRM,
        INSTANCE_REVERT,
        INSTANCE_LIVE_MIGRATE,
        INSTANCE_EVACUATE,
        INSTANCE_SNAPSHOT,
        INSTANCE_BACKUP,
        INSTANCE_SHELVE,
        INSTANCE_SHELVE_OFFLOAD,
        INSTANCE_UNSHELVE,
        INSTANCE_ATTACH_INTERFACE,
        INSTANCE_DETACH_INTERFACE,
    )
}
