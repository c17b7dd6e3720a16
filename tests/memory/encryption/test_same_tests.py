"""Tests of stores that are not encrypted, run again with a setting that encrypts every store they make."""

from __future__ import annotations

import os
import subprocess
import sys

import pytest
from tests.conftest import ROOT

pytest.importorskip("sqlcipher3")

RUNS = {
    "kills": ["storage/test_durability.py", "storage/test_crash_states.py"],
    "processes": ["storage/test_concurrency.py", "storage/test_forking.py", "test_model.py"],
    "work": ["test_store.py", "test_namespaces.py", "keeping", "intake", "storage/test_compaction.py"],
    "search": ["searching", "storage/test_directory.py"],
    "cold": ["storage/test_cold.py", "storage/test_cold_vectors.py", "storage/test_carrying.py"],
}
# They look into files, or at the index that an encrypted store does not have on a disk; and one of chance.
OTHERWISE = [
    *(
        "index",
        "leaves_no_byte",
        "no_byte_is_left",
        "system_calls",
        "receipt_of_erasure",
        "takes_log_and_key",
    ),
    *("damaged_image", "orphans_of_others", "locks_outlive", "chosen_by_codes", "every_step"),
    *("damaged_segment", "files_of_version_2", "digests_of_its_own"),
]


@pytest.mark.slow
@pytest.mark.parametrize("what", RUNS)
def test_they_hold_for_encrypted_stores(tmp_path, what):
    key = tmp_path / "key"
    key.write_text("5a" * 32)
    key.chmod(0o600)
    paths = [str(ROOT / "tests" / "memory" / name) for name in RUNS[what]]
    chosen = " and ".join(f"not {name}" for name in OTHERWISE)
    done = subprocess.run(
        [sys.executable, "-m", "pytest", "-q", "-n", "0", "-p", "no:cacheprovider", "-k", chosen, *paths],
        env={**os.environ, "ARROWMIND_PRIVACY_STORE_KEY": f"file:{key}"},
        cwd=ROOT,
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stdout[-4000:]
    assert " passed" in done.stdout
