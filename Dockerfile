# One image for GPU and CPU. The classic builder takes it too: no BuildKit-only syntax.
#
#   docker build --network host -t uvlp .
#   docker run --rm --user "$(id -u):$(id -g)" -v "$PWD/out":/out uvlp reproduce digits 10
#
# docker/README.md says how to pin the base image by digest, how the lock is made, and what the image expects.
ARG BASE=debian:bookworm-slim
FROM ${BASE}

RUN apt-get update -q \
    && DEBIAN_FRONTEND=noninteractive apt-get install -y -q --no-install-recommends python3 python3-pip \
    && rm -rf /var/lib/apt/lists/* /var/log/apt /var/log/dpkg.log

# The libraries come before the source, so that a change of the source reuses this layer. Some library files
# are templates or tests for other Python versions: that they do not compile is expected.
COPY docker/requirements.lock /opt/uvlp/docker/requirements.lock
RUN python3 -m venv --without-pip /opt/uvlp/.venv \
    && python3 -m pip --python /opt/uvlp/.venv/bin/python install --quiet --no-cache-dir --no-compile \
        --require-hashes -r /opt/uvlp/docker/requirements.lock \
    && { /opt/uvlp/.venv/bin/python -m compileall -qq -j 0 /opt/uvlp/.venv/lib || true; }

# The same layout as a checkout, so that the package finds its data files where it finds them there. The
# files must be readable for any user id, whatever the umask of the checkout was.
COPY . /opt/uvlp
RUN python3 -m pip --python /opt/uvlp/.venv/bin/python install --quiet --no-cache-dir --no-build-isolation \
        --no-deps --editable /opt/uvlp \
    && /opt/uvlp/.venv/bin/uvlp patched \
    && /opt/uvlp/.venv/bin/python -m compileall -qq /opt/uvlp/uvlp /opt/uvlp/patched \
    && find /opt/uvlp -name .venv -prune -o -exec chmod a+rX {} + \
    && useradd --uid 1000 --no-create-home --home-dir /out --shell /usr/sbin/nologin uvlp \
    && install -d -m 1777 /out

# Everything that is written lies under /out, the one folder to mount: the root filesystem may be read-only.
# USER has a value because an arbitrary user id has no name, and libraries ask for one.
ENV PATH=/opt/uvlp/.venv/bin:/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin \
    HOME=/out \
    USER=uvlp \
    UVLP_STORE=/out/uvlp_store \
    UVLP_DATA=/out/uvlp_data \
    HF_HOME=/out/huggingface \
    XDG_CACHE_HOME=/out/.cache \
    TORCHINDUCTOR_CACHE_DIR=/out/.cache/inductor \
    TRITON_CACHE_DIR=/out/.cache/triton \
    PYTHONNOUSERSITE=1 \
    NVIDIA_VISIBLE_DEVICES=all \
    NVIDIA_DRIVER_CAPABILITIES=compute,utility

LABEL org.opencontainers.image.title="uvlp" \
      org.opencontainers.image.description="Reproducibility bundle for diffusion-based dataset distillation" \
      org.opencontainers.image.licenses="MIT"

USER uvlp
WORKDIR /out
ENTRYPOINT ["uvlp"]
