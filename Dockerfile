# The server alone, from locked packages. The sandbox is not in it: this image is for real installations.
FROM python:3.13-slim AS build
WORKDIR /build
COPY requirements/build.txt requirements/run.txt requirements/
RUN python -m venv /opt/tollhouse \
    && /opt/tollhouse/bin/pip install --no-cache-dir --no-deps --require-hashes -r requirements/run.txt \
    && pip install --no-cache-dir --no-deps --require-hashes -r requirements/build.txt
COPY pyproject.toml README.md LICENSE CHANGELOG.md ./
COPY src src
RUN pip wheel --no-build-isolation --no-deps --wheel-dir dist . \
    && /opt/tollhouse/bin/pip install --no-cache-dir --no-deps dist/tollhouse-*.whl \
    && /opt/tollhouse/bin/pip check

FROM python:3.13-slim
RUN useradd --system --uid 10001 --home-dir /data --create-home tollhouse
COPY --from=build /opt/tollhouse /opt/tollhouse
# /data holds tollhouse.toml, and the database where that is SQLite.
WORKDIR /data
VOLUME /data
USER tollhouse
ENV PATH=/opt/tollhouse/bin:$PATH PYTHONUNBUFFERED=1 TOLLHOUSE_HOST=0.0.0.0 PORT=8787
EXPOSE 8787
HEALTHCHECK --interval=10s --timeout=3s --start-period=10s \
    CMD ["python", "-c", "import os, urllib.request as r; r.urlopen(f\"http://127.0.0.1:{os.environ['PORT']}/health\", timeout=2)"]
# SIGTERM drains: running requests end before the process does.
STOPSIGNAL SIGTERM
ENTRYPOINT ["tollhouse"]
CMD ["serve"]
