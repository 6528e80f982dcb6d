"""What holds a container, looked at from inside it: rights, limits, files, the network, and what stays on the host."""

import contextlib
import os
import resource
import socket
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import docker
import pytest

from cataloger_dagster.sandbox.docker import DockerSandbox
from cataloger_dagster.sandbox.session import Session

MEMORY_MB, CPUS, PIDS = 768, 1.5, 77


@pytest.fixture(scope="module")
def client(docker_sandbox_image: str) -> Iterator[docker.DockerClient]:
    with contextlib.closing(docker.from_env()) as client:
        yield client


@pytest.fixture(scope="module")
def session(docker_sandbox_image: str) -> Iterator[Session]:
    with DockerSandbox(docker_sandbox_image, memory_mb=MEMORY_MB, cpus=CPUS, pids=PIDS).open(None) as session:
        yield session


def seen(session: Session, code: str) -> Any:
    """The value of the last expression of *code*, run inside."""
    result = session.execute(code)
    assert result.error is None, result.output
    return eval(result.output, {"__builtins__": {"set": set}})


def test_no_process_inside_has_a_right(session: Session) -> None:
    status = seen(session, "dict(line.rstrip().split(':\\t') for line in open('/proc/self/status') if ':\\t' in line)")
    for name in ("CapInh", "CapPrm", "CapEff", "CapBnd", "CapAmb"):
        assert int(status[name], 16) == 0, name
    assert status["NoNewPrivs"] == "1"
    assert status["Seccomp"] == "2"
    for name in ("Uid", "Gid", "Groups"):
        assert "0" not in status[name].split(), status[name]
    # No program that would give rights gives them.
    told = session.execute("import subprocess; subprocess.run(['su', '-c', 'id'], capture_output=True).returncode")
    assert told.output != "0\n"


def test_the_limits_of_the_container_hold_inside(session: Session) -> None:
    limits = seen(
        session,
        "from pathlib import Path\n"
        "root = Path('/sys/fs/cgroup')\n"
        "names = 'pids.max memory.max memory.swap.max cpu.max pids/pids.max memory/memory.limit_in_bytes "
        "memory/memory.memsw.limit_in_bytes cpu/cpu.cfs_quota_us cpu/cpu.cfs_period_us'\n"
        "{name: (root / name).read_text().split() for name in names.split() if (root / name).exists()}",
    )
    memory = [str(MEMORY_MB << 20)]
    if "memory.max" in limits:  # control groups of version 2
        assert limits["pids.max"] == [str(PIDS)]
        assert limits["memory.max"] == memory
        assert limits.get("memory.swap.max", ["0"]) == ["0"]
        quota, period = limits["cpu.max"]
    else:
        assert limits["pids/pids.max"] == [str(PIDS)]
        assert limits["memory/memory.limit_in_bytes"] == memory
        assert limits.get("memory/memory.memsw.limit_in_bytes", memory) == memory
        (quota,), (period,) = limits["cpu/cpu.cfs_quota_us"], limits["cpu/cpu.cfs_period_us"]
    assert int(quota) / int(period) == CPUS


