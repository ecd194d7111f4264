"""The address is checked before anything is loaded: open without a key and busy ports are one sentence each."""

import socket

import pytest
from pydantic import SecretStr

from agent.settings import ServerSettings
from retrieval.errors import SettingsError
from ui.serve import check_address


def sentence(server: ServerSettings) -> str:
    with pytest.raises(SettingsError) as caught:
        check_address(server)
    said = str(caught.value)
    assert "\n" not in said
    assert said.endswith(".")
    return said


@pytest.mark.parametrize("host", ["127.0.0.1", "127.0.0.2", "localhost"])
def test_loopback_needs_no_key(host: str) -> None:
    check_address(ServerSettings(host=host, port=0))


@pytest.mark.parametrize("host", ["0.0.0.0", "::", "192.168.1.5", "example.org", ""])  # noqa: S104
def test_any_other_host_needs_a_key(host: str) -> None:
    said = sentence(ServerSettings(host=host, port=0))
    assert repr(host) in said
    assert "CHATALOGUE_SERVER__API_KEYS" in said


def test_with_a_key_any_host_may_be_served() -> None:
    check_address(ServerSettings(host="0.0.0.0", port=0, api_keys=(SecretStr("a long secret"),)))  # noqa: S104


def test_a_busy_port_names_another() -> None:
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        port = taken.getsockname()[1]
        said = sentence(ServerSettings(port=port))
    assert f"127.0.0.1:{port} is in use by another program" in said
    assert f"--port {port + 1}" in said


def test_a_port_that_was_just_left_is_free() -> None:
    """Connections of the server before may still be closing (TIME_WAIT)."""
    with socket.socket() as server:
        server.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        server.bind(("127.0.0.1", 0))
        server.listen()
        port = server.getsockname()[1]
        with socket.create_connection(("127.0.0.1", port)), server.accept()[0]:
            pass
    check_address(ServerSettings(port=port))


def test_a_host_that_is_not_ours_is_one_sentence() -> None:
    key = (SecretStr("a long secret"),)
    assert "cannot be used" in sentence(ServerSettings(host="192.0.2.1", port=8000, api_keys=key))
