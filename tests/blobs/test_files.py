"""Large values in a shared folder: whole or not at all, and errors that say what to do."""

import errno
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from nflow.blobs import files
from nflow.blobs.files import FileBlobs
from nflow.core.ids import RunId
from nflow.errors import BlobFolderUnusable, BlobLost
from nflow.wire.values import decode, encode
from tests.blobs.conftest import data_of, pieces_of

np = pytest.importorskip("numpy")

RUN = RunId("r")


def written(folder: Path, value: object):
    encoded = encode(value)
    return files.write(folder, RUN, encoded.parts, type_=encoded.type)


def test_what_a_slot_wrote_another_one_reads(tmp_path):
    image = np.arange(3_000_000, dtype="f4").reshape(1000, 3000)

    ref = written(tmp_path, image)

    found = decode(files.read(tmp_path, ref, "it"))
    assert np.array_equal(found, image)
    assert found.flags.writeable
    assert (ref.scheme, ref.type) == ("file", "numpy")


def test_a_value_of_many_small_parts_is_no_trouble(tmp_path):
    value = [np.full(3, number) for number in range(3000)]

    ref = files.write(tmp_path, RUN, [array.view("u1").data for array in value], type_="numpy")

    assert files.read(tmp_path, ref, "it").nbytes == 3000 * 24


async def test_half_a_file_is_seen_by_nobody(tmp_path):
    seen = []

    async def pieces():
        async for piece in pieces_of(data_of(1_000_000), 100_000):
            seen.append([path.suffix for path in tmp_path.rglob("r/*")])
            yield piece

    where = await FileBlobs(tmp_path).put(RUN, pieces())

    assert seen == [[".part"]] * 10
    assert list(tmp_path.rglob("r/*")) == [tmp_path / where]


async def test_nothing_is_left_of_a_file_that_was_not_finished(tmp_path):
    async def failing():
        yield b"half"
        raise OSError(errno.EIO, "the detector is away")

    with pytest.raises(OSError, match="the detector is away"):
        await FileBlobs(tmp_path).put(RUN, failing())

    assert list(tmp_path.rglob("r/*")) == []


@pytest.mark.parametrize("harm", ["truncate", "alter", "remove"])
def test_a_damaged_file_is_lost_under_the_name_of_its_value(tmp_path, harm):
    ref = written(tmp_path, np.arange(100_000))
    path = tmp_path / ref.where
    match harm:
        case "truncate":
            path.write_bytes(path.read_bytes()[:-10])
        case "alter":
            path.write_bytes(path.read_bytes()[:-1] + b"!")
        case "remove":
            path.unlink()

    with pytest.raises(BlobLost, match=rf"data\['image'\] \(numpy, {ref.size_bytes} bytes\) is lost"):
        files.read(tmp_path, ref, "data['image']")


def test_a_folder_that_is_missing_is_not_made(tmp_path):
    """A file system that is not mounted must not be replaced by a folder on the local disk."""
    away = tmp_path / "gpfs"

    with pytest.raises(BlobFolderUnusable, match=r"gpfs \(blobs.url\): No such file or directory.*mounted here"):
        written(away, data_of(1000))

    assert not away.exists()


def test_a_folder_that_is_missing_is_told_from_a_value_that_is(tmp_path):
    ref = written(tmp_path, data_of(1000))
    shutil.rmtree(tmp_path)

    with pytest.raises(BlobFolderUnusable, match="mounted here"):
        files.read(tmp_path, ref, "it")


def test_what_is_no_folder_is_told(tmp_path):
    (tmp_path / "file").touch()

    with pytest.raises(BlobFolderUnusable, match="Not a directory"):
        written(tmp_path / "file", data_of(1000))


async def test_a_folder_is_checked_before_there_is_work(tmp_path):
    await FileBlobs(tmp_path).check()

    with pytest.raises(BlobFolderUnusable, match="mounted here"):
        await FileBlobs(tmp_path / "away").check()


_FILL = """
import sys
from pathlib import Path
from nflow.blobs import files
from nflow.errors import BlobFolderUnusable

folder = Path(sys.argv[1])
try:
    files.write(folder, "r", [bytes(1 << 20)] * 8, type_="bytes")
except BlobFolderUnusable as error:
    print(error)
print([str(path.name) for path in folder.rglob("r/*")])
"""


def test_a_full_disk_is_told_and_nothing_is_left_there(tmp_path):
    mount = 'mount -t tmpfs -o size=2m tiny "$0" || exit 77; exec "$@"'
    command = ["unshare", "-m", "sh", "-c", mount, str(tmp_path), sys.executable, "-c", _FILL, str(tmp_path)]

    done = subprocess.run(command, capture_output=True, text=True, timeout=30, check=False)

    if done.returncode == 77 or "unshare" in done.stderr:
        pytest.skip("file systems cannot be mounted here")
    said, left = done.stdout.splitlines()
    assert "No space left on device. Make room there" in said
    assert left == "[]"
