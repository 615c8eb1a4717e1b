"""The circuit's own program, which computes from its inputs the value of every wire.

It is circom's WebAssembly, run by wasmtime: no file, clock or network can be reached from it.
Compiling it takes a second, so the result is kept in a cache that only its owner can write.
"""

import contextlib
import os
import platform
import secrets
import stat
import struct
from collections.abc import Mapping, Sequence
from hashlib import sha256
from importlib.metadata import version
from pathlib import Path
from typing import Any, Final

import wasmtime

from zk.field import ORDER, SIZE, element

_FORM: Final = "1"  # of the cache; part of the name
_DIGEST: Final = 32  # bytes of SHA-256 before the module
_LIMB: Final = 32  # bits that go over the border at a time
_PAGE: Final = 65536  # bytes
_WTNS_VERSION: Final = 2  # of snarkjs' witness file: sections 1, header, and 2, values

# Calling out of WebAssembly for each of 11,000 wires takes a quarter of a second; this loop runs
# inside, and puts them one after another at the end of the program's memory.
_COLLECT: Final = """
(module
  (import "circuit" "memory" (memory 1))
  (import "circuit" "getWitness" (func $get (param i32)))
  (func (export "collect") (param $count i32) (param $shared i32) (param $to i32)
    (local $wire i32)
    (block $done (loop $next
      (br_if $done (i32.ge_u (local.get $wire) (local.get $count)))
      (call $get (local.get $wire))
      (i64.store (local.get $to) (i64.load (local.get $shared)))
      (i64.store offset=8 (local.get $to) (i64.load offset=8 (local.get $shared)))
      (i64.store offset=16 (local.get $to) (i64.load offset=16 (local.get $shared)))
      (i64.store offset=24 (local.get $to) (i64.load offset=24 (local.get $shared)))
      (local.set $to (i32.add (local.get $to) (i32.const 32)))
      (local.set $wire (i32.add (local.get $wire) (i32.const 1)))
      (br $next)))))
"""


class WitnessRefused(Exception):
    """The circuit does not accept these inputs."""


