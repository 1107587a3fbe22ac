from __future__ import annotations

from typing import Any

import jinja2
import pytest
import yaml
from hypothesis import given
from hypothesis import strategies as st

from pgstead.errors import SpecError
from pgstead.render import conf_string, haproxy_word, render, yaml_block, yaml_scalar

TEXT = st.text(alphabet=st.characters(exclude_categories=["Cs"]))
ONE_LINE = st.text(alphabet=st.characters(exclude_categories=["Cs", "Cc"]))
TREES = st.recursive(
    st.none() | st.booleans() | st.integers() | TEXT,
    lambda below: (
        st.lists(below, max_size=3)
        | st.dictionaries(st.text(alphabet="abyn_-.:#1 ", min_size=1), below, max_size=3)
    ),
    max_leaves=8,
)


@given(TEXT)
def test_a_yaml_scalar_is_read_back_as_it_was(text: str) -> None:
    scalar = yaml_scalar(text)
    assert "\n" not in scalar
    assert yaml.safe_load(f"key: {scalar}\nnext: 1") == {"key": text, "next": 1}


@pytest.mark.parametrize("value", [None, True, False, 0, -5, 1.5])
def test_other_yaml_scalars_keep_their_type(value: object) -> None:
    assert yaml.safe_load(yaml_scalar(value)) == value


def test_a_list_is_no_yaml_scalar() -> None:
    with pytest.raises(TypeError):
        yaml_scalar([])


@given(TREES)
def test_a_yaml_block_is_read_back_as_it_was(tree: Any) -> None:
    assert yaml.safe_load("key:\n" + yaml_block(tree, 2)) == {"key": tree}


@given(ONE_LINE)
def test_a_conf_string_ends_where_it_should(text: str) -> None:
    quoted = conf_string(text)
    inside = quoted[1:-1].replace("''", "").replace("\\\\", "")
    assert quoted.startswith("'")
    assert quoted.endswith("'")
    assert "'" not in inside
    assert "\\" not in inside


def test_conf_strings_are_quoted_the_way_postgresql_wants() -> None:
    assert conf_string("it's a \\ path") == r"'it''s a \\ path'"


def test_haproxy_words_are_quoted_only_if_they_must_be() -> None:
    assert haproxy_word("/etc/haproxy/tls/ca.crt") == "/etc/haproxy/tls/ca.crt"
    assert haproxy_word("/my folder/#1") == "'/my folder/#1'"
    assert haproxy_word("it's") == r"'it'\''s'"
    assert haproxy_word("") == "''"


@pytest.mark.parametrize("quote", [conf_string, haproxy_word])
def test_no_value_can_begin_another_line(quote: Any) -> None:
    with pytest.raises(SpecError, match="line break"):
        quote("a\nssl = off")


def test_an_undefined_name_is_an_error() -> None:
    with pytest.raises(jinja2.UndefinedError):
        render("pgstead.modules.postgres_server", "pg_hba.conf.j2")


def test_a_template_is_compiled_once() -> None:
    lines = ["local all all reject"]
    first = render("pgstead.modules.postgres_server", "pg_hba.conf.j2", lines=lines)
    assert first == render("pgstead.modules.postgres_server", "pg_hba.conf.j2", lines=lines)
    assert first.endswith("local all all reject\n")
