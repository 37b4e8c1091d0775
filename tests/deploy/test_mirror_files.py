# SPDX-License-Identifier: Apache-2.0
"""docker/mirror: the engines' files run one configuration, confined, with the settings that mirror.env lists.

What the configuration does is tested in tests/interop/test_mirror*.py.
"""

import configparser
import re
import shutil
import subprocess

import kubernetes_validate
import pytest
from mirror import FOLDER, NGINX_PATH
from pasted import (
    MIRROR_COMPOSE,
    MIRROR_KUBERNETES,
    MIRROR_SWARM,
    by_kind,
    container_environment,
    defaults,
    documents,
    name,
    pod_templates,
    read,
)
from support import run
from test_kubernetes import VERSIONS, restricted

PAGE = FOLDER.parents[1] / "docs" / "mirror.md"
TEMPLATE, SETTINGS, UNIT = (FOLDER / name for name in ("nginx.conf.template", "mirror.env", "model-mirror.service"))
FILES = [MIRROR_COMPOSE, MIRROR_SWARM, MIRROR_KUBERNETES]

#: What differs with the place where nginx runs.
LOCAL = {"MIRROR_CACHE", "MIRROR_RESOLVER", "MIRROR_LOG"}


@pytest.fixture(scope="module")
def settings():
    """name -> default of each setting."""
    text = run(["sh", "-ac", f". '{SETTINGS}' && env"], {}).stdout
    return dict(line.split("=", 1) for line in text.splitlines() if line.startswith("MIRROR_"))


def pod():
    (found,) = pod_templates(MIRROR_KUBERNETES)
    return found


def environment(path):
    if path == MIRROR_KUBERNETES:
        return container_environment(pod()["containers"][0])
    return defaults(read(path)["services"]["mirror"]["environment"])


def test_every_setting_is_used_explained_and_nothing_else_is(settings):
    assert set(re.findall(r"\$\{(MIRROR_[A-Z_]+)\}", TEMPLATE.read_text())) == settings.keys()
    for line in SETTINGS.read_text().split("\n\n", 1)[1].splitlines():
        assert re.match(r"# [A-Z]|MIRROR_[A-Z_]+=", line), line


def test_the_page_names_every_setting_with_its_default(settings):
    rows = re.findall(r"^\| (`MIRROR_.*?) \| (.*?) ?\| ", PAGE.read_text().replace(r"\|", "OR"), re.MULTILINE)
    documented = {}
    for names, values in rows:
        found = re.findall("`(.*?)`", names), re.findall("`(.*?)`", values)
        documented.update(dict.fromkeys(found[0]) if "`" not in values else zip(*found, strict=True))
    assert documented.keys() == settings.keys()
    for key, value in documented.items():
        assert value is None or key in LOCAL or value.replace("OR", "|") == settings[key], key


@pytest.mark.parametrize("path", FILES, ids=name)
def test_a_file_has_the_defaults_of_all_settings(path, settings):
    found = {key: value for key, value in environment(path).items() if key.startswith("MIRROR_")}
    assert found.keys() == settings.keys()
    assert {k: v for k, v in found.items() if k not in LOCAL} == {k: v for k, v in settings.items() if k not in LOCAL}
    if path != MIRROR_KUBERNETES:  # only what leads to another place in the container is not for the user to choose
        fixed = {key for key, value in read(path)["services"]["mirror"]["environment"].items() if "${" not in value}
        assert {key for key in fixed if key.startswith("MIRROR_")} == {
            "MIRROR_LISTEN", "MIRROR_INNER_PORT", "MIRROR_CA", "MIRROR_CACHE", "MIRROR_TMP", "MIRROR_LOG"
        }


@pytest.mark.parametrize("path", FILES, ids=name)
def test_nginx_accepts_the_configuration_that_the_images_entrypoint_makes(path, tmp_path):
    """The entrypoint replaces the variables whose names match the filter, and leaves nginx's own alone."""
    given = environment(path)
    names = [key for key in given if re.search(given["NGINX_ENVSUBST_FILTER"], key)]
    # Not this machine's folders and names.
    here = {"MIRROR_CACHE": str(tmp_path), "MIRROR_TMP": str(tmp_path), "MIRROR_RESOLVER": "127.0.0.1 ipv6=off"}
    made = subprocess.run(
        ["envsubst", " ".join(f"${{{key}}}" for key in names)], input=TEMPLATE.read_text(), capture_output=True,
        text=True, check=True, env={"PATH": NGINX_PATH, **given, **here},
    )
    assert not re.search(r"\$\{MIRROR_[A-Z]", made.stdout)
    file = tmp_path / "nginx.conf"
    file.write_text(made.stdout)
    run([shutil.which("nginx", path=NGINX_PATH), "-t", "-c", file], {})


