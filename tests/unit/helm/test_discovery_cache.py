"""What Helm runs share of what they read of the API, and when they do not."""

from collections.abc import Iterator
from pathlib import Path

import pytest

from helm_rollback.helm.discovery_cache import DiscoveryCache
from helm_rollback.helm.environment import private_folder


@pytest.fixture
def cache(tmp_path: Path) -> Iterator[DiscoveryCache]:
    made = DiscoveryCache(tmp_path)
    yield made
    made.clear()


def run(cache: DiscoveryCache, parent: Path, state: str, *, port: int, cluster: str = "default") -> list[str]:
    """What a run finds of earlier ones; it leaves a document of its own, as client-go does."""
    kubeconfig = f'{{"clusters": [{{"cluster": {{"server": "http://fence:a-b_c@127.0.0.1:{port}"}}}}]}}'
    with private_folder(parent) as folder:
        cache.share(folder, cluster, state, kubeconfig=kubeconfig)
        documents = folder.discovery / "discovery" / f"fence_a_b_c_127.0.0.1_{port}"
        documents.mkdir(parents=True, exist_ok=True)
        found = sorted(file.name for file in documents.iterdir())
        (documents / f"by-{port}").touch()
        return found


def test_a_run_finds_what_was_read_in_the_same_state(cache: DiscoveryCache, tmp_path: Path) -> None:
    assert run(cache, tmp_path, "one", port=1) == []
    assert run(cache, tmp_path, "one", port=2) == ["by-1"]


def test_in_another_state_all_is_read_anew_also_when_an_old_state_returns(
    cache: DiscoveryCache, tmp_path: Path
) -> None:
    run(cache, tmp_path, "one", port=1)

    assert run(cache, tmp_path, "two", port=2) == []
    assert run(cache, tmp_path, "one", port=3) == []


def test_clusters_share_nothing(cache: DiscoveryCache, tmp_path: Path) -> None:
    run(cache, tmp_path, "one", port=1, cluster="default")

    assert run(cache, tmp_path, "one", port=2, cluster="other") == []


def test_without_a_state_nothing_is_shared(cache: DiscoveryCache, tmp_path: Path) -> None:
    run(cache, tmp_path, "", port=1)

    assert run(cache, tmp_path, "", port=2) == []


def test_in_the_end_nothing_is_left(cache: DiscoveryCache, tmp_path: Path) -> None:
    run(cache, tmp_path, "one", port=1)
    cache.clear()

    assert list(tmp_path.iterdir()) == []
