"""Serves the lab's AWS on one address, and ends within seconds with everything saved.

Not hypercorn's own program: at its end that waits half a minute for every idle TLS client to say
goodbye, and saves only after that.
"""

import argparse
import asyncio
import os
import signal

from hypercorn.asyncio import serve
from hypercorn.config import Config

from chronos_ops.lab.emulator.app import app, save_everything

_LAST_REQUESTS_SECONDS = 1.5


async def _serve(config: Config) -> None:
    stop = asyncio.Event()
    for number in (signal.SIGTERM, signal.SIGINT):
        asyncio.get_running_loop().add_signal_handler(number, stop.set)
    serving = asyncio.create_task(serve(app, config, shutdown_trigger=stop.wait))
    told = asyncio.create_task(stop.wait())
    await asyncio.wait({serving, told}, return_when=asyncio.FIRST_COMPLETED)
    if not stop.is_set():
        await serving  # it never began: the reason
    await asyncio.wait({serving}, timeout=_LAST_REQUESTS_SECONDS)
    save_everything()
    os._exit(0)


def main() -> None:
    parser = argparse.ArgumentParser(prog="the lab's AWS")
    parser.add_argument("--bind", required=True, help="ADDRESS:PORT")
    parser.add_argument("--certfile", required=True)
    parser.add_argument("--keyfile", required=True)
    given = parser.parse_args()
    config = Config()
    config.bind = [given.bind]
    config.certfile, config.keyfile = given.certfile, given.keyfile
    config.keep_alive_timeout = 75
    config.loglevel = "WARNING"
    asyncio.run(_serve(config))


main()
