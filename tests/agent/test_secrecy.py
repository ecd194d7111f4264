"""What is sealed opens with its key and in its place, and nowhere else."""

from __future__ import annotations

import stat
import threading
from pathlib import Path

import pytest
from pydantic import SecretStr

from agent.secrecy import KEY_FILE, MAGIC, PREFIX_BYTES, Sealer, make_sealer
from agent.settings import ServerSettings, Settings
from retrieval.errors import DataDirectoryError, SettingsError

OLD = "old-" + "k" * 40
NEW = "new-" + "k" * 40
PLAIN = b"a webhook's secret"


def test_a_value_opens_where_it_belongs_and_nowhere_else(tmp_path: Path) -> None:
    sealer = Sealer(tmp_path, [NEW])
    sealed = sealer.seal(PLAIN, "webhook", "shop-a", "hook-1")
    assert sealer.open(sealed, "webhook", "shop-a", "hook-1") == PLAIN
    assert sealed.startswith(MAGIC)
    assert PLAIN not in sealed
    assert sealer.seal(PLAIN, "webhook", "shop-a", "hook-1") != sealed  # nobody sees that two rows hold the same
    for place in (
        ("webhook", "shop-b", "hook-1"),
        ("webhook", "shop-a", "hook-2"),
        ("connector", "shop-a", "hook-1"),
        ("webhook", "shop-ah", "ook-1"),
        ("webhook", "shop-a"),
    ):
        with pytest.raises(DataDirectoryError, match="changed, or moved"):
            sealer.open(sealed, *place)


@pytest.mark.parametrize("at", [PREFIX_BYTES, 30, -1])
def test_a_changed_value_does_not_open(tmp_path: Path, at: int) -> None:
    sealer = Sealer(tmp_path, [NEW])
    changed = bytearray(sealer.seal(PLAIN, "webhook"))
    changed[at] ^= 1
    with pytest.raises(DataDirectoryError, match="changed, or moved"):
        sealer.open(bytes(changed), "webhook")
    with pytest.raises(DataDirectoryError, match="changed, or moved"):
        sealer.open(bytes(changed[: PREFIX_BYTES + 3]), "webhook")


def test_the_first_key_seals_and_all_open(tmp_path: Path) -> None:
    old = Sealer(tmp_path, [OLD]).seal(PLAIN, "webhook")
    both = Sealer(tmp_path, [NEW, OLD])
    assert both.open(old, "webhook") == PLAIN
    assert not old.startswith(both.prefix)
    anew = both.seal(PLAIN, "webhook")
    assert anew.startswith(both.prefix)
    assert Sealer(tmp_path, [NEW]).open(anew, "webhook") == PLAIN
    with pytest.raises(DataDirectoryError, match=r"not among yours; .*CHATALOGUE_SERVER__SEALING_KEYS") as error:
        Sealer(tmp_path, [NEW]).open(old, "webhook")
    assert OLD not in str(error.value)
    assert NEW not in str(error.value)
    assert not (tmp_path / KEY_FILE).exists()


def test_without_keys_in_the_settings_one_is_made_for_its_owner_alone(tmp_path: Path) -> None:
    data = tmp_path / "var"
    data.mkdir()
    sealer = Sealer(data)
    assert sealer.state().source == "none yet"
    assert not (data / KEY_FILE).exists()
    sealed = sealer.seal(PLAIN, "webhook")
    file = data / KEY_FILE
    assert stat.S_IMODE(file.stat().st_mode) == 0o600
    assert [path.name for path in data.iterdir()] == [KEY_FILE]
    assert Sealer(data).open(sealed, "webhook") == PLAIN
    assert (Sealer(data).state().source, Sealer(data).state().readable_by_others) == ("file", False)
    # To the settings: the file still opens what it sealed.
    moved = Sealer(data, [NEW])
    assert moved.open(sealed, "webhook") == PLAIN
    assert moved.state().n_keys == 2
    file.chmod(0o644)
    assert Sealer(data).state().readable_by_others


def test_processes_that_make_a_key_at_once_agree(tmp_path: Path) -> None:
    sealers = [Sealer(tmp_path) for _ in range(8)]
    sealed: list[bytes] = []
    start = threading.Barrier(len(sealers))

    def seal(sealer: Sealer) -> None:
        start.wait()
        sealed.append(sealer.seal(PLAIN, "webhook"))

    threads = [threading.Thread(target=seal, args=(sealer,)) for sealer in sealers]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(sealed) == len(sealers)
    assert {Sealer(tmp_path).open(value, "webhook") for value in sealed} == {PLAIN}
    assert [path.name for path in tmp_path.iterdir()] == [KEY_FILE]


def test_what_is_wrong_with_keys_is_said_in_one_sentence(tmp_path: Path) -> None:
    with pytest.raises(SettingsError, match=r"shorter than 32 characters; make one with `openssl") as short:
        Sealer(tmp_path, ["secret"])
    assert "'secret'" not in str(short.value)
    (tmp_path / KEY_FILE).write_text("!!!", encoding="utf-8")
    with pytest.raises(DataDirectoryError, match="cannot be used"):
        Sealer(tmp_path).seal(PLAIN, "webhook")
    (tmp_path / KEY_FILE).write_text("c2hvcnQ=\n", encoding="utf-8")
    with pytest.raises(DataDirectoryError, match="too short"):
        Sealer(tmp_path).seal(PLAIN, "webhook")
    with pytest.raises(DataDirectoryError, match="cannot be used"):
        Sealer(tmp_path / "nowhere").seal(PLAIN, "webhook")


def test_the_sealer_of_the_settings(tmp_path: Path) -> None:
    keys = (SecretStr(NEW), SecretStr(OLD))
    settings = Settings(data_dir=tmp_path, server=ServerSettings(sealing_keys=keys))
    assert make_sealer(settings).open(Sealer(tmp_path, [OLD]).seal(PLAIN, "webhook"), "webhook") == PLAIN
    assert NEW not in str(settings)
    assert NEW not in repr(make_sealer(settings)._keys)
