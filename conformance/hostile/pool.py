"""Many clients at once that say little or nothing, and what becomes of them: the operation `pool`.

`{"op": "pool", "n": 5000, "do": [{"op": "tcp", "text": "GET / HTTP/1.1\\r\\n", "hold": true, "drip": {"every_ms": 5000, "text": "X"}}]}`:
each client does `do` from beginning to end and then waits for the server to end it. Steps are `handshake` (polling, with `connect` into `/`),
`ws` (with `connect`), `tcp` (with `drip`: something more again and again) and, on a WebSocket, `frame` (`repeat` of them, `rate` per second).
"""
import asyncio, collections, os, resource, time

from wire import gen, mkframe

# How many open at the same time, and in a second: the kernel queues about a thousand for the server, and lets others try again later.
OPENING_MAX = 500
OPENED_PER_S = 1000
# Connections for requests that are answered at once.
KEPT_MAX = 50
# How often a paced client writes.
TICK_S = 0.1
# Of frames that the server does not take, so much waits on this side; what is more is left out.
UNSENT_BYTES_MAX = 1 << 20
# Who has no answer by then has none.
PATIENCE_S = 60
SESSION = "/socket.io/?EIO=4&transport=polling"
KEY = "Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ=="
UPGRADE = f"GET /socket.io/?EIO=4&transport=websocket HTTP/1.1\r\nHost: x\r\nConnection: Upgrade\r\nUpgrade: websocket\r\nSec-WebSocket-Version: 13\r\n{KEY}\r\n\r\n"


def play(port, step, expect):
    """Until all are closed by the server, or should have been: what was seen."""
    allow_files()
    until_s = expect.get("closed_ms", [0, 0])[1] / 1000
    return asyncio.run(Pool(port, step["do"], until_s).play(step["n"]))


def allow_files():
    """As many as this process may have; many systems start with 1,024. Whoever floods is to leave the processor to whom it floods."""
    most = resource.getrlimit(resource.RLIMIT_NOFILE)[1]
    resource.setrlimit(resource.RLIMIT_NOFILE, (most, most))
    os.nice(max(0, 10 - os.nice(0)))


