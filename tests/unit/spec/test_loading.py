"""Stack files as a whole: settings, references, and what a user gets wrong."""

from __future__ import annotations

from pathlib import Path

import pytest
from pydantic import SecretStr

from pgstead.errors import SpecError
from pgstead.spec import (
    Cluster,
    LocalPlatform,
    MemoryPlatform,
    Stack,
    from_tree,
    load,
    loads,
)
from pgstead.spec.cluster import Postgres

PEM = "-----BEGIN CERTIFICATE-----\nMII\n-----END CERTIFICATE-----"
KEY = "-----BEGIN PRIVATE KEY-----\nMII\n-----END PRIVATE KEY-----"
KINDS = "local or libvirt or openstack or memory"


def stack(text: str, **environ: str) -> Stack:
    return loads(text, folder=Path("/stacks"), environ=environ)


def refusal_of(text: str, **environ: str) -> SpecError:
    with pytest.raises(SpecError) as caught:
        stack(text, **environ)
    return caught.value


def test_the_quickstart_loads() -> None:
    path = Path(__file__).parents[3] / "examples" / "quickstart.yaml"
    made = load(path)
    assert made.name == "quickstart"
    assert isinstance(made.platform, LocalPlatform)
    assert len(made.modules) == 7
    assert made.warnings == ()
    assert made.source.where(("cluster", "etcd")).startswith(f"{path}:")


def test_every_setting_is_read() -> None:
    made = stack(
        "version: 1\nname: qa\nproduction: true\nstate: {url: '${env:STATE}'}\n"
        "platform:\n  kind: local\n  user: pg\n  folder: machines\n  network: 127.40.7.0/24\n"
        "  start_at_boot: true\n  binaries: {postgresql: /usr/lib/postgresql/15/bin}\n"
        "certificate_authorities:\n  own: {key: '${env:KEY}', certificate: '${env:PEM}'}\n  new:\n"
        "passwords:\n  root: {value: '${env:WORD}'}\n  other:\n"
        "modules:\n  e-1: {source: etcd-server, password: '${passwords.root}'}\n",
        STATE="postgresql://u:p@h/db",
        KEY=KEY,
        PEM=PEM,
        WORD="hunter2",
    )
    assert made.production
    assert made.state.url == "postgresql://u:p@h/db"
    assert isinstance(made.platform, LocalPlatform)
    assert made.platform.folder == Path("/stacks/machines")
    assert made.platform.binaries.postgresql == Path("/usr/lib/postgresql/15/bin")
    assert made.certificate_authorities["own"].key == SecretStr(KEY)
    assert made.certificate_authorities["new"].key is None
    assert made.passwords["root"].value == SecretStr("hunter2")
    assert made.passwords["other"].value is None
    assert made.modules["e-1"].source == "etcd-server"
    assert dict(made.modules["e-1"].variables) == {"password": "${passwords.root}"}
    assert "hunter2" not in repr(made)
    assert "u:p@h" not in repr(made)


def test_a_cluster_may_be_given_some_of_its_passwords() -> None:
    text = "name: x\npasswords: {mine: {}, superuser: {value: hunter2}}\ncluster:\n"
    made = stack(text)
    assert list(made.passwords) == [
        "superuser",
        "replication",
        "rewind",
        "application",
        "etcd-root",
        "etcd-patroni",
        "etcd-sentinel",
        "mine",
    ]
    assert made.passwords["superuser"].value == SecretStr("hunter2")


