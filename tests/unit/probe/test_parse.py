from dagfleet.probe.parse import parse
from dagfleet.probe.report import Disk, HostReport, Listener, Privilege

SAID = """
@@clock
1700000012.500000000
@@privilege
sudo
@@release
PRETTY_NAME="Debian GNU/Linux 12 (bookworm)"
ID=debian
VERSION_ID="12"
@@identity
hostname beta
machine_id 8f2c
architecture aarch64
cores 4
cgroup cgroup2fs
init systemd
@@memory
MemTotal:       16384000 kB
MemFree:         1000000 kB
@@addresses
1: lo    inet 127.0.0.1/8 scope host lo
2: eth0    inet 10.0.1.2/24 brd 10.0.1.255 scope global eth0
2: eth0    inet6 fe80::1/64 scope link
@@commands
python3
sudo
@@python
Python 3.11.2
@@listening
LISTEN 0 4096 0.0.0.0:4443 0.0.0.0:* users:(("nginx",pid=812,fd=6),("nginx",pid=813,fd=6))
LISTEN 0 128 [::1]:6432 [::]:* users:(("pgbouncer",pid=901,fd=7))
LISTEN 0 128 127.0.0.53%lo:53 0.0.0.0:*
@unit 812 /system.slice/nginx.service
@unit 901 /system.slice/pgbouncer.service
@@packages
installed docker.io 20.10.24
config-files haproxy 2.6.12
@@daemon_json
{"mtu": 1400}
@@docker
{"ServerVersion": "20.10.24", "DockerRootDir": "/srv/docker", "Driver": "overlay2", "CgroupDriver": "systemd"}
@@containers
dagfleet-location-etl\t127.0.0.1:20344->4000/tcp
theirs\t0.0.0.0:8080-8081->80-81/tcp, :::8080-8081->80-81/tcp
@@disk
/dev/sda1 102400 51200 40960 56% /srv
/dev/sda1 1000 400 600 40% /srv
@@record
{"release": "0.1.0", "config_hash": "abc"}
@@units
dagfleet-firewall.service loaded active exited Dagfleet's firewall
haproxy.service loaded failed failed HAProxy
@@certificates
@file docker-ca.crt
-----BEGIN CERTIFICATE-----
ca
-----END CERTIFICATE-----
@file mesh-server.pem key
-----BEGIN CERTIFICATE-----
leaf
-----END CERTIFICATE-----
@file web.pem
-----BEGIN CERTIFICATE-----
no key
-----END CERTIFICATE-----
@@end
"""


def said(text: str = SAID) -> HostReport:
    return parse(text.splitlines(), asked_at=1700000010.0)


def test_a_host_is_who_it_says() -> None:
    report = said()
    assert (report.hostname, report.machine_id, report.architecture) == ("beta", "8f2c", "aarch64")
    assert (report.distribution, report.version, report.cores) == ("debian", "12", 4)
    assert report.memory == 16384000 * 1024
    assert report.addresses == ("127.0.0.1", "10.0.1.2", "fe80::1")
    assert (report.cgroup, report.init, report.privilege) == ("v2", "systemd", Privilege.SUDO)


def test_its_python_is_a_release_or_none_yet() -> None:
    assert said().python == "3.11"
    assert said(SAID.replace("Python 3.11.2", "Python 3.13.5")).python == "3.13"
    assert said(SAID.replace("Python 3.11.2\n", "")).python is None


def test_its_clock_is_compared_with_ours() -> None:
    assert said().clock_offset == 2.5


def test_listeners_have_owners_and_units() -> None:
    nginx, pgbouncer, resolver = said().listeners
    assert nginx == Listener(nginx.address, 4443, "nginx", 812, "nginx.service")
    assert nginx.public
    assert (pgbouncer.port, pgbouncer.public, pgbouncer.unit) == (6432, False, "pgbouncer.service")
    assert (resolver.address, resolver.process, resolver.unit) == ("127.0.0.53", None, None)


def test_removed_packages_do_not_count() -> None:
    assert said().packages == {"docker.io": "20.10.24"}


def test_disk_is_where_docker_keeps_its_data() -> None:
    assert said().disk == Disk(mount="/srv", total=102400 * 1024, free=40960 * 1024, inodes_free=600)


def test_a_file_system_without_a_number_of_inodes_has_none_to_run_out_of() -> None:
    text = SAID.replace("/dev/sda1 1000 400 600 40% /srv", "/dev/sda1 0 0 0 - /srv")
    disk = said(text).disk
    assert disk is not None
    assert disk.inodes_free is None


def test_published_ports_name_their_container() -> None:
    engine = said().engine
    assert engine is not None
    assert engine.containers["dagfleet-location-etl"] == (20344,)
    assert set(engine.containers["theirs"]) == {8080, 8081}


def test_certificates_are_told_apart_by_their_keys() -> None:
    by_file = {certificate.file: certificate for certificate in said().certificates}
    assert by_file["mesh-server.pem"].has_key
    assert not by_file["web.pem"].has_key
    assert by_file["mesh-server.pem"].pem.splitlines()[1] == "leaf"


def test_units_have_their_state() -> None:
    assert said().units == {"dagfleet-firewall.service": "active", "haproxy.service": "failed"}


def test_a_bare_host_that_says_almost_nothing_is_still_a_report() -> None:
    report = parse(["@@privilege", "none"], asked_at=0)
    assert report.record is None
    assert report.engine is None
    assert report.disk is None
    assert not report.bootstrapped


def test_an_engine_that_does_not_answer_is_none() -> None:
    text = SAID.replace('{"ServerVersion": "20.10.24"', '{"ServerErrors": ["cannot connect"]')
    assert said(text).engine is None
