# SPDX-License-Identifier: Apache-2.0
"""docker/slurm on a real cluster of one node: slurmctld, slurmd and munged, each with its files in the test's folder."""

import os
import shutil
import socket
import subprocess

import pytest
from pasted import DOCKER
from support import SYSTEM_PATH, run, wait_until

FILL, ARRAY = DOCKER / "slurm" / "fill.sbatch", DOCKER / "slurm" / "array.sbatch"

CONFIGURATION = """
ClusterName=test
SlurmctldHost=localhost(127.0.0.1)
SlurmctldPort={controller}
SlurmdPort={node}
SlurmUser=root
SlurmdUser=root
AuthType=auth/munge
AuthInfo=socket={folder}/munge/socket
StateSaveLocation={folder}/state
SlurmdSpoolDir={folder}/spool
SlurmctldPidFile={folder}/slurmctld.pid
SlurmdPidFile={folder}/slurmd.pid
SlurmctldLogFile={folder}/slurmctld.log
SlurmdLogFile={folder}/slurmd.log
ProctrackType=proctrack/linuxproc
TaskPlugin=task/none
SwitchType=switch/none
MpiDefault=none
ReturnToService=2
KillWait=5
NodeName=localhost NodeAddr=127.0.0.1 CPUs=2 RealMemory=1000 State=UNKNOWN
PartitionName=main Nodes=localhost Default=YES MaxTime=INFINITE State=UP
"""


def test_shellcheck_finds_nothing_in_the_batch_scripts():
    for path in (FILL, ARRAY):
        done = subprocess.run(["shellcheck", path], capture_output=True, text=True, timeout=60)
        assert done.returncode == 0, done.stdout


def test_the_deployment_page_links_the_batch_scripts():
    page = (DOCKER.parent / "docs" / "deploy.md").read_text()
    assert "](../docker/slurm/fill.sbatch)" in page and "](../docker/slurm/array.sbatch)" in page


def free_ports(count):
    sockets = [socket.create_server(("127.0.0.1", 0)) for _ in range(count)]
    ports = [one.getsockname()[1] for one in sockets]
    for one in sockets:
        one.close()
    return ports


class Cluster:
    """Commands of Slurm, as the cluster's user would give them."""

    def __init__(self, folder, program, demo):
        self.folder = folder
        self.variables = {
            "PATH": SYSTEM_PATH,
            "SLURM_CONF": str(folder / "slurm.conf"),
            "MODEL_PREP": str(program),
            "HOME": str(folder),
            "SCRATCH": str(folder / "scratch"),
            "HF_ENDPOINT": demo.endpoint,
            "MODEL_PREP_MANIFEST": str(demo.manifest),
            "NO_PROXY": "*",
        }

    def command(self, *arguments, check=True, **more):
        return run(["env", "-C", self.folder, *arguments], {**self.variables, **more}, check=check)

    def submit(self, *arguments, check=True, **more):
        """Waits for the end of the job; the exit code is the job's."""
        return self.command("sbatch", "--parsable", "--wait", *arguments, check=check, **more)

    def output(self, name):
        return (self.folder / name).read_text()


@pytest.fixture
def cluster(build, demo, tmp_path):
    missing = [name for name in ("slurmctld", "slurmd", "sbatch", "munged") if not shutil.which(name)]
    if missing:
        pytest.skip(f"SLURM TESTS SKIPPED: {', '.join(missing)} MISSING. docker/packages NAMES THEIR PACKAGES.")

    tmp_path.chmod(0o755)  # munge demands it of all parents of its socket
    for name in ("munge", "state", "spool", "scratch"):
        (tmp_path / name).mkdir(mode=0o755)
    key = tmp_path / "munge" / "key"
    key.write_bytes(os.urandom(128))
    key.chmod(0o400)
    controller, node = free_ports(2)
    (tmp_path / "slurm.conf").write_text(
        CONFIGURATION.format(folder=tmp_path, controller=controller, node=node))

    here = Cluster(tmp_path, build / "model-prep", demo)
    munge = ["munged", "--foreground", "--force", f"--key-file={key}", f"--socket={tmp_path}/munge/socket",
             f"--pid-file={tmp_path}/munge/pid", f"--log-file={tmp_path}/munge/log",
             f"--seed-file={tmp_path}/munge/seed"]
    started = []
    try:
        for command in (munge, ["slurmctld", "-D"], ["slurmd", "-D", "-N", "localhost"]):
            log = open(tmp_path / f"{command[0]}.out", "w")
            program = shutil.which(command[0])
            started.append(subprocess.Popen([program, *command[1:]], env=here.variables, stdout=log, stderr=log))
            log.close()
            if command is munge:
                wait_until((tmp_path / "munge" / "socket").exists, "munge's socket")
        wait_until(lambda: "idle" in here.command("sinfo", "--noheader", "--format=%T", check=False).stdout,
                   "an idle node")
        yield here
    finally:
        for process in reversed(started):
            process.terminate()
            process.wait(30)


def test_one_job_fills_the_cache_and_array_jobs_read_it_without_a_request(cluster, demo):
    # Before the cache is there, no task starts its service.
    early = cluster.submit("--output=early", ARRAY, "echo", "service began", check=False)
    assert early.returncode == 1
    assert "offline" in cluster.output("early") and "service began" not in cluster.output("early")

    cluster.submit("--output=fill", FILL)
    assert "3 of 3 models ready" in cluster.output("fill")

    demo.hub.forget_requests()
    cluster.submit("--array=1-3", "--output=task-%a", ARRAY, "sh", "-c",
                   "echo $HF_HOME $HF_HUB_OFFLINE $SLURM_ARRAY_TASK_ID")
    for task in "123":
        assert cluster.output(f"task-{task}").splitlines()[-1] == f"{cluster.folder}/scratch/models 1 {task}"
    assert demo.hub.requests() == []


def test_a_job_that_is_cancelled_keeps_what_it_has_and_the_next_one_resumes(cluster, start_hub, tmp_path):
    slow = start_hub("--rate", "400000", "--demo", "--manifest-out", str(tmp_path / "slow.json"))
    variables = {"HF_ENDPOINT": slow.endpoint, "MODEL_PREP_MANIFEST": str(tmp_path / "slow.json")}
    job = cluster.command("sbatch", "--parsable", "--output=first", FILL, **variables).stdout.strip()
    wait_until(lambda: any((tmp_path / "scratch").rglob("*.incomplete")), "a file in progress")
    cluster.command("scancel", job)
    wait_until(lambda: "stopped by SIGTERM" in cluster.output("first"), "the end of the job")

    wait_until(lambda: "idle" in cluster.command("sinfo", "--noheader", "--format=%T").stdout, "an idle node")
    cluster.submit("--output=second", FILL, **variables)
    assert "3 of 3 models ready" in cluster.output("second")