def test_a_file_for_the_memory_platform() -> None:
    made = stack("name: x\nplatform: {kind: memory}\nmodules: {}\n")
    assert made.platform == MemoryPlatform()
    assert made.modules == {}


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("name: x\n", "pgstead.yaml:1: a stack needs either cluster or modules"),
        ("name: x\ncluster: {}\nmodules: {}\n", "pgstead.yaml:3: modules: a stack has either"),
        ("cluster: {}\n", "name: this key is required"),
        ("name: Shop\ncluster: {}\n", "name: must be 1 to 40 lower-case letters"),
        ("name: 12\ncluster: {}\n", "name: expected text, given 12"),
        (f"name: {'x' * 41}\ncluster: {{}}\n", "name: must be 1 to 40"),
        ("name: x\nclutser: {}\n", "pgstead.yaml:2: clutser: unknown key; did you mean cluster?"),
        ("name: x\nproduction: yes\ncluster:\n", 'production: expected true or false, given "'),
        ("name: x\nplatform: {kind: openstack, os_size: 9}\ncluster:\n", "boot_from_volume is"),
        ("name: x\nplatform: {kind: lokal}\ncluster:\n", f"expected {KINDS}"),
        ("name: x\nplatform: {usr: a, kind: local}\ncluster:\n", "did you mean user?"),
        ("name: x\nplatform: {kind: local, network: 10.0.0.0/24}\ncluster:\n", "127.0.0.0/8"),
        ("name: x\nplatform: {kind: local, network: 127.1.0.0/30}\ncluster:\n", "16 addresses"),
        ("name: x\nplatform: {kind: local, network: 127.1.0.1/24}\ncluster:\n", "127.40.7.0/24"),
        (
            "name: x\nstate: {url: 'mysql://u:hunter2@h/d'}\ncluster:\n",
            "must begin with sqlite:///",
        ),
        ("name: x\npasswords: {a: {value: hunter21}}\nmodules: {}\nx: 1\n", "x: unknown key"),
        ("name: x\npasswords: {a: hunter2}\nmodules: {}\n", "passwords.a: expected a mapping"),
        ('name: x\npasswords: {a: {value: "hunter2\\n"}}\nmodules: {}\n', "must be one line"),
        ("name: x\npasswords: {a b: {}}\nmodules: {}\n", "passwords.a b: a name is 1 to 63"),
        ("name: x\nmodules: {a/b: {source: x}}\n", "modules.a/b: a name is 1 to 63"),
        ("name: x\nmodules: []\n", "modules: expected a mapping"),
        ("name: x\nmodules: {a: 3}\n", "modules.a: expected a mapping of the module's variables"),
        ("name: x\nmodules: {a: {}}\n", "modules.a: source is required"),
        ("name: ${modules.a.ip}\nmodules: {}\n", "only ${file:PATH} and ${env:NAME} can be used"),
        (
            "name: x\ncertificate_authorities: {a: {key: k}}\nmodules: {}\n",
            "is required beside key",
        ),
        (
            "name: x\ncertificate_authorities: {a: {certificate: hunter2}}\nmodules: {}\n",
            "must be a certificate in PEM",
        ),
    ],
)
def test_a_wrong_file_is_refused(text: str, words: str) -> None:
    error = refusal_of(text)
    assert words in error.message
    assert error.message.startswith("pgstead.yaml:")
    assert "hunter2" not in error.message
    assert error.exit_code == 2


def test_what_is_wrong_in_several_places_is_told_at_once() -> None:
    error = refusal_of(
        "name: Shop\nprodction: true\npasswords: {a b: {}}\nplatform: {kind: lokal}\n"
        "cluster:\n  etcd: {membres: 3}\n  postgres: {members: many}\n"
    )
    assert [line.partition(": ")[::2] for line in error.message.splitlines()] == [
        (
            "pgstead.yaml:1",
            'name: must be 1 to 40 lower-case letters, digits and inner hyphens, given "Shop"',
        ),
        ("pgstead.yaml:2", "prodction: unknown key; did you mean production?"),
        ("pgstead.yaml:3", "passwords.a b: a name is 1 to 63 letters, digits and inner - or _"),
        ("pgstead.yaml:4", f'platform.kind: expected {KINDS}, given "lokal"'),
        ("pgstead.yaml:6", "cluster.etcd.membres: unknown key; did you mean members?"),
        ("pgstead.yaml:7", 'cluster.postgres.members: expected a whole number, given "many"'),
    ]


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("naem: x\ncluster:\n", "naem: unknown key; did you mean name?"),
        ("name: x\nclutser:\n", "clutser: unknown key; did you mean cluster?"),
        ("name: ${env:N}\ncluster:\n", "name: the environment variable N is not set"),
        (
            "name: x\ncluster: {postgres: {members: one, synchronous: {node_count: 3}}}\n",
            'cluster.postgres.members: expected a whole number, given "one"',
        ),
    ],
)
def test_what_follows_from_a_mistake_is_not_told(text: str, words: str) -> None:
    (line,) = refusal_of(text).message.splitlines()
    assert line.endswith(words)


