# SPDX-License-Identifier: Apache-2.0
"""A TCP proxy that simulates latency and bandwidth: data arrives `--delay` seconds after it was sent, each way, and a
new connection costs one more round trip, like a handshake. `--rate` limits each connection to that many bytes a second
towards the client, `--line` all of them together. The kernel's netem does the same but is not available on every
machine.

    link.py [--delay S] [--rate BYTES | --line BYTES] LISTEN:TO...
"""

import argparse
import asyncio
import os
from collections.abc import Callable

BLOCK = 256 * 1024
LATE = 0.05  # seconds
MOST = 64 << 20  # bytes under way in one direction of one connection


class Line:
    """Carries so many bytes a second."""

    def __init__(self, rate: float):
        self.rate, self.free = rate, 0.0

    async def carry(self, size: int) -> None:
        now = asyncio.get_running_loop().time()
        # The line is busy with what was sent before. It saves up no more than this process may be late.
        self.free = max(self.free, now - LATE) + size / self.rate
        if self.free > now:
            await asyncio.sleep(self.free - now)


async def pump(reader, writer, delay: float, line: Line | None, first: float) -> None:
    """Carries one direction: what was read at t is written at t + delay; the very first bytes `first` later."""
    loop = asyncio.get_running_loop()
    under_way: asyncio.Queue = asyncio.Queue(MOST // BLOCK)
    born = loop.time()

    async def read() -> None:
        while True:
            try:
                data = await reader.read(BLOCK)
            except OSError:
                data = b""
            if line:
                await line.carry(len(data))
            await under_way.put((max(loop.time(), born + first) + delay, data))
            if not data:
                return

    task = asyncio.create_task(read())
    try:
        while True:
            due, data = await under_way.get()
            if due > (now := loop.time()):
                await asyncio.sleep(due - now)
            if not data:
                break
            writer.write(data)
            await writer.drain()
        if writer.can_write_eof():
            writer.write_eof()
    except (OSError, RuntimeError):
        pass
    finally:
        task.cancel()


async def serve(listen: int, to: int, delay: float, line: Callable[[], Line | None]) -> None:
    async def connection(reader, writer) -> None:
        far_writer = None
        try:
            far_reader, far_writer = await asyncio.open_connection("127.0.0.1", to, limit=1 << 20)
            there = asyncio.create_task(pump(reader, far_writer, delay, None, 2 * delay))
            back = asyncio.create_task(pump(far_reader, writer, delay, line(), 0))
            # A client that has gone needs nothing more; a server that has ended has sent its last.
            await asyncio.wait({there, back}, return_when=asyncio.FIRST_COMPLETED)
            for task in (there, back):
                task.cancel()
        except OSError:
            pass
        finally:
            for each in (writer, far_writer):
                if each is not None:
                    each.close()

    server = await asyncio.start_server(connection, "127.0.0.1", listen, limit=1 << 20, backlog=1024)
    await server.serve_forever()


async def main() -> None:
    parser = argparse.ArgumentParser()
    parser.add_argument("--delay", type=float, default=0)
    parser.add_argument("--rate", type=float)
    parser.add_argument("--line", type=float)
    parser.add_argument("ports", nargs="+")
    options = parser.parse_args()
    try:
        os.nice(-10)  # a line does not slow down because the machine is busy; only root may
    except OSError:
        pass
    shared = Line(options.line) if options.line else None
    ports = [tuple(map(int, each.split(":"))) for each in options.ports]

    def line() -> Line | None:
        return Line(options.rate) if options.rate else shared

    await asyncio.gather(*(serve(listen, to, options.delay, line) for listen, to in ports))


if __name__ == "__main__":
    asyncio.run(main())
