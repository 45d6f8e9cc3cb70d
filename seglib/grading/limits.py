"""What a submission may use: time, memory, files and processes."""

from __future__ import annotations

from dataclasses import dataclass

MIB = 2**20


@dataclass(frozen=True)
class Limits:
    """What a submission may use.

    Attributes:
        wall_seconds: elapsed time of one run of its notebook, with all calls of its functions.
        cpu_seconds: CPU time of each process.
        cell_seconds: time for each of its cells.
        call_seconds: time for each call of one of its functions.
        memory: bytes of memory of all processes together.
        files: bytes of all files that it writes; each file may have a quarter of this.
        processes: number of processes at one time, threads included.
        output: bytes of its output that are read; the rest is discarded.
    """

    wall_seconds: float = 600.0
    cpu_seconds: int = 120
    cell_seconds: float = 60.0
    call_seconds: float = 40.0
    memory: int = 3000 * MIB
    files: int = 256 * MIB
    processes: int = 256
    output: int = 2**18

    def per_process(self) -> dict[str, int]:
        """The limits of each process, by the names of `setrlimit`."""
        return {
            "CPU": self.cpu_seconds,
            "DATA": self.memory,
            "FSIZE": self.files // 4,
            "NOFILE": 512,
            "NPROC": self.processes,
            "CORE": 0,
        }
