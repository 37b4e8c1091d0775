# SPDX-License-Identifier: Apache-2.0
"""The Job of docker/kubernetes while the Hub answers 503 for five minutes, without Retry-After. With --long."""

import threading

import pytest
from pasted import KUBERNETES, by_kind, container_environment, containers
from support import run

OUTAGE = 300

#: The pauses between the pods of a Job: they double from the first to the last one.
FIRST_PAUSE, LAST_PAUSE = 10, 360


@pytest.fixture
def hub_that_is_down(start_hub, tmp_path):
    hub = start_hub("--demo", "--manifest-out", str(tmp_path / "manifest.json"))
    hub.add_faults({"times": -1, "what": "status", "code": 503})
    end = threading.Timer(OUTAGE, hub.forget_faults)
    end.start()
    yield hub
    end.cancel()
    end.join()


def test_the_job_outlasts_an_outage(hub_that_is_down, model_prep, tmp_path):
    (path,) = [path for path in KUBERNETES if path.name == "job.yaml"]
    job = by_kind(path, "Job")["spec"]
    (container,) = containers(job["template"]["spec"])
    environment = model_prep.environment(hub_that_is_down, {}) | {
        key: value for key, value in container_environment(container).items() if value
    }
    environment |= {
        "HF_HOME": str(tmp_path / "models"),
        "HF_TOKEN_PATH": str(tmp_path / "no-token"),
        "MODEL_PREP_MANIFEST": str(tmp_path / "manifest.json"),
    }

    pause, codes = FIRST_PAUSE, []
    while not codes or codes[-1] != 0:
        assert len(codes) <= job["backoffLimit"], "the Job would have failed for good"
        if codes:
            threading.Event().wait(pause)
            pause = min(2 * pause, LAST_PAUSE)
        codes.append(run([model_prep.program], environment, timeout=job["activeDeadlineSeconds"], check=False).returncode)

    assert 503 in [request["status"] for request in hub_that_is_down.requests()]
    assert len(codes) <= 2, "the program's own patience is as long as the outage"
