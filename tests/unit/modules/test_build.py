from __future__ import annotations

from collections.abc import Callable
from copy import deepcopy
from typing import Any

import pytest

from pgstead.certificates import Authority
from pgstead.errors import MissingSoftware, SpecError
from pgstead.membership import EtcdMember, LoadBalancer, PatroniMember
from pgstead.modules.build import MODELS, Blueprint
from pgstead.modules.fake import FakeMaterials
from pgstead.modules.registry import KINDS

Tree = dict[str, Any]
Build = Callable[..., Blueprint]

GIVEN = "-----BEGIN CERTIFICATE-----\nmade up"


def _also(tree: Tree, **changes: Any) -> Tree:
    """A copy of a module with some of its variables changed; `a__b` is `b` in `a`."""
    changed = deepcopy(tree)
    for path, value in changes.items():
        *above, last = path.split("__")
        inner = changed
        for key in above:
            inner = inner.setdefault(key, {})
        inner[last] = value
    return changed


def test_every_module_is_there() -> None:
    names = {"etcd-server", "patroni-server", "postgres-load-balancer", "postgres-server"}
    of_old = {f"kvm-{name}" for name in names} | {"openstack-etcd-server"}
    assert set(MODELS) == names | of_old
    for name, kind in KINDS.items():
        assert kind.model.model_fields["source"].default == name
        assert {"ip", "name", "endpoint"} <= set(kind.outputs)


def _fields(model: Any) -> list[tuple[str, Any]]:
    found = [(f"{model.__name__}.{name}", field) for name, field in model.model_fields.items()]
    for field in model.model_fields.values():
        for inner in _models(field.annotation):
            found += _fields(inner)
    return found


def _models(annotation: Any) -> list[Any]:
    if hasattr(annotation, "model_fields"):
        return [annotation]
    return [one for part in getattr(annotation, "__args__", ()) for one in _models(part)]


@pytest.mark.parametrize("name", MODELS)
def test_every_variable_is_described(name: str) -> None:
    assert [path for path, field in _fields(MODELS[name]) if not field.description] == []


@pytest.mark.parametrize("name", MODELS)
def test_every_model_has_a_json_schema(name: str) -> None:
    assert MODELS[name].model_json_schema()["additionalProperties"] is False


def test_machines_keep_the_order_of_the_file(build_all: Build, etcd: Tree, server: Tree) -> None:
    blueprint = build_all({"z": server, "a": etcd})
    assert [machine.module for machine in blueprint.machines] == ["z", "a"]
    assert [machine.name for machine in blueprint.machines] == ["alone", "etcd-1"]


def test_addresses_are_found_in_one_go(build_all: Build, etcd: Tree, server: Tree) -> None:
    materials = FakeMaterials()
    build_all({"a": server, "b": etcd, "c": _also(server, name="other")}, materials=materials)
    assert materials.reserved == ["alone", "other"]  # etcd has an address of its own


def test_an_unknown_source_is_told_with_the_nearest(build_all: Build, etcd: Tree) -> None:
    with pytest.raises(SpecError, match=r"modules\.a\.source: .*did you mean etcd-server"):
        build_all({"a": {**etcd, "source": "etcd-servr"}})


def test_an_unknown_variable_is_told_with_the_nearest(build_all: Build, etcd: Tree) -> None:
    with pytest.raises(SpecError, match=r"modules\.a\.etcd\.space_qota.*did you mean space_quota"):
        build_all({"a": _also(etcd, etcd__space_qota=1)})


def test_an_unknown_authority_is_told_with_the_nearest(build_all: Build, etcd: Tree) -> None:
    with pytest.raises(SpecError, match=r"modules\.a\.ca: there is no certificate authority 'cb'"):
        build_all({"a": {**etcd, "ca": "cb"}})


def test_two_machines_have_two_names(build_all: Build, server: Tree) -> None:
    with pytest.raises(SpecError, match=r"modules\.b\.name: modules\.a has the name 'alone'"):
        build_all({"a": server, "b": server})


def test_a_machine_needs_a_name(build_all: Build, server: Tree) -> None:
    with pytest.raises(SpecError, match=r"modules\.a\.name"):
        build_all({"a": {key: value for key, value in server.items() if key != "name"}})
    (named,) = build_all({"a": {**server, "name": "mine"}}).machines
    assert named.name == "mine"


