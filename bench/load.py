"""Load: wrk over HTTP, callers inside the process for the store alone, pgbench as the yardstick."""

import os
import re
import subprocess
import sys
import time
import urllib.request
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path

import msgspec

from bench.product import CUSTOMERS, Bed, environment
from tests.support.postgres import find_binaries, free_port

SINGLE = """
wrk.method = "POST"
wrk.headers["Content-Type"] = "application/json"
wrk.headers["Authorization"] = "Bearer %(key)s"
local n = 0
local run = "%(run)s"
request = function()
  n = n + 1
  return wrk.format("POST", "/v1/admit", nil, string.format(
    '{"customer":"cus_%%026d","action":"launch","key":"%%s-%%d"}', n %% %(customers)d, run, n))
end
"""
BATCH = """
wrk.method = "POST"
wrk.headers["Content-Type"] = "application/json"
wrk.headers["Authorization"] = "Bearer %(key)s"
local n = 0
local run = "%(run)s"
request = function()
  local items = {}
  for i = 1, 100 do
    n = n + 1
    items[i] = string.format('{"customer":"cus_%%026d","action":"launch","key":"%%s-%%d"}', n %% %(customers)d, run, n)
  end
  return wrk.format("POST", "/v1/admit/batch", nil, '{"items":[' .. table.concat(items, ",") .. ']}')
end
"""
PACED = """
local ffi = require("ffi")
ffi.cdef("typedef struct { long s, ns; } time_of; int clock_gettime(int clock, time_of *now);")
local read = ffi.new("time_of")
local due
delay = function()
  ffi.C.clock_gettime(1, read)
  local now = tonumber(read.s) * 1000 + tonumber(read.ns) / 1000000
  due = (due or now) + %(mean_ms)f
  return math.max(0, math.floor(due - now + 0.5))
end
"""
"""A request is due every so often however long answers take, and sent then or once a connection is free for it."""
COUNTED = """
done = function(summary, latency, requests)
  io.write(string.format("p50 %d p99 %d errors %d requests %d\\n", latency:percentile(50), latency:percentile(99),
    summary.errors.status + summary.errors.connect + summary.errors.read + summary.errors.write + summary.errors.timeout,
    summary.requests))
end
"""


class Load(msgspec.Struct, frozen=True):
    """What a load run saw. Times in ms."""

    per_second: float
    p50_ms: float
    p99_ms: float
    errors: int
    requests: int


class Running(msgspec.Struct, frozen=True):
    """A server that answers."""

    url: str
    pid: int
    started_in_seconds: float


@contextmanager
def server(
    bed: Bed, *, workers: int = 1, without_store: bool = False, more: Mapping[str, str] | None = None
) -> Iterator[Running]:
    """Start `tollhouse serve` (without a store: the same whose saves return at once), wait for /health, stop it by SIGTERM."""
    port = free_port()
    config = bed.folder / "tollhouse.toml"
    command = [sys.executable, "-m", "tollhouse", "serve", "--config", str(config), "--port", str(port)]
    command += ["--workers", str(workers)]
    if without_store:
        command = [sys.executable, "-m", "bench.server", str(port), str(config)]
    began = time.monotonic()
    log = (bed.folder / "server.log").open("ab")
    process = subprocess.Popen(
        command, env={**os.environ, **environment(bed.url), **(more or {})}, stderr=log, stdout=log
    )
    try:
        url = f"http://127.0.0.1:{port}"
        wait_for(url + "/health", process)
        yield Running(url, process.pid, time.monotonic() - began)
    finally:
        process.terminate()
        process.wait(30)
        log.close()


def wait_for(url: str, process: "subprocess.Popen[bytes]") -> None:
    """Until this address answers."""
    for _ in range(600):
        try:
            with urllib.request.urlopen(url, timeout=1):
                return
        except OSError:
            if process.poll() is not None:
                raise RuntimeError("the server ended at its start; see server.log") from None
            time.sleep(0.05)
    raise RuntimeError("the server did not answer within 30 s")


def wrk(
    running: Running, bed: Bed, *, seconds: float, connections: int = 64, batch: bool = False,
    rate: float | None = None, customers: int = CUSTOMERS,
) -> Load:  # fmt: skip
    """Closed-loop load with unique keys; `rate` spreads it to so many requests a second."""
    script = bed.folder / "load.lua"
    values = {"key": bed.key, "run": f"{os.getpid()}-{time.monotonic_ns()}", "customers": customers}
    script.write_text((BATCH if batch else SINGLE) % values)
    seen = run_wrk(running, script, seconds=seconds, connections=connections, rate=rate)
    return msgspec.structs.replace(seen, per_second=seen.per_second * (100 if batch else 1))


def run_wrk(running: Running, script: Path, *, seconds: float, connections: int, rate: float | None = None) -> Load:
    """What this script's requests met with."""
    text = script.read_text() + COUNTED
    if rate is not None:
        text += PACED % {"mean_ms": 1000 / rate}
    script.write_text(text)
    command = [
        "wrk",
        "-t1",
        f"-c{connections}",
        f"-d{max(1, round(seconds))}s",
        "--timeout",
        "10s",
        "-s",
        str(script),
        running.url,
    ]
    said = subprocess.run(command, capture_output=True, text=True, check=True).stdout
    rate_found = re.search(r"Requests/sec:\s+([0-9.]+)", said)
    figures = re.search(r"p50 (\d+) p99 (\d+) errors (\d+) requests (\d+)", said)
    if rate_found is None or figures is None:
        raise RuntimeError(f"wrk said:\n{said}")
    p50, p99, errors, requests = (int(figure) for figure in figures.groups())
    return Load(float(rate_found[1]), p50 / 1000, p99 / 1000, errors, requests)


def pgbench(url: str, seconds: int) -> float:
    """TPS of `pgbench -N -M prepared -s 10 -c 64 -j 2`, the yardstick."""
    binary = find_binaries() / "pgbench"
    command = [str(binary), "-N", "-M", "prepared", "-c", "64", "-j", "2", "-T", str(seconds), url]
    said = subprocess.run(command, capture_output=True, text=True, check=True).stdout
    found = re.search(r"tps = ([0-9.]+)", said)
    if found is None:
        raise RuntimeError(f"pgbench said:\n{said}")
    return float(found[1])


def pgbench_fill(url: str) -> None:
    """The yardstick's tables, scale 10."""
    subprocess.run([str(find_binaries() / "pgbench"), "-i", "-q", "-s", "10", url], check=True, capture_output=True)


def fdatasync_ms(folder: Path, times: int = 200) -> float:
    """Median of one 4 kB write with fdatasync, on the disk of `folder`."""
    took = []
    with (folder / "fdatasync").open("wb", buffering=0) as file:
        for _ in range(times):
            began = time.perf_counter()
            file.write(b"x" * 4096)
            os.fdatasync(file.fileno())
            took.append(time.perf_counter() - began)
    return sorted(took)[times // 2] * 1000


def memory_mb(pid: int) -> float:
    """Resident memory of a process now."""
    text = Path(f"/proc/{pid}/status").read_text()
    found = re.search(r"VmRSS:\s+(\d+) kB", text)
    return int(found[1]) / 1024 if found else 0.0
