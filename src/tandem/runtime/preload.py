"""``python -m tandem.runtime.preload COMMAND ...``: run a command whose stages start with their libraries already imported.

Importing torch, transformers, TRL and sentence-transformers takes 7 to 13 s of one core in every stage that trains or encodes. Here one
process imports them once and forks for each ``python -m stages.X`` that the command starts, as multiprocessing's ``forkserver`` does for
its workers. Nothing of Tandem is kept in that process, so a stage runs the code that its folder holds; and a stage that is started
without it, or before it is ready, starts as ever. Libraries start neither threads nor a GPU when they are imported, so forking is safe.
"""

from __future__ import annotations

import contextlib
import importlib
import os
import runpy
import select
import signal
import socket
import subprocess
import sys
import tempfile
import traceback
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import orjson

__all__ = ["run_command"]

LIBRARIES = (
    *("sentence_transformers", "transformers.trainer", "peft", "datasets", "trl.trainer.sft_trainer", "trl.trainer.reward_trainer"),
    *("bm25s", "faiss", "ir_measures", "pydantic", "ruamel.yaml"),
)
QUIET = {"TOKENIZERS_PARALLELISM": "false", "TRL_EXPERIMENTAL_SILENCE": "1", "TRANSFORMERS_NO_ADVISORY_WARNINGS": "1"}
POLL_SECONDS = 0.05
# What `python` means to the command: itself, unless it is to run a stage and the libraries are there.
CLIENT = """
import array, json, os, socket, sys
real, address, words = sys.argv[1], sys.argv[2], sys.argv[3:]
if words[:1] != ["-m"] or not words[1].startswith("stages.") or not os.path.exists(address):
    os.execv(real, [real, *words])
server = socket.socket(socket.AF_UNIX)
server.connect(address)
request = json.dumps({"module": words[1], "words": words[2:], "folder": os.getcwd(), "environment": dict(os.environ)}).encode()
server.sendmsg([len(request).to_bytes(8, "big")], [(socket.SOL_SOCKET, socket.SCM_RIGHTS, array.array("i", [0, 1, 2]))])
server.sendall(request)
answer = server.recv(1)
sys.exit(answer[0] if answer else 1)
"""


def run_command(command: Sequence[str], *, libraries: Sequence[str] = LIBRARIES) -> int:
    """Run a command with ``python`` on its path answered by a process that has the libraries; its exit code.

    Args:
        command: a program and its arguments, such as ``dvc repro``.
        libraries: to import; what is not installed is left to the stage that needs it.
    """
    with tempfile.TemporaryDirectory(prefix="tandem-") as name:
        folder, (alive, ours) = Path(name), os.pipe()
        shim = folder / "python"
        (folder / "client.py").write_text(CLIENT, encoding="utf8")
        shim.write_text(f'#!/bin/sh\nexec "{sys.executable}" -I -S "{folder}/client.py" "{sys.executable}" "{folder}/socket" "$@"\n')
        shim.chmod(0o755)
        # The pipe's other end closes when this process ends, however it ends; then the one that has the libraries ends too.
        serve = [sys.executable, "-m", "tandem.runtime.preload", "--serve", str(folder / "socket"), str(alive), *libraries]
        server = subprocess.Popen(serve, pass_fds=[alive], env={**os.environ, **QUIET}, start_new_session=True)
        os.close(alive)
        try:
            return subprocess.call(command, env={**os.environ, "PATH": f"{folder}{os.pathsep}{os.environ['PATH']}"})
        finally:
            os.close(ours)
            server.terminate()
            server.wait()


def _serve(address: Path, alive: int, libraries: Sequence[str]) -> None:
    for library in libraries:
        with contextlib.suppress(ImportError):
            importlib.import_module(library)
        if select.select([alive], [], [], 0)[0]:
            return
    signal.signal(signal.SIGCHLD, signal.SIG_IGN)  # nobody waits for those that look after a stage
    with socket.socket(socket.AF_UNIX) as listener:
        draft = address.with_suffix(".tmp")
        listener.bind(str(draft))
        listener.listen(64)
        draft.rename(address)
        waited: list[Any] = [listener, alive]
        while alive not in select.select(waited, [], [])[0]:
            client, _ = listener.accept()
            if os.fork() == 0:
                listener.close()
                _look_after(client)
            client.close()


def _look_after(client: socket.socket) -> None:
    """Fork a stage for a client and tell it the exit code; a client that goes away takes its stage with it. Does not return."""
    signal.signal(signal.SIGCHLD, signal.SIG_DFL)
    head, streams, _, _ = socket.recv_fds(client, 8, 3)
    body, size = b"", int.from_bytes(head, "big")
    while len(body) < size:
        body += client.recv(size - len(body))
    request = orjson.loads(body)
    stage = os.fork()
    if stage == 0:
        client.close()
        os.setpgid(0, 0)
        for descriptor, stream in enumerate(streams):
            os.dup2(stream, descriptor)
        _run_stage(**request)
    for stream in streams:
        os.close(stream)
    while True:
        done, status = os.waitpid(stage, os.WNOHANG)
        if done:
            client.sendall(bytes([os.waitstatus_to_exitcode(status) % 256]))
            os._exit(0)
        if select.select([client], [], [], POLL_SECONDS)[0]:
            with contextlib.suppress(ProcessLookupError):
                os.killpg(stage, signal.SIGKILL)
            os.waitpid(stage, 0)
            os._exit(1)


def _run_stage(*, module: str, words: Sequence[str], folder: str, environment: Mapping[str, str]) -> None:
    """What ``python -m module words`` does in a folder, in this process. Does not return."""
    code = 1
    try:
        os.chdir(folder)
        relative = [path for path in os.environ.get("PYTHONPATH", "").split(os.pathsep) if path]
        os.environ.clear()
        os.environ.update(environment)
        paths = [str(Path(path).resolve()) for path in environment.get("PYTHONPATH", "").split(os.pathsep) if path]
        sys.path[:] = [folder, *paths, *(path for path in sys.path[1:] if path not in relative)]
        for name in [name for name in sys.modules if name.split(".")[0] in {"tandem", "stages"}]:
            del sys.modules[name]
        sys.argv = [module, *words]
        runpy.run_module(module, run_name="__main__", alter_sys=True)
        code = 0
    except SystemExit as error:
        code = error.code if isinstance(error.code, int) else 0 if error.code is None else 1
        if isinstance(error.code, str):
            sys.stderr.write(f"{error.code}\n")
    except BaseException:  # noqa: BLE001 - this is where Python itself would print it
        traceback.print_exc()
    finally:
        sys.stdout.flush()
        sys.stderr.flush()
        os._exit(code)


if __name__ == "__main__":
    if sys.argv[1:2] == ["--serve"]:
        _serve(Path(sys.argv[2]), int(sys.argv[3]), sys.argv[4:])
    elif len(sys.argv) > 1:
        sys.exit(run_command(sys.argv[1:]))
    else:
        sys.exit("usage: python -m tandem.runtime.preload COMMAND ...")
