"""Stages that start from a process with their libraries imported do what they do without it."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

STAGE = """
import json, os, sys
import tandem
from pathlib import Path
loaded = "wave" in sys.modules
print("argv", sys.argv[1:], "name", __name__, "value", os.environ.get("VALUE"), "loaded", loaded, "tandem", Path(tandem.__file__).parent)
print("to stderr", file=sys.stderr)
if sys.argv[1:] == ["fail"]:
    sys.exit("error: as a stage ends on bad input")
if sys.argv[1:] == ["crash"]:
    raise RuntimeError("a bug")
if sys.argv[1:] == ["sleep"]:
    import time
    Path("pid").write_text(str(os.getpid()))
    time.sleep(60)
"""
READY = 'while [ ! -e "$(dirname "$(command -v python)")/socket" ]; do sleep 0.05; done; '


@pytest.fixture
def project(tmp_path: Path) -> Path:
    for name in ("stages", "src/tandem"):
        (tmp_path / name).mkdir(parents=True)
        (tmp_path / name / "__init__.py").touch()
    (tmp_path / "stages/hello.py").write_text(STAGE)
    return tmp_path


def call(project: Path, script: str) -> subprocess.CompletedProcess[str]:
    run = f"run_command(['sh', '-c', {READY + script!r}], libraries=['wave', 'no_such'])"
    command = [sys.executable, "-c", f"from tandem.runtime.preload import run_command; raise SystemExit({run})"]
    environment = {name: value for name, value in os.environ.items() if name != "PYTHONPATH"}
    return subprocess.run(command, cwd=project, env=environment, capture_output=True, text=True, timeout=60, check=False)


def test_a_stage_gets_arguments_environment_folder_and_libraries(project: Path) -> None:
    done = call(project, "env PYTHONPATH=src VALUE=7 python -m stages.hello a 'b c'")
    expected = f"argv ['a', 'b c'] name __main__ value 7 loaded True tandem {project}/src/tandem"
    assert (done.returncode, done.stdout.strip(), done.stderr.strip()) == (0, expected, "to stderr")


def test_the_code_of_a_stage_is_read_when_it_starts(project: Path) -> None:
    change = "python -m stages.hello one; echo 'print(\"changed\")' > stages/hello.py; python -m stages.hello two"
    done = call(project, f"export PYTHONPATH=src; {change}")
    assert "['one']" in done.stdout
    assert done.stdout.endswith("changed\n")


def test_anything_else_is_python_itself(project: Path) -> None:
    done = call(project, "python -c 'import sys; print(\"wave\" in sys.modules, sys.prefix); sys.exit(5)'")
    assert (done.returncode, done.stdout.strip()) == (5, f"False {sys.prefix}")


@pytest.mark.parametrize(("word", "text"), [("fail", "error: as a stage ends on bad input"), ("crash", "RuntimeError: a bug")])
def test_a_stage_that_fails_fails_the_command(project: Path, word: str, text: str) -> None:
    done = call(project, f"PYTHONPATH=src python -m stages.hello {word}")
    assert done.returncode == 1
    assert done.stderr.strip().endswith(text)


def test_a_killed_stage_ends_with_it_and_so_does_everything_else(project: Path) -> None:
    kill = "PYTHONPATH=src python -m stages.hello sleep & while [ ! -s pid ]; do sleep 0.05; done; kill -9 $!; sleep 0.5; cat pid"
    done = call(project, kill)
    stage = int(done.stdout.split()[-1])
    with pytest.raises(ProcessLookupError):
        os.kill(stage, 0)
    started = time.time()
    assert call(project, "kill -9 $PPID").returncode == -signal.SIGKILL
    assert time.time() - started < 30
    time.sleep(0.3)
    left = subprocess.run(["pgrep", "-f", "tandem.runtime.preload --serve"], capture_output=True, text=True, check=False).stdout.split()
    assert not [pid for pid in left if Path(f"/proc/{pid}/cwd").resolve() == project]
