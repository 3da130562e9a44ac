import resource

import pytest

from batkol.web import limits


@pytest.mark.parametrize(
    ("descriptors", "public", "internal"),
    [(256, 128, 64), (1024, 512, 256), (4096, 2048, 1024), (1 << 20, 2048, 1024), (resource.RLIM_INFINITY, 2048, 1024)],
)
def test_a_quarter_of_the_descriptors_is_left_for_everything_else(descriptors: int, public: int, internal: int) -> None:
    assert limits.public(descriptors).connections == public
    assert limits.internal(descriptors).connections == internal


def test_the_limit_of_the_process_is_what_counts() -> None:
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (512, hard))
    try:
        assert (limits.public().connections, limits.internal().connections) == (256, 128)
    finally:
        resource.setrlimit(resource.RLIMIT_NOFILE, (soft, hard))


def test_twilios_listener_closes_and_the_clusters_keeps_its_connections() -> None:
    assert limits.public(1024).one_request
    assert not limits.internal(1024).one_request
    assert limits.internal(1024).keep_alive_s == 75


def test_both_listeners_have_the_same_clocks_and_sizes() -> None:
    for each in (limits.public(1024), limits.internal(1024)):
        assert (each.head_s, each.head_bytes, each.body_s, each.body_bytes) == (10, 32 << 10, 15, 64 << 10)
