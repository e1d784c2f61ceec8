from __future__ import annotations

from nova_lite.scheduler.base import Placement, Ranking, SchedulerSettings, Verdict
from nova_lite.scheduler.fleet import Ratios


def test_a_refusal_reads_as_a_sentence() -> None:
    ranking = Ranking(
        hosts=[],
        considered=3,
        verdicts=[Verdict("ComputeFilter", "up and enabled", 2), Verdict("RamFilter", "512 MB", 0)],
        refused={"host2": "RamFilter", "host1": "ComputeFilter"},
    )
    assert ranking.explain() == "3 hosts; ComputeFilter (up and enabled): 2; RamFilter (512 MB): 0"
    assert ranking.explain_hosts() == "host1: ComputeFilter; host2: RamFilter"


def test_the_reasons_of_a_large_site_are_cut_short_and_say_so() -> None:
    ranking = Ranking(hosts=[], refused={f"host{i}": "RamFilter" for i in range(5)})
    assert ranking.explain_hosts(limit=2) == "host0: RamFilter; host1: RamFilter; and 3 more"
    assert ranking.explain_hosts(limit=5).endswith("host4: RamFilter")


def test_a_request_says_what_it_wants() -> None:
    assert str(Placement(memory_mb=512, vcpus=1, disk_gb=1)) == "512 MB, 1 VCPU, 1 GB disk"
    assert str(Placement(memory_mb=64, vcpus=2, disk_gb=0)) == "64 MB, 2 VCPUs, 0 GB disk"


def test_the_settings_know_the_ratios() -> None:
    settings = SchedulerSettings(
        ram_allocation_ratio=1.5, cpu_allocation_ratio=16.0, disk_allocation_ratio=0.9
    )
    assert settings.ratios == Ratios(memory=1.5, vcpus=16.0, disk=0.9)
    assert SchedulerSettings().ratios == Ratios()