@pytest.mark.parametrize("path", [MIRROR_COMPOSE, MIRROR_SWARM], ids=name)
def test_compose_and_swarm_run_it_confined(path):
    service = read(path)["services"]["mirror"]
    assert service["read_only"] is True and service["cap_drop"] == ["ALL"] and service["user"] == "101:101"
    assert service.get("mem_limit", "512m") == "512m"
    targets = {volume["target"] if isinstance(volume, dict) else volume.split(":")[1] for volume in service["volumes"]}
    given = environment(path)
    assert {given["MIRROR_CACHE"], given["MIRROR_TMP"]} <= targets
    assert service["command"][2] == f"{given['NGINX_ENVSUBST_OUTPUT_DIR']}/{TEMPLATE.stem}"
    assert given["MIRROR_LISTEN"] in service["healthcheck"]["test"][-1]


def test_both_get_the_template_that_lies_next_to_them():
    volumes = read(MIRROR_COMPOSE)["services"]["mirror"]["volumes"]
    inside = f"/etc/nginx/templates/{TEMPLATE.name}"
    assert f"./{TEMPLATE.name}:{inside}:ro" in volumes
    swarm = read(MIRROR_SWARM)
    assert swarm["configs"] == {"template": {"file": f"./{TEMPLATE.name}"}}
    assert swarm["services"]["mirror"]["configs"] == [{"source": "template", "target": inside}]


@pytest.mark.parametrize("version", VERSIONS)
def test_the_api_server_knows_every_field_of_the_mirror(version):
    for document in documents(MIRROR_KUBERNETES):
        kubernetes_validate.validate(document, version, strict=True)


def test_the_mirrors_pod_is_within_the_restricted_standard_and_its_root_is_read_only():
    (container,) = pod()["containers"]
    assert restricted(pod()) == [] and pod()["automountServiceAccountToken"] is False
    assert container["securityContext"]["readOnlyRootFilesystem"] is True
    assert "memory" in container["resources"]["limits"]
    given = environment(MIRROR_KUBERNETES)
    places = {mount["mountPath"] for mount in container["volumeMounts"]}
    assert places == {given["MIRROR_CACHE"], given["MIRROR_TMP"], "/etc/nginx/templates"}
    assert {volume["name"] for volume in pod()["volumes"]} == {mount["name"] for mount in container["volumeMounts"]}


def test_the_mirrors_service_finds_its_pod_and_its_probes_their_port():
    service, deployment = by_kind(MIRROR_KUBERNETES, "Service"), by_kind(MIRROR_KUBERNETES, "Deployment")
    (container,) = pod()["containers"]
    (port,) = container["ports"]
    assert service["spec"]["selector"] == deployment["spec"]["template"]["metadata"]["labels"]
    assert str(port["containerPort"]) == environment(MIRROR_KUBERNETES)["MIRROR_LISTEN"]
    for probe in ("readinessProbe", "livenessProbe"):
        assert container[probe]["httpGet"] == {"path": "/-/health", "port": port["name"]}
    assert service["spec"]["ports"][0]["targetPort"] == port["name"]


def test_the_claim_holds_what_the_settings_allow():
    claim = by_kind(MIRROR_KUBERNETES, "PersistentVolumeClaim")["spec"]["resources"]["requests"]["storage"]
    assert int(claim.removesuffix("Gi")) > int(environment(MIRROR_KUBERNETES)["MIRROR_DISK"].removesuffix("g"))


def test_the_unit_has_the_cache_and_the_configuration_where_its_comment_says(settings):
    unit = configparser.ConfigParser(strict=False, interpolation=None)
    unit.optionxform = str
    unit.read(UNIT)
    assert settings["MIRROR_CACHE"] == f"/var/cache/{unit['Service']['CacheDirectory']}"
    configuration = unit["Service"]["ExecStart"].split()[2]
    assert f"docker/mirror/configure >{configuration}" in UNIT.read_text()
    assert settings["MIRROR_TMP"] == "/tmp" and unit["Service"]["PrivateTmp"] == "yes"
    assert unit["Service"]["DynamicUser"] == "yes" and unit["Service"]["CapabilityBoundingSet"] == ""
    if not shutil.which("systemd-analyze"):
        pytest.skip("THE UNIT IS NOT CHECKED BY systemd, WHICH IS NOT INSTALLED HERE")
    found = run(["systemd-analyze", "verify", UNIT], {})
    assert found.stdout + found.stderr == ""


