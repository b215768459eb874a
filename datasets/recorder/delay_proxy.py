"""A TCP proxy which, from SIGUSR1 on, holds every byte back for a while, both ways."""

import argparse
import asyncio
import signal


class Link:
    delay_seconds = 0.0


async def pump(link: Link, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    """Delays without throttling: what arrives meanwhile is already on its way."""
    loop = asyncio.get_running_loop()
    in_flight: asyncio.Queue = asyncio.Queue()

    async def deliver() -> None:
        while True:
            due, data = await in_flight.get()
            await asyncio.sleep(due - loop.time())
            if not data:
                writer.close()
                return
            writer.write(data)

    delivery = asyncio.create_task(deliver())
    data = b"-"
    while data:
        try:
            data = await reader.read(65536)
        except ConnectionError:
            data = b""
        in_flight.put_nowait((loop.time() + link.delay_seconds, data))
    await delivery


async def run(options: argparse.Namespace) -> None:
    link = Link()
    asyncio.get_running_loop().add_signal_handler(
        signal.SIGUSR1, lambda: setattr(link, "delay_seconds", options.delay_seconds)
    )

    async def relay(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        to_reader, to_writer = await asyncio.open_connection(options.to, options.port)
        await asyncio.gather(pump(link, reader, to_writer), pump(link, to_reader, writer))

    server = await asyncio.start_server(relay, options.listen, options.port)
    await server.serve_forever()


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--listen", required=True)
    parser.add_argument("--to", required=True)
    parser.add_argument("--port", type=int, required=True)
    parser.add_argument("--delay-seconds", type=float, required=True)
    asyncio.run(run(parser.parse_args()))


main()
