"""Clients that all lose their connection at once and come back, to be recovered: the operation `storm`.

`{"op": "storm", "n": 15000}`: each enters `/`, has something remembered there, which the server acknowledges, and is cut off; while all are away
there are broadcasts; then all come back at once, as what they were. Nothing that was acknowledged and no broadcast may be lost.
"""
import asyncio, collections, json, time

from pool import OPENING_MAX, Client, allow_files
from wire import mkframe

# Broadcasts while nobody is there.
NEWS = 3
# Who comes back tries so often, with a second in between.
ATTEMPTS_MAX = 20
# All have come back by then, or it is over.
PATIENCE_S = 120


def play(port, step):
    allow_files()
    return asyncio.run(asyncio.wait_for(storm(port, step["n"]), 4 * PATIENCE_S))


async def storm(port, n):
    news, gate = Returning(port, "news"), asyncio.Semaphore(OPENING_MAX)
    await news.enter()
    clients = [Returning(port, number) for number in range(n)]

    async def first(client):
        async with gate:
            await client.enter()
            await client.ask("remember", client.number)

    started = time.monotonic()
    await asyncio.gather(*map(first, clients))
    came_s = time.monotonic() - started
    for client in clients:
        client.stream.transport.abort()
    for number in range(NEWS):
        await news.emit("bc", f"news {number}")
    # What was asked before is done when this is.
    await news.ask("recovered")
    cut = time.monotonic()
    times = sorted(await asyncio.gather(*(client.come_back(gate, cut) for client in clients)))
    lost = sum(client.news != [f"news {number}" for number in range(NEWS)] for client in clients)
    forgotten = sum(client.remembered != client.number for client in clients)
    refused = sum((client.refused for client in clients), collections.Counter())
    for client in [*clients, news]:
        client.send("41")
        client.stream.close()
    return {
        "came_s": round(came_s, 1),
        "back_s": [round(times[at], 2) for at in (0, n // 2, n * 99 // 100, -1)],
        "refused": dict(refused),
        "recovered": sum(client.recovered for client in clients),
        "lost": lost,
        "forgotten": forgotten,
    }


class Returning(Client):
    """A client as stock ones are: it knows its private id and the offset of what it has seen last."""

    def __init__(self, port, number):
        super().__init__(port)
        self.number, self.pid, self.offset, self.recovered, self.remembered = number, None, None, False, None
        self.news, self.refused, self.acks = [], collections.Counter(), 0

    async def enter(self):
        """Into `/`, as who it was."""
        await self.open()
        status = await self.upgrade()
        if status != 101:
            self.stream.close()
            raise ConnectionRefusedError(status)
        auth = json.dumps({"pid": self.pid, "offset": self.offset}) if self.pid else ""
        self.send("40" + auth)
        while not (text := await self.text()).startswith("40"):
            pass
        pid = json.loads(text[2:])["pid"]
        self.recovered, self.pid = pid == self.pid, pid

    async def come_back(self, gate, cut):
        """As soon as it is let in; then it looks whether all is there. How many seconds after the cut that was."""
        for _ in range(ATTEMPTS_MAX):
            try:
                # This process is slower than as many machines: without the gate it would be long between a connection and its request.
                async with gate:
                    await self.enter()
                break
            except (OSError, asyncio.IncompleteReadError) as error:
                self.refused[str(error)] += 1
                await asyncio.sleep(1)
        self.remembered = await self.ask("remembered")
        return time.monotonic() - cut

    async def ask(self, *event):
        """The first argument of the server's acknowledgement; events that come before it are seen."""
        self.acks += 1
        self.send(f"42{self.acks}{json.dumps(event)}")
        start = f"43{self.acks}["
        while not (text := await self.text()).startswith(start):
            pass
        answer = json.loads(text[len(start) - 1 :])
        return answer[0] if answer else None

    async def emit(self, *event):
        self.send(f"42{json.dumps(event)}")

    def send(self, text):
        self.write(mkframe({"opcode": 1}, text.encode()))

    async def text(self):
        """The next packet that is no ping. An event ends with its offset."""
        while True:
            opcode, payload = await self.frame()
            if opcode == 8:
                raise ConnectionResetError(payload[2:].decode())
            text = payload.decode()
            if text == "2":
                self.send("3")
                continue
            if text.startswith("42["):
                event = json.loads(text[2:])
                self.offset = event[-1]
                if event[0] == "bc":
                    self.news.append(event[1])
            return text