def test_modules_may_name_their_own_and_each_others_outputs(build_all: Build, etcd: Tree) -> None:
    members = [{"name": f"etcd-{at}", "ip": f"${{modules.e{at}.ip}}"} for at in (1, 2)]
    first = _also(etcd, cluster__initial_members=members)
    del first["ip"]
    second = {**first, "name": "etcd-2"}
    blueprint = build_all({"e1": first, "e2": second})
    assert [machine.address for machine in blueprint.machines] == ["10.0.0.1", "10.0.0.2"]
    assert blueprint.outputs["e2"]["endpoint"].value == "10.0.0.2:2379"


def test_a_circle_of_outputs_is_named(build_all: Build, server: Tree) -> None:
    modules = {
        "a": {**server, "ip": "${modules.b.ip}"},
        "b": {**server, "name": "other", "ip": "${modules.a.ip}"},
    }
    with pytest.raises(
        SpecError, match=r"circle: modules\.b\.ip -> modules\.a\.ip -> modules\.b\.ip"
    ):
        build_all(modules)


def test_an_unknown_output_is_told_with_the_nearest(build_all: Build, server: Tree) -> None:
    modules = {"a": server, "b": {**server, "name": "other", "domains": ["${modules.a.nam}"]}}
    with pytest.raises(SpecError, match=r"no output of postgres-server nam; did you mean name"):
        build_all(modules)


def test_passwords_come_from_the_materials(build_all: Build, server: Tree) -> None:
    tree = {**server, "postgres_password": "${passwords.one}"}
    (machine,) = build_all({"a": tree}).machines
    content = {file.path: file.content for file in machine.software.files}
    assert content["/etc/postgresql/initdb-password"] == "<password one>\n"


def test_a_secret_output_stays_secret(build_all: Build, server: Tree) -> None:
    other = {**server, "name": "other", "postgres_password": "${modules.a.db_password}"}
    blueprint = build_all({"a": server, "b": other})
    assert blueprint.outputs["a"]["db_password"].value == "<password a/postgres>"
    assert blueprint.outputs["a"]["db_password"].secret
    assert blueprint.outputs["b"]["db_password"].value == ""
    shown = {**server, "name": "third", "domains": ["${modules.a.db_password}"]}
    with pytest.raises(SpecError, match="secret"):
        build_all({"a": server, "b": shown})


def test_outputs_do_not_show_their_value(build_all: Build, server: Tree) -> None:
    assert "<password" not in repr(build_all({"a": server}).outputs)


def _second(tree: Tree, **changes: Any) -> Tree:
    return _also(tree, name="second", **changes)


def test_members_of_a_scope_agree(build_all: Build, patroni: Tree) -> None:
    build_all({"a": patroni, "b": _second(patroni)})
    words = r"modules\.b\.patroni\.ttl: differs from modules\.a: patroni\.ttl is the same"
    with pytest.raises(SpecError, match=words):
        build_all({"a": patroni, "b": _second(patroni, patroni__ttl=61)})


def test_members_of_different_scopes_need_not_agree(build_all: Build, patroni: Tree) -> None:
    build_all({"a": patroni, "b": _second(patroni, patroni__ttl=61, patroni__scope="other")})


def test_a_password_that_differs_is_named_but_not_shown(build_all: Build, patroni: Tree) -> None:
    other = _second(patroni, postgres__superuser_password="hush")
    with pytest.raises(SpecError, match=r"postgres\.superuser_password") as caught:
        build_all({"a": patroni, "b": other})
    assert "hush" not in str(caught.value)


def test_the_order_of_parameters_and_endpoints_does_not_matter(
    build_all: Build, patroni: Tree
) -> None:
    params = [{"key": "work_mem", "value": "5MB"}, {"key": "jit", "value": False}]
    ends = ["10.1.0.1:2379", "10.1.0.2:2379"]
    first = _also(patroni, postgres__params=params, etcd__endpoints=ends)
    other = _second(patroni, postgres__params=params[::-1], etcd__endpoints=ends[::-1])
    build_all({"a": first, "b": other})


