"""The clouds that most of these tests begin with."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from nova_lite.testing.cloud import Cloud, Facade
from tests.functional.compute_site import Site
from tests.functional.identity_site import make, role_id


@pytest.fixture
def cloud(tmp_path: Path) -> Iterator[Cloud]:
    """One without hosts."""
    cloud = Cloud(tmp_path, hosts=0)
    yield cloud
    cloud.close()


@pytest.fixture
def identity(cloud: Cloud) -> Facade:
    return cloud.identity


@pytest.fixture
def joe(cloud: Cloud, identity: Facade) -> tuple[str, str, str]:
    """A member of a project of his: ids of user and project, and a token."""
    project = make(identity, "project", name="joes")["id"]
    user = make(identity, "user", name="joe", password="secret-joe")["id"]
    identity.put(f"/v3/projects/{project}/users/{user}/roles/{role_id(identity, 'member')}", None)
    return user, project, cloud.token("joe", "secret-joe", "joes")


@pytest.fixture
def site(tmp_path: Path) -> Iterator[Site]:
    """One with two hosts, on which servers can be booted."""
    site = Site(tmp_path)
    yield site
    site.cloud.close()