def test_a_newer_format_says_to_upgrade() -> None:
    error = refusal_of("version: 2\nname: x\nnewer: {}\n")
    assert "format 2, and this pgstead knows format 1" in error.message
    assert error.hint == "Upgrade pgstead."


def test_references_name_modules_and_passwords_that_exist() -> None:
    error = refusal_of(
        "name: x\npasswords: {root: {}}\nmodules:\n  etcd-1: {source: etcd-server}\n"
        "  pg:\n    source: patroni-server\n    a: ${modules.etcd1.ip}\n    b: ${passwords.rot}\n"
    )
    assert error.message.splitlines() == [
        (
            "pgstead.yaml:7: modules.pg.a: ${modules.etcd1.ip}: there is no module etcd1; "
            "did you mean etcd-1?"
        ),
        (
            "pgstead.yaml:8: modules.pg.b: ${passwords.rot}: there is no password rot; "
            "did you mean root?"
        ),
    ]


def test_files_are_found_beside_the_stack_file(tmp_path: Path) -> None:
    (tmp_path / "word").write_text("hunter2\n", encoding="utf-8")
    path = tmp_path / "stack.yaml"
    path.write_text(
        "\ufeffname: x\npasswords: {superuser: {value: '${file:word}'}}\ncluster:\n",
        encoding="utf-8",
    )
    assert load(path).passwords["superuser"].value == SecretStr("hunter2")


def test_json_is_a_stack_file_too(tmp_path: Path) -> None:
    path = tmp_path / "stack.json"
    path.write_text('{\n\t"name": "x",\n\t"cluster": {"etcd": {"members": 5}}\n}')
    assert len(load(path).modules) == 9


def test_a_file_that_cannot_be_read_is_named(tmp_path: Path) -> None:
    (tmp_path / "bytes.yaml").write_bytes(b"name: x\n\xff")
    for name, words in {
        "none.yaml": "none.yaml: there is no such file",
        ".": f"{tmp_path.name}: cannot read the file: Is a directory",
        "bytes.yaml": "bytes.yaml:2: the file is not UTF-8 text",
    }.items():
        with pytest.raises(SpecError, match=words) as caught:
            load(tmp_path / name)
        assert caught.value.exit_code == 2


def test_a_program_can_build_a_stack() -> None:
    made = from_tree(
        {
            "name": "x",
            "platform": LocalPlatform(folder=Path("/machines")),
            "passwords": {"superuser": {"value": SecretStr("hunter2")}},
            "cluster": Cluster(postgres=Postgres(members=5, names=("a.org",))),
        },
        folder=Path("/stacks"),
        environ={},
    )
    assert isinstance(made.platform, LocalPlatform)
    assert made.platform.folder == Path("/machines")
    assert made.passwords["superuser"].value == SecretStr("hunter2")
    assert len([key for key in made.modules if key.startswith("postgres")]) == 5
    with pytest.raises(SpecError, match="<program>:1: name: a object cannot stand"):
        from_tree({"name": object()}, folder=Path("/stacks"))
    with pytest.raises(SpecError, match="every key must be text"):
        from_tree({"modules": {1: {}}}, folder=Path("/stacks"))


def test_a_thousand_modules_keep_their_lines() -> None:
    module = "  m{n}:\n    source: etcd-server\n    peer: ${{modules.m0.ip}}\n"
    text = "name: x\nmodules:\n" + "".join(module.format(n=n) for n in range(1000))
    made = stack(text)
    assert len(made.modules) == 1000
    assert made.source.where(("modules", "m999", "peer")) == "pgstead.yaml:3002"