def test_members_of_an_etcd_cluster_agree(build_all: Build, etcd: Tree) -> None:
    members = [{"name": "etcd-1", "ip": "10.1.0.1"}, {"name": "second", "ip": "10.1.0.2"}]
    first = _also(etcd, cluster__initial_members=members)
    other = _second(first, ip="10.1.0.2")
    build_all({"a": first, "b": other})
    with pytest.raises(SpecError, match=r"etcd\.space_quota is the same for all members of etcd"):
        build_all({"a": first, "b": _also(other, etcd__space_quota=1 << 30)})


def test_what_is_wrong_in_several_modules_is_told_at_once(build_all: Build, etcd: Tree) -> None:
    other = _second(_also(etcd, etcd__heartbeat=1), ip="10.1.0.2")
    with pytest.raises(SpecError) as caught:
        build_all({"a": _also(etcd, etcd__space_quota="much"), "b": other})
    first, second = caught.value.message.splitlines()
    assert "modules.a.etcd.space_quota: expected a whole number" in first
    assert "modules.b.etcd.heartbeat: unknown key" in second


def test_one_member_sets_up_authentication(build_all: Build, etcd: Tree) -> None:
    members = [{"name": "etcd-1", "ip": "10.1.0.1"}, {"name": "second", "ip": "10.1.0.2"}]
    first = _also(etcd, cluster__initial_members=members, authentication_bootstrap__bootstrap=True)
    other = _second(first, ip="10.1.0.2")
    with pytest.raises(SpecError, match=r"modules\.a and modules\.b both set up authentication"):
        build_all({"a": first, "b": other})


def test_patroni_is_told_which_etcd_cluster_is_its_own(
    build_all: Build, etcd: Tree, patroni: Tree
) -> None:
    used = _also(patroni, etcd__endpoints=["${modules.e.endpoint}"])
    machines = {machine.module: machine for machine in build_all({"p": used, "e": etcd}).machines}
    membership = machines["p"].membership
    assert isinstance(membership, PatroniMember)
    assert membership.etcd_cluster == "token"
    assert machines["p"].after == ("etcd-1",)


def test_an_etcd_cluster_elsewhere_is_nobody_here(build_all: Build, patroni: Tree) -> None:
    (machine,) = build_all({"p": patroni}).machines
    assert isinstance(machine.membership, PatroniMember)
    assert (machine.membership.etcd_cluster, machine.after) == (None, ())


def test_endpoints_belong_to_one_cluster(build_all: Build, etcd: Tree, patroni: Tree) -> None:
    members = [{"name": "second", "ip": "10.1.0.2"}]
    other = _second(
        etcd,
        ip="10.1.0.2",
        cluster__initial_token="other",
        cluster__initial_members=members,
    )
    ends = ["10.1.0.1:2379", "10.1.0.2:2379"]
    with pytest.raises(SpecError, match=r"modules\.p: .*several clusters: other, token"):
        build_all({"e": etcd, "f": other, "p": _also(patroni, etcd__endpoints=ends)})


def _with_user(etcd: Tree, *prefixes: str) -> Tree:
    user = {"name": "patroni", "password": "made-up", "prefixes": list(prefixes)}
    access = {"bootstrap": True, "root_password": "root's", "users": [user]}
    return {**etcd, "authentication_bootstrap": access}


@pytest.mark.parametrize("prefix", ["/service/main/", "/service/", "/"])
def test_patronis_user_may_write_where_it_keeps_its_state(
    prefix: str, build_all: Build, etcd: Tree, patroni: Tree
) -> None:
    user = _also(patroni, etcd__username="patroni", etcd__password="made-up")
    build_all({"e": _with_user(etcd, prefix), "p": user})


@pytest.mark.parametrize("prefixes", [(), ("/service/other/",), ("/service/main/x",)])
def test_patronis_user_with_other_prefixes_is_refused(
    prefixes: tuple[str, ...], build_all: Build, etcd: Tree, patroni: Tree
) -> None:
    user = _also(patroni, etcd__username="patroni", etcd__password="made-up")
    with pytest.raises(SpecError, match=r"may not write to /service/main/"):
        build_all({"e": _with_user(etcd, *prefixes), "p": user})