class Pool:
    def __init__(self, port, steps, until_s):
        self.port, self.steps, self.until_s = port, steps, until_s
        self.gate, self.kept = asyncio.Semaphore(OPENING_MAX), asyncio.Queue()
        self.statuses, self.close_codes = collections.Counter(), collections.Counter()
        self.next_open = 0
        self.longest_ms, self.shortest_ms, self.left, self.frames = [], [], 0, 0

    async def play(self, n):
        started = time.monotonic()
        for _ in range(KEPT_MAX):
            self.kept.put_nowait(None)
        await asyncio.gather(*(self.member() for _ in range(n)))
        while not self.kept.empty():
            if client := self.kept.get_nowait():
                client.stream.close()
        closed = len(self.longest_ms)
        return {
            "statuses": dict(self.statuses),
            "close_codes": dict(self.close_codes),
            "closed": closed,
            "closed_ms": [min(self.longest_ms), max(self.shortest_ms)] if closed else None,
            "left_open": self.left,
            "frames": self.frames,
            "took_s": round(time.monotonic() - started, 1),
        }

    async def member(self):
        client = Client(self.port)
        async with self.gate:
            for step in self.steps:
                if not await getattr(self, step["op"])(client, step):
                    break
        if client.stream is None:
            return
        if self.until_s or client.meanwhile:
            await self.see_end(client)
        client.stream.close()

    async def open(self, client):
        """In its turn."""
        self.next_open = max(self.next_open + 1 / OPENED_PER_S, time.monotonic())
        await asyncio.sleep(self.next_open - time.monotonic())
        await client.open()

    async def see_end(self, client):
        """Closed by the server, and when; or still there, longer than it may be, or when it has said all."""
        meanwhile = [asyncio.ensure_future(make()) for make in client.meanwhile]
        ended = asyncio.ensure_future(client.closed())
        if self.until_s:
            await asyncio.wait([ended], timeout=client.opened + self.until_s - time.monotonic())
        else:
            await asyncio.wait([ended, *meanwhile], return_when=asyncio.FIRST_COMPLETED)
        if ended.done():
            ended_at = time.monotonic()
            # The server has had it from some moment in between on.
            self.longest_ms.append(round((ended_at - client.began) * 1000))
            self.shortest_ms.append(round((ended_at - client.opened) * 1000))
            if code := ended.result():
                (self.close_codes if client.is_websocket else self.statuses)[code] += 1
        else:
            self.left += 1
        for task in [ended, *meanwhile]:
            task.cancel()

    async def tcp(self, client, step):
        await self.open(client)
        client.write(step["text"].replace("{sid}", client.sid or "").encode())
        if drip := step.get("drip"):

            async def more():
                while True:
                    await asyncio.sleep(drip["every_ms"] / 1000)
                    client.write(drip["text"].encode())

            client.meanwhile.append(more)
        return True

    async def handshake(self, client, step):
        head, body = await self.request("GET", SESSION)
        status = int(head.split()[1])
        self.statuses[status] += 1
        if status != 200:
            return False
        client.sid = body.split('"sid":"')[1].split('"')[0]
        if step.get("connect"):
            await self.request("POST", f"{SESSION}&sid={client.sid}", "40")
            await self.request("GET", f"{SESSION}&sid={client.sid}")
        return True

    async def request(self, method, target, body=""):
        """On a connection that has been used before, if there is one."""
        client = await self.kept.get() or Client(self.port)
        # One that has rested for long is closed.
        if client.stream is None or client.reader.at_eof():
            await self.open(client)
        client.write(f"{method} {target} HTTP/1.1\r\nHost: x\r\nContent-Length: {len(body)}\r\n\r\n{body}".encode())
        head = (await client.reader.readuntil(b"\r\n\r\n")).decode()
        length = int(head.lower().split("content-length: ")[1].split("\r")[0])
        answer = (await client.reader.readexactly(length)).decode()
        self.kept.put_nowait(client)
        return head, answer

    async def ws(self, client, step):
        await self.open(client)
        status = await client.upgrade()
        self.statuses[status] += 1
        if status == 101 and step.get("connect"):
            client.write(mkframe({"opcode": 1}, b"40"))
        return status == 101

    async def frame(self, client, step):
        """Paced, beside what is read. A frame that would wait on this side is not counted."""
        frame = mkframe(step, gen(step.get("payload", "")))
        each = int(step["rate"] * TICK_S)

        async def flood():
            left, due = step["repeat"], time.monotonic()
            while left > 0:
                if client.stream.transport.get_write_buffer_size() < UNSENT_BYTES_MAX:
                    client.write(frame * min(each, left))
                    self.frames += min(each, left)
                left -= each
                due += TICK_S
                await asyncio.sleep(max(0, due - time.monotonic()))

        client.meanwhile.append(flood)
        return True


class Client:
    """One connection, with what it does beside waiting for its end."""

    def __init__(self, port):
        self.port, self.stream, self.sid, self.meanwhile, self.is_websocket = port, None, None, [], False

    async def open(self):
        self.began = time.monotonic()
        self.reader, self.stream = await asyncio.open_connection("127.0.0.1", self.port)
        self.opened = time.monotonic()

    async def upgrade(self):
        """The answer's status; 0 where there is none."""
        self.is_websocket = True
        self.write(UPGRADE.encode())
        try:
            head = await asyncio.wait_for(self.reader.readuntil(b"\r\n\r\n"), PATIENCE_S)
        except (asyncio.TimeoutError, asyncio.IncompleteReadError, OSError):
            return 0
        # What the server gives a session it has from now on.
        self.opened = time.monotonic()
        return int(head.split()[1])

    def write(self, data):
        self.stream.write(data)

    async def frame(self):
        """The next frame of a WebSocket."""
        head = await self.reader.readexactly(2)
        length = head[1] & 127
        if length == 126:
            length = int.from_bytes(await self.reader.readexactly(2), "big")
        return head[0] & 15, await self.reader.readexactly(length)

    async def closed(self):
        """Waits for the end: the code of a close frame, or the status of a last answer."""
        last = b""
        try:
            while self.is_websocket:
                opcode, payload = await self.frame()
                if opcode == 8:
                    last = payload[:2]
                # Who has something to do stays for it.
                if payload == b"2" and self.meanwhile:
                    self.write(mkframe({"opcode": 1}, b"3"))
            while data := await self.reader.read(4096):
                last = last or data
        except (asyncio.IncompleteReadError, OSError):
            pass
        if self.is_websocket:
            return int.from_bytes(last, "big")
        return int(last.split()[1]) if last.startswith(b"HTTP/") else 0
