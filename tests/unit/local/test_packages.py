from __future__ import annotations

from pathlib import Path

from pgstead.platforms.local.packages import write_wrappers
from pgstead.run import run


def test_an_unpacked_program_runs_with_its_libraries(tmp_path: Path) -> None:
    root = tmp_path / "it's here/root"
    libraries = root / "usr/lib/x86_64-linux-gnu"
    for program in ("usr/sbin/haproxy", "usr/lib/postgresql/15/bin/postgres", "usr/bin/other"):
        path = root / program
        path.parent.mkdir(parents=True)
        path.write_text('#!/bin/sh\necho "$LD_LIBRARY_PATH" "$0" "$@"\n')
        path.chmod(0o755)
    (libraries / "perl").mkdir(parents=True)
    (libraries / "liblua.so.5").write_text("")
    (libraries / "perl/x.so").write_text("")
    base = root.parent
    write_wrappers(base)
    made = sorted(str(path.relative_to(base / "bin")) for path in (base / "bin").rglob("*"))
    assert made == ["haproxy", "postgresql-15", "postgresql-15/postgres"]
    answer = run([base / "bin/haproxy", "-c", "a b"]).stdout.strip()
    assert answer == f"{libraries}:{libraries}/perl {root}/usr/sbin/haproxy -c a b"