def test_nothing_can_be_written_but_bounded_folders_in_memory(session: Session) -> None:
    folders, devices = seen(
        session,
        "import os, stat\n"
        "folders, devices = set(), set()\n"
        "for place, below, files in os.walk('/'):\n"
        "    if place.startswith('/proc'): below.clear(); continue\n"
        "    probe = os.path.join(place, 'probe')\n"
        "    try: open(probe, 'w').close(); os.remove(probe); folders.add(place)\n"
        "    except OSError: pass\n"
        "    for name in files:\n"
        "        path = os.path.join(place, name)\n"
        "        if not os.path.islink(path) and os.access(path, os.W_OK): devices.add(path)\n"
        "folders, devices",
    )
    assert folders == {"/work", "/tmp", "/dev/shm", "/dev/mqueue"}
    assert devices <= {f"/dev/{name}" for name in ("full", "null", "random", "tty", "urandom", "zero", "pts/ptmx")}
    sizes = seen(
        session, "{p: os.statvfs(p).f_blocks * os.statvfs(p).f_frsize >> 20 for p in ('/work', '/tmp', '/dev/shm')}"
    )
    assert sizes == {"/work": MEMORY_MB // 4, "/tmp": 16, "/dev/shm": 64}
    files = seen(session, "{p: os.statvfs(p).f_files for p in ('/work', '/tmp', '/dev/shm')}")
    assert files == {"/work": 32_768, "/tmp": 2048, "/dev/shm": 2048}


def test_of_the_kernels_files_those_that_tell_or_change_much_are_closed(session: Session) -> None:
    told = seen(
        session,
        "def tried(path, mode):\n"
        "    try:\n"
        "        with open(path, mode) as file: return len(file.read(1)) if mode == 'rb' else 'WRITTEN'\n"
        "    except OSError as error: return 0\n"
        "reads = ('/proc/kcore', '/proc/keys', '/proc/timer_list', '/proc/sched_debug', '/proc/kmsg', '/dev/mem')\n"
        "writes = ('/proc/sysrq-trigger', '/proc/sys/kernel/core_pattern', '/proc/sys/vm/drop_caches', "
        "'/proc/sys/kernel/hostname', '/sys/kernel/uevent_helper', '/sys/kernel/mm/transparent_hugepage/enabled', "
        "'/sys/fs/cgroup/memory/memory.limit_in_bytes', '/sys/fs/cgroup/memory.max', '/proc/1/oom_score_adj')\n"
        "{p: tried(p, 'rb') for p in reads} | {p: tried(p, 'r+') for p in writes}",
    )
    assert set(told.values()) == {0}, told
    emptied = "[os.listdir(p) for p in ('/sys/firmware', '/proc/acpi', '/proc/scsi') if os.path.isdir(p)]"
    assert not any(seen(session, f"import os\n{emptied}"))


def test_nothing_of_the_hosts_file_system_is_there(session: Session) -> None:
    mounts = seen(session, "[line.split() for line in open('/proc/self/mountinfo')]")
    kinds = {fields[4]: fields[fields.index("-") + 1] for fields in mounts}
    assert kinds.pop("/") not in ("tmpfs", "proc")
    # Docker's own three, of the container's folder, read-only.
    for name in ("/etc/resolv.conf", "/etc/hostname", "/etc/hosts"):
        kinds.pop(name)
        (fields,) = [fields for fields in mounts if fields[4] == name]
        assert "/containers/" in fields[3]
        assert "ro" in fields[5].split(",")
    assert set(kinds.values()) <= {"proc", "sysfs", "tmpfs", "devpts", "mqueue", "cgroup", "cgroup2"}, kinds
    places = ("/proc", "/sys", "/dev", "/work", "/tmp")
    assert [place for place in kinds if not place.startswith(places)] == []
    sockets = "[p for p in ('/var/run/docker.sock', '/run/docker.sock', '/run/containerd') if os.path.exists(p)]"
    assert seen(session, f"import os\n{sockets}") == []


def test_the_environment_says_nothing(session: Session) -> None:
    told = seen(session, "import os\ndict(os.environ)")
    expected = {"PATH", "HOSTNAME", "HOME", "TMPDIR", "LANG", "TZ", "OPENBLAS_NUM_THREADS", "ARROW_DEFAULT_MEMORY_POOL"}
    # An image of Python's own says its version.
    assert set(told) - {"PYTHON_VERSION", "PYTHON_SHA256", "GPG_KEY", "PYTHON_PIP_VERSION"} <= expected
    assert len(told["HOSTNAME"]) == 12


def test_only_its_own_processes_are_seen(session: Session) -> None:
    seen_inside = seen(session, "import os\nsorted(int(name) for name in os.listdir('/proc') if name.isdigit())")
    assert seen_inside[0] == 1
    assert len(seen_inside) <= 4


def listening() -> set[int]:
    """The TCP ports that something on this machine listens on."""
    found = set()
    for name in ("tcp", "tcp6"):
        with contextlib.suppress(OSError):
            for line in Path(f"/proc/net/{name}").read_text().splitlines()[1:]:
                fields = line.split()
                if fields[3] == "0A":
                    found.add(int(fields[1].rpartition(":")[2], 16))
    return found


@pytest.fixture
def neighbour(client: docker.DockerClient, docker_sandbox_image: str) -> Iterator[str]:
    """The address of another container, on Docker's bridge, with a server on port 80."""
    container = client.api.create_container(
        docker_sandbox_image,
        entrypoint=["/opt/venv/bin/python", "-c", "import socket; socket.create_server(('', 8080)).accept()"],
    )["Id"]
    try:
        client.api.start(container)
        told = client.api.inspect_container(container)
        yield told["NetworkSettings"]["IPAddress"]
    finally:
        client.api.remove_container(container, force=True)


def test_no_address_answers(session: Session, client: docker.DockerClient, neighbour: str) -> None:
    assert seen(session, "import socket\n[name for _, name in socket.if_nameindex()]") == ["lo"]
    assert len(seen(session, "open('/proc/net/route').read().splitlines()")) == 1
    routes = seen(session, "[line.split()[-1] for line in open('/proc/net/ipv6_route')]")
    assert set(routes) <= {"lo"}
    bridge = client.api.inspect_network("bridge")["IPAM"]["Config"][0].get("Gateway", "172.17.0.1")
    own = {each[4][0] for each in socket.getaddrinfo(socket.gethostname(), None)}
    abstract = f"\0cataloger-test-{os.getpid()}"
    with (
        socket.create_server(("0.0.0.0", 0)) as server,
        socket.socket(socket.AF_UNIX, socket.SOCK_STREAM) as local,
        socket.create_server(("::", 0), family=socket.AF_INET6) as six,
    ):
        local.bind(abstract)
        local.listen()
        ports = sorted({22, 53, 80, 443, 2375, 5432, *listening()})
        assert {server.getsockname()[1], six.getsockname()[1]} <= set(ports)
        outside = ["1.1.1.1", "169.254.169.254", "fd00:ec2::254", "2606:4700:4700::1111"]
        addresses = ["127.0.0.1", "::1", bridge, neighbour, *own, *outside]
        code = f"""
import errno, socket
answered, said = [], set()
def tried(family, target):
    try:
        with socket.socket(family, socket.SOCK_STREAM) as s:
            s.settimeout(1)
            s.connect(target)
        answered.append(target)
    except OSError as error:
        said.add(errno.errorcode.get(error.errno, str(error)))
for address in {addresses!r}:
    for port in {[*ports, 8080]!r}:
        tried(socket.AF_INET6 if ':' in address else socket.AF_INET, (address, port))
tried(socket.AF_UNIX, {abstract!r})
for address in {addresses!r}:
    family = socket.AF_INET6 if ':' in address else socket.AF_INET
    try:
        with socket.socket(family, socket.SOCK_DGRAM) as s: s.connect((address, 53)); s.send(b'x')
        if address not in ('127.0.0.1', '::1'): answered.append(('udp', address))
    except OSError as error: said.add(errno.errorcode.get(error.errno, str(error)))
for family, kind in ((socket.AF_PACKET, socket.SOCK_RAW), (socket.AF_INET, socket.SOCK_RAW)):
    try: socket.socket(family, kind, 1).close(); answered.append((family, kind))
    except OSError: pass
answered, said
"""
        answered, said = seen(session, code)
    assert answered == []
    # Nothing timed out: there is no way there at all.
    assert said <= {"ENETUNREACH", "ECONNREFUSED", "EADDRNOTAVAIL", "EHOSTUNREACH", "EAFNOSUPPORT"}, said


def test_a_gigabyte_of_output_is_kept_nowhere(client: docker.DockerClient, docker_sandbox_image: str) -> None:
    code = "import os\nblock = (b'x' * 1023 + b'\\n') * 1024\nfor _ in range(1024): n = os.write(1, block)\n'end'"
    with DockerSandbox(docker_sandbox_image).open(None) as session:
        told = client.api.inspect_container(seen(session, "import socket\nsocket.gethostname()"))
        folder = Path(client.info()["DockerRootDir"]) / "containers" / told["Id"]
        looked_at = os.access(folder, os.R_OK)
        before = sizes(folder) if looked_at else {}
        memory = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
        result = session.execute(code, timeout=120)
        grown = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - memory
        assert result.error is None
        assert result.truncated
        assert len(result.output) <= 20_000
        assert result.output.endswith("'end'\n")
        assert grown < 50_000  # kilobytes
        assert told["LogPath"] == ""
        if looked_at:
            assert not [name for name in before if name.endswith(".log")]
            after = sizes(folder)
            assert set(after) == set(before)
            assert sum(after.values()) - sum(before.values()) < 100_000
    assert result.seconds < 60


def sizes(folder: Path) -> dict[str, int]:
    """The size of every file in *folder*."""
    return {str(path): path.stat().st_size for path in folder.rglob("*") if path.is_file()}
