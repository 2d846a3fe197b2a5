# One image for GPU and CPU. The classic builder takes it too: no BuildKit-only syntax.
#
#   docker build --network host -t uvlp .
#   docker run --rm --user "$(id -u):$(id -g)" -v "$PWD/out":/out uvlp reproduce digits 10
#
# docker/README.md says what the build arguments do, how the lock is made, and what the image expects.
ARG BASE=debian:bookworm-slim

# What the image has of Debian. SOURCE_DATE_EPOCH is the day that useradd writes down: the same in every build.
FROM ${BASE} AS system
RUN apt-get update -q \
    && DEBIAN_FRONTEND=noninteractive apt-get install -y -q --no-install-recommends ca-certificates python3 \
    && apt-get clean \
    && SOURCE_DATE_EPOCH=1000000000 useradd --uid 1000 --no-create-home --home-dir /out \
        --shell /usr/sbin/nologin uvlp \
    && install -d -m 1777 /out \
    && rm -rf /var/lib/apt/lists/* /var/cache/apt/* /var/cache/debconf/*-old /var/cache/ldconfig/aux-cache \
        /var/lib/dpkg/*-old /var/log/apt /var/log/*.log
# LICENSE stands for "no folder": COPY needs something.
ARG CERTIFICATES=
COPY ${CERTIFICATES:-LICENSE} /usr/local/share/ca-certificates/
RUN rm -f /usr/local/share/ca-certificates/LICENSE \
    && if [ -n "$CERTIFICATES" ]; then \
        ls /usr/local/share/ca-certificates/*.crt >/dev/null 2>&1 \
            || { echo "error  no certificate in the folder of CERTIFICATES: $CERTIFICATES (needed: *.crt, PEM)" >&2; exit 2; }; \
        update-ca-certificates; \
    fi

# Everything of the lock, build and test tools included. The libraries come before the source, so that a change
# of the source reuses the layer.
FROM system AS tools
RUN install -D /var/lib/dpkg/status /build/dpkg-status \
    && apt-get update -q \
    && DEBIAN_FRONTEND=noninteractive apt-get install -y -q --no-install-recommends python3-pip
ENV PIP_CERT=/etc/ssl/certs/ca-certificates.crt PYTHONDONTWRITEBYTECODE=1
COPY docker/requirements.lock /build/requirements.lock
RUN python3 -m venv --without-pip /opt/uvlp/.venv \
    && python3 -m pip --python /opt/uvlp/.venv/bin/python install --quiet --no-cache-dir --no-compile \
        --require-hashes -r /build/requirements.lock

# The package as an editable wheel: it depends on these files alone, and its build tool stays behind.
FROM tools AS wheel
COPY LICENSE README.md pyproject.toml /opt/uvlp/
COPY uvlp/__init__.py /opt/uvlp/uvlp/__init__.py
RUN cd /opt/uvlp && mkdir /build/wheel \
    && .venv/bin/python -c "from hatchling.build import build_editable; build_editable('/build/wheel')"

# The user's wheels in place of the lock's.
FROM tools AS supplied
COPY pyproject.toml /build/
COPY tools /build/tools
ARG WHEELS=
COPY ${WHEELS:-LICENSE} /build/wheels/
RUN if [ -n "$WHEELS" ]; then \
        cd /build && /opt/uvlp/.venv/bin/python -m tools.image_packages wheels wheels >wheels.txt \
        && python3 -m pip --python /opt/uvlp/.venv/bin/python install --quiet --no-cache-dir --no-compile --no-deps \
            --no-index --force-reinstall --require-hashes -r wheels.txt; \
    fi

# The libraries that the image gets: nothing that the package does not need, and no file that only a compiler
# or a test reads. Some library files are templates: that they do not compile is expected. A hash in the
# bytecode instead of the source's time makes two builds equal.
FROM supplied AS libraries
RUN cd /build \
    && /opt/uvlp/.venv/bin/python -m tools.image_packages unneeded pyproject.toml >unneeded.txt \
    && /opt/uvlp/.venv/bin/python -m tools.image_sbom pyproject.toml dpkg-status >sbom.cdx.json \
    && python3 -m pip --python /opt/uvlp/.venv/bin/python uninstall --quiet --yes -r unneeded.txt \
    && cd /opt/uvlp/.venv/lib/python3*/site-packages \
    && find . -name '*.a' -type f -delete \
    && find . -type d -name tests -prune -exec rm -rf {} + \
    && rm -rf torch/include \
    && { /opt/uvlp/.venv/bin/python -m compileall -qq -f -j 0 --invalidation-mode checked-hash /opt/uvlp/.venv/lib \
        || true; }

# The source in the layout of a checkout, so that the package finds its data files where it finds them there,
# and the patched diffusers beside it. The files must be readable for any user id, whatever the umask of the
# checkout was.
FROM libraries AS package
COPY --from=wheel /build/wheel /build/wheel
COPY . /build/root/opt/uvlp
RUN cd /build/root/opt/uvlp \
    && rm -rf tools && find docker -mindepth 1 -type d -prune -exec rm -rf {} + \
    && cp /build/sbom.cdx.json . \
    && python3 -m pip --python /opt/uvlp/.venv/bin/python install --quiet --no-cache-dir --no-compile --no-deps \
        --no-warn-script-location --root /build/root /build/wheel/*.whl \
    && PYTHONPATH="$(echo /build/root/opt/uvlp/.venv/lib/python3*/site-packages)" \
        /opt/uvlp/.venv/bin/python -m uvlp patched \
    && /opt/uvlp/.venv/bin/python -m compileall -qq -f --invalidation-mode checked-hash -s /build/root -p / \
        /build/root \
    && chmod -R a+rX /build/root

FROM system
COPY --from=libraries /opt/uvlp/.venv /opt/uvlp/.venv
COPY --from=package /build/root/ /

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
    SSL_CERT_FILE=/etc/ssl/certs/ca-certificates.crt \
    REQUESTS_CA_BUNDLE=/etc/ssl/certs/ca-certificates.crt \
    PYTHONNOUSERSITE=1 \
    NVIDIA_VISIBLE_DEVICES=all \
    NVIDIA_DRIVER_CAPABILITIES=compute,utility

USER uvlp
WORKDIR /out
ENTRYPOINT ["uvlp"]

# Last, because they change with every commit. No date: two builds of a commit have the same labels.
ARG VERSION=0.1.0
ARG REVISION=
ARG WHEELS=
LABEL org.opencontainers.image.title="uvlp" \
      org.opencontainers.image.description="Reproducibility bundle for diffusion-based dataset distillation" \
      org.opencontainers.image.licenses="MIT" \
      org.opencontainers.image.version="${VERSION}" \
      org.opencontainers.image.revision="${REVISION}" \
      uvlp.wheels="${WHEELS}"
