"""TLS before a server that speaks plain HTTP: what comes decrypted goes on to it as it is."""
import asyncio
import ssl
import subprocess
import threading

from programs import DEADLINE

PIECE = 1 << 16


def make_authority(directory, name):
    """A certificate for 127.0.0.1 that only its own file vouches for, and its key, in one PEM."""
    pem = directory / f"{name}.pem"
    subprocess.run(["openssl", "req", "-x509", "-newkey", "ec", "-pkeyopt",
                    "ec_paramgen_curve:prime256v1", "-nodes", "-days", "2", "-subj", f"/CN={name}",
                    "-addext", "subjectAltName=IP:127.0.0.1", "-keyout", pem, "-out", pem],
                   check=True, capture_output=True)
    return pem


class TlsFront:
    """cut: so many connections are closed before anything is said on them, by FIN or RST. broken: so
    many end in the middle of a request's body."""

    def __init__(self, port, pem):
        self.target, self.cut, self.broken, self.served = port, 0, 0, 0
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        context.load_cert_chain(pem)
        self.loop = asyncio.new_event_loop()
        self.thread = threading.Thread(target=self.loop.run_forever, daemon=True)
        self.thread.start()
        self.inner = self.call(asyncio.start_server(self.serve, "127.0.0.1", 0, ssl=context))
        self.outer = self.call(asyncio.start_server(self.admit, "127.0.0.1", 0))
        self.endpoint = f"https://127.0.0.1:{port_of(self.outer)}"

    def call(self, coroutine):
        return asyncio.run_coroutine_threadsafe(coroutine, self.loop).result(DEADLINE)

    async def admit(self, reader, writer):
        """The bytes as they come, still encrypted."""
        if self.cut:
            self.cut -= 1
            writer.close() if self.cut % 2 else writer.transport.abort()
            return
        await join(reader, writer, port_of(self.inner))

    async def serve(self, reader, writer):
        self.served += 1
        if self.broken:
            self.broken -= 1
            await reader.readexactly(PIECE)
            writer.transport.abort()
            return
        await join(reader, writer, self.target)

    async def end(self):
        for server in self.outer, self.inner:
            server.close()
        rest = asyncio.all_tasks() - {asyncio.current_task()}
        for task in rest:
            task.cancel()
        await asyncio.gather(*rest, return_exceptions=True)

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.call(self.end())
        self.loop.call_soon_threadsafe(self.loop.stop)
        self.thread.join(DEADLINE)
        self.loop.close()


def port_of(server):
    return server.sockets[0].getsockname()[1]


async def join(reader, writer, port):
    other_reader, other_writer = await asyncio.open_connection("127.0.0.1", port)
    try:
        pumps = [asyncio.ensure_future(pump(reader, other_writer)),
                 asyncio.ensure_future(pump(other_reader, writer))]
        await asyncio.wait(pumps, return_when=asyncio.FIRST_COMPLETED)
        for task in pumps:
            task.cancel()
    finally:
        writer.close()
        other_writer.close()


async def pump(reader, writer):
    try:
        while piece := await reader.read(PIECE):
            writer.write(piece)
            await writer.drain()
    except (ConnectionError, ssl.SSLError):
        pass  # either side may go