def test_an_unknown_etcd_user_is_refused(build_all: Build, etcd: Tree, patroni: Tree) -> None:
    user = _also(patroni, etcd__username="patron", etcd__password="made-up")
    with pytest.raises(SpecError, match=r"no user 'patron'; did you mean patroni"):
        build_all({"e": _with_user(etcd, "/service/main/"), "p": user})


def test_a_certificate_that_lacks_the_load_balancer_is_warned_about(
    build_all: Build, patroni: Tree, balancer: Tree
) -> None:
    front = {**balancer, "ip": "10.1.0.9"}
    member = {**patroni, "ip": "10.1.0.5"}
    warnings = build_all({"p": member, "l": front}).warnings
    assert any("modules.p: certificate_names lacks 10.1.0.9" in one for one in warnings)
    member["certificate_names"] = ["${modules.l.ip}"]
    warnings = build_all({"p": member, "l": front}).warnings
    assert not any("certificate_names" in one for one in warnings)


def test_a_warning_names_all_the_modules_it_is_about(build_all: Build, patroni: Tree) -> None:
    warnings = build_all({"a": patroni, "b": _second(patroni)}).warnings
    warning = next(one for one in warnings if "patroni.ttl" in one)
    assert warning.startswith("modules.a, modules.b: ")


def test_an_authority_of_the_stack_file_signs(build_all: Build, etcd: Tree) -> None:
    given = {"certificate": GIVEN, "key": "-----BEGIN PRIVATE KEY-----"}
    materials = FakeMaterials()
    build_all({"a": etcd}, materials=materials, certificate_authorities={"ca": given})
    assert materials.authority("ca") == Authority(GIVEN, "-----BEGIN PRIVATE KEY-----")


def test_one_given_authority_is_one_however_often_it_is_given(
    build_all: Build, etcd: Tree, balancer: Tree
) -> None:
    materials = FakeMaterials()
    client = {"ca_key": "a key", "ca_certificate": f"{GIVEN}\n"}
    own = _also(balancer, haproxy__patroni_client=client)
    del own["ca"]
    given = {"key": "a key", "key_algorithm": "RSA", "certificate": GIVEN}
    machines = build_all({"a": {**etcd, "ca": given}, "b": own}, materials=materials).machines
    (name,) = {request.authority for request in materials.asked.values()}
    assert materials.authority(name) == Authority(f"{GIVEN}\n", "a key")
    first, second = (machine.membership for machine in machines)
    assert isinstance(first, EtcdMember)
    assert isinstance(second, LoadBalancer)
    assert first.operator.certificate == second.operator.certificate


@pytest.mark.parametrize("wanted", ["14", 16])
def test_a_postgresql_that_is_not_there_is_refused(
    wanted: Any, build_all: Build, patroni: Tree
) -> None:
    tree = _also(patroni, postgres__version=wanted)
    there = {"postgresql": "17.2", "postgresql-15": "15.18", "postgresql-17": "17.2"}
    with pytest.raises(MissingSoftware, match=rf"wants PostgreSQL {wanted}, but there is 15, 17"):
        build_all({"a": tree}, versions=there)


@pytest.mark.parametrize(("wanted", "package"), [(15, "15"), ("17", "17"), (None, "17")])
def test_any_postgresql_that_is_there_can_be_wanted(
    wanted: Any, package: str, build_all: Build, patroni: Tree
) -> None:
    tree = patroni if wanted is None else _also(patroni, postgres__version=wanted)
    there = {"postgresql": "17.2", "postgresql-15": "15.18", "postgresql-17": "17.2"}
    (machine,) = build_all({"a": tree}, versions=there).machines
    assert f"postgresql-{package}" in [each.name for each in machine.software.packages]


def test_an_old_patroni_is_refused(build_all: Build, patroni: Tree) -> None:
    with pytest.raises(MissingSoftware, match=r"Patroni 3\.0\.2 is too old"):
        build_all({"a": patroni}, versions={"patroni": "3.0.2"})
    build_all({"a": patroni}, versions={"patroni": "4.1.5"})


def test_no_secret_is_in_a_warning_or_a_repr(build_all: Build, patroni: Tree) -> None:
    tree = _also(patroni, postgres__superuser_password="hush", postgres__replicator_password="hush")
    blueprint = build_all({"a": tree})
    assert any("replicator_password equals" in warning for warning in blueprint.warnings)
    assert "hush" not in repr(blueprint)