class WitnessProgram:
    """The compiled program; each witness is computed in a fresh instance of it.

    Args:
        program: WebAssembly whose hash the caller has checked.
        cache: directory of compiled programs, made if it is not there; None: compile each time.
    """

    def __init__(self, program: bytes, cache: Path | None) -> None:
        config = wasmtime.Config()
        # no address space in reserve: by default gigabytes, which no memory limit would allow
        config.memory_reservation = 0
        config.memory_guard_size = 0
        config.memory_reservation_for_growth = 0
        config.parallel_compilation = False
        self._engine = wasmtime.Engine(config)
        self._module = _compiled(self._engine, program, cache)
        self._collect = wasmtime.Module(self._engine, _COLLECT)

    def compute(self, signals: Mapping[str, Sequence[int]]) -> bytes:
        """Return the witness in the form of a .wtns file.

        Args:
            signals: field elements by the names of the circuit's inputs.

        Raises:
            WitnessRefused: the circuit does not accept them, or has other inputs.
            NotInField: one is no field element.
        """
        store = wasmtime.Store(self._engine)
        linker = wasmtime.Linker(self._engine)
        for wanted in self._module.imports:
            kind = wanted.type
            if not isinstance(kind, wasmtime.FuncType) or wanted.name is None:
                raise WitnessRefused
            # it calls when a constraint does not hold, and would go on if this came back; what it
            # prints besides may hold secrets
            call = _refuse if wanted.name == "exceptionHandler" else _ignore
            linker.define_func(wanted.module, wanted.name, kind, call)
        exports = linker.instantiate(store, self._module).exports(store)
        try:
            return self._run(store, exports, signals)
        except (wasmtime.WasmtimeError, wasmtime.Trap):
            raise WitnessRefused from None

    def _run(self, store: Any, exports: Any, signals: Mapping[str, Sequence[int]]) -> bytes:
        def call(name: str, *arguments: int) -> int:
            result = exports[name](store, *map(_signed, arguments))
            return int(result or 0)

        call("init", 1)
        given = 0
        for name, values in signals.items():
            high, low = divmod(_name_hash(name), 1 << 32)
            if call("getInputSignalSize", high, low) != len(values):
                raise WitnessRefused
            for place, value in enumerate(values):
                for limb in range(SIZE * 8 // _LIMB):
                    part = element(value) >> (_LIMB * limb) & 0xFFFFFFFF
                    call("writeSharedRWMemory", limb, part)
                call("setInputSignal", high, low, place)
            given += len(values)
        if given != call("getInputSize"):
            raise WitnessRefused
        count = call("getWitnessSize")
        memory = exports["memory"]
        end = memory.data_len(store)
        memory.grow(store, -(-count * SIZE // _PAGE))
        linker = wasmtime.Linker(self._engine)
        linker.define(store, "circuit", "memory", memory)
        linker.define(store, "circuit", "getWitness", exports["getWitness"])
        collect: Any = linker.instantiate(store, self._collect).exports(store)["collect"]
        collect(store, count, call("getSharedRWMemoryStart"), end)
        return _wtns(bytes(memory.read(store, end, end + count * SIZE)))


def _refuse(_code: int) -> None:
    raise WitnessRefused


def _ignore(*_arguments: int) -> None:
    pass


def _signed(word: int) -> int:
    return word - (1 << 32) if word >> 31 else word


def _name_hash(name: str) -> int:
    """FNV-1a with 64 bits, by which circom knows its inputs."""
    value = 0xCBF29CE484222325
    for byte in name.encode():
        value = (value ^ byte) * 0x100000001B3 % (1 << 64)
    return value


def _wtns(values: bytes) -> bytes:
    count = len(values) // SIZE
    header = struct.pack("<I", SIZE) + ORDER.to_bytes(SIZE, "little") + struct.pack("<I", count)
    sections = [header, values]
    data = b"wtns" + struct.pack("<II", _WTNS_VERSION, len(sections))
    for number, section in enumerate(sections, 1):
        data += struct.pack("<IQ", number, len(section)) + section
    return data


def _compiled(engine: wasmtime.Engine, program: bytes, cache: Path | None) -> wasmtime.Module:
    if cache is None:
        return wasmtime.Module(engine, program)
    parts = (_FORM, sha256(program).hexdigest(), version("wasmtime"), platform.machine())
    file = cache / (sha256(" ".join(parts).encode()).hexdigest() + ".cwasm")
    kept = _read_own(file)
    if kept is not None:
        # what the library does not know again it refuses
        with contextlib.suppress(wasmtime.WasmtimeError):
            return wasmtime.Module.deserialize(engine, kept)
    module = wasmtime.Module(engine, program)
    with contextlib.suppress(OSError):  # a full disk costs a second each time, and no more
        _write_own(file, bytes(module.serialize()))
    return module


def _read_own(file: Path) -> bytes | None:
    """Read what we wrote: it is machine code, so it must be whole and nobody else's."""
    try:
        descriptor = os.open(file, os.O_RDONLY | os.O_CLOEXEC | os.O_NOFOLLOW)
        with open(descriptor, "rb") as opened:
            status = os.fstat(descriptor)
            if status.st_uid != os.geteuid() or stat.S_IMODE(status.st_mode) & 0o077:
                return None
            data = opened.read()
    except OSError:
        return None
    digest, module = data[:_DIGEST], data[_DIGEST:]
    return module if sha256(module).digest() == digest else None


def _write_own(file: Path, module: bytes) -> None:
    file.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
    fresh = file.with_suffix(f".{secrets.token_hex(8)}")
    flags = os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC
    with open(os.open(fresh, flags, 0o600), "wb") as opened:
        opened.write(sha256(module).digest() + module)
    fresh.replace(file)