def test_the_drop_ins_in_the_units_comment_are_valid(tmp_path):
    if not shutil.which("systemd-analyze"):
        pytest.skip("THE DROP-INS ARE NOT CHECKED BY systemd, WHICH IS NOT INSTALLED HERE")
    unit = tmp_path / UNIT.name
    unit.write_text(UNIT.read_text())
    found = re.findall(r"((?:^#   [A-Z\[].*\n)+)", UNIT.read_text(), re.MULTILINE)
    drop_ins = [text.replace("#   ", "") for text in found if "[Service]" in text]
    assert len(drop_ins) == 2
    for text in drop_ins:
        folder = tmp_path / f"{UNIT.name}.d"
        folder.mkdir(exist_ok=True)
        (folder / "override.conf").write_text(text)
        done = run(["systemd-analyze", "verify", unit], {})
        assert "override.conf" not in done.stdout + done.stderr


#: A line of /etc/resolv.conf, and what nginx takes for it.
NAME_SERVERS = {
    "nameserver 10.0.0.1": "10.0.0.1",
    "nameserver\t10.0.0.2 \t": "10.0.0.2",
    "nameserver  fd00::1": "[fd00::1]",
    "nameserver ::ffff:10.0.0.1 ": "[::ffff:10.0.0.1]",
}


@pytest.fixture
def configured(tmp_path):
    """Runs `configure` on a machine with this /etc/resolv.conf."""

    def configure(resolv_conf, **settings):
        (tmp_path / "resolv.conf").write_text(resolv_conf)
        for path in (FOLDER / "configure", SETTINGS, TEMPLATE):
            copy = tmp_path / path.name
            copy.write_text(path.read_text().replace("/etc/resolv.conf |", f"{tmp_path}/resolv.conf |"))
            copy.chmod(path.stat().st_mode)
        return run([tmp_path / "configure"], settings, check=False)

    return configure


@pytest.mark.parametrize("line", NAME_SERVERS)
def test_the_name_server_is_the_first_that_nginx_understands(line, configured, tmp_path):
    lines = ["# nameserver 10.9.9.9", "search example", "nameserver fe80::1%eth0", line, "nameserver 10.8.8.8", ""]
    made = configured("\n".join(lines))
    assert f"resolver {NAME_SERVERS[line]};" in made.stdout, made.stderr
    file = tmp_path / "nginx.conf"
    file.write_text(made.stdout.replace("/var/cache/model-mirror", str(tmp_path)))
    run([shutil.which("nginx", path=NGINX_PATH), "-t", "-c", file], {})


def test_configure_fails_if_it_finds_no_name_server(configured):
    failed = configured("search example\n")
    assert failed.returncode == 1 and failed.stdout == "" and "set MIRROR_RESOLVER" in failed.stderr
    assert "resolver 10.0.0.1;" in configured("search example\n", MIRROR_RESOLVER="10.0.0.1").stdout


@pytest.mark.parametrize("line", [*NAME_SERVERS, None])
def test_the_pod_takes_its_own_name_server_unless_one_is_named(line, tmp_path):
    (container,) = pod()["containers"]
    shell, option, script = container["command"]
    assert environment(MIRROR_KUBERNETES)["MIRROR_RESOLVER"] == "", "set, so that it is exported"
    (tmp_path / "resolv.conf").write_text(f"search example\n{line}\nnameserver 10.8.8.8\n")
    assert "exec /docker-entrypoint.sh nginx -c /tmp/nginx.conf " in script
    script = script.replace("/etc/resolv.conf", f"{tmp_path}/resolv.conf").replace("exec /docker-", "env; : ")
    done = run([shell, option, script], {"MIRROR_RESOLVER": "" if line else "named valid=5s"})
    if line:
        # Pods without IPv6 cannot reach the addresses that such a query would give.
        expected = NAME_SERVERS[line] + (" ipv6=off" if ":" not in line else "")
    else:
        expected = "named valid=5s"
    assert f"MIRROR_RESOLVER={expected}\n" in done.stdout


def test_shellcheck_finds_nothing_in_the_scripts():
    script = pod()["containers"][0]["command"][2]
    done = subprocess.run(["shellcheck", "--shell=sh", "-"], input=script, capture_output=True, text=True)
    assert done.returncode == 0, done.stdout


def test_the_number_of_workers_does_not_depend_on_the_machine():
    (workers,) = re.findall(r"^worker_processes (\S+);", TEMPLATE.read_text(), re.MULTILINE)
    assert 1 <= int(workers) <= 8, "each takes memory, which the files limit"
