"""The Python agent: carries out a scenario's commands with python-socketio 5, or 4 by way of socketio4.py.

A line of JSON on standard input is a command, a line on standard output its answer:
{"number": 1, "operation": "call", "handle": "client 1", "args": [...]}  →  {"number": 1, "result": ...}
Bytes are {"$bytes": "<base64>"} both ways. Usage: agent.py sync|async
"""

import asyncio
import base64
import collections
import importlib.metadata
import json
import queue
import sys
import threading
import time

import engineio
import engineio.payload
import socketio

library = socketio
if importlib.metadata.version("python-socketio").startswith("4."):
    import socketio4 as library

TRANSPORTS = {"polling": ["polling"], "websocket": ["websocket"], "upgrade": ["polling", "websocket"]}
RECONNECTION = {"reconnection_delay": 0.05, "reconnection_delay_max": 0.2, "randomization_factor": 0}

# The synchronous client would take signals from the main thread, which is none of its business here; version 4 has no say in it.
WITHOUT_SIGNALS = {"handle_sigint": False} if library is socketio else {}

# Its own limit is 16 packets in one answer to a poll; a server under load puts more into one.
engineio.payload.Payload.max_decode_packets = 10_000


def pack(value):
    if isinstance(value, (bytes, bytearray)):
        return {"$bytes": base64.b64encode(value).decode()}
    if isinstance(value, (list, tuple)):
        return [pack(inner) for inner in value]
    if isinstance(value, dict):
        return {key: pack(inner) for key, inner in value.items()}
    return value


def unpack(value):
    if isinstance(value, list):
        return [unpack(inner) for inner in value]
    if isinstance(value, dict):
        if "$bytes" in value:
            return base64.b64decode(value["$bytes"])
        return {key: unpack(inner) for key, inner in value.items()}
    return value


def data_of(args):
    """python-socketio takes several arguments as a tuple, one as itself, none as an empty tuple."""
    return args[0] if len(args) == 1 else tuple(args)


def answer_to(event, args, replies):
    """What a handler returns is the acknowledgement; None would acknowledge with no argument."""
    if event not in replies:
        return None
    return data_of(args if replies[event] == "echo" else unpack(replies[event]))


def connection_arguments(options):
    url = options["url"]
    if options.get("query"):
        url += "?" + "&".join(f"{name}={value}" for name, value in options["query"].items())
    return {
        "url": url,
        "headers": options.get("headers") or {},
        "auth": options.get("auth"),
        "transports": TRANSPORTS[options["mode"]],
        "namespaces": options["namespaces"],
        "wait": False,
    }


class AsyncClient:
    def __init__(self, connection, namespace, options):
        self.connection, self.namespace = connection, namespace
        self.inboxes = collections.defaultdict(asyncio.Queue)
        replies = options.get("replies", {})

        async def received(event, *args):
            self.inboxes[f"event {event}"].put_nowait(list(args))
            return answer_to(event, args, replies)

        async def connected():
            self.inboxes["life connect"].put_nowait({"id": self.id()})

        async def disconnected(reason=None):
            self.inboxes["life disconnect"].put_nowait({"reason": reason})

        async def refused(data=None):
            self.inboxes["life connect_error"].put_nowait(data)

        connection.on("*", received, namespace=namespace)
        connection.on("connect", connected, namespace=namespace)
        connection.on("disconnect", disconnected, namespace=namespace)
        connection.on("connect_error", refused, namespace=namespace)

    def id(self):
        return self.connection.get_sid(self.namespace)

    def transport(self):
        return self.connection.transport()

    async def life(self, kind):
        return await self.inboxes[f"life {kind}"].get()

    async def emit(self, event, *args):
        await self.connection.emit(event, data_of(args), namespace=self.namespace)

    async def call(self, event, *args):
        answered = asyncio.get_running_loop().create_future()
        await self.connection.emit(
            event, data_of(args), namespace=self.namespace, callback=lambda *answers: answered.set_result(answers)
        )
        return await answered

    async def next(self, event):
        return await self.inboxes[f"event {event}"].get()

    async def waiting(self, event):
        return self.inboxes[f"event {event}"].qsize()

    async def collect(self, event, count):
        return [(await self.next(event))[0] for _ in range(count)]

    async def flood(self, event, count, batch):
        before = self.transport()
        for n in range(count):
            await self.emit(event, n)
            if n % batch == batch - 1:
                await asyncio.sleep(0.001)
        return {"from": before, "to": self.transport()}

    async def upgraded(self):
        while self.transport() != "websocket":
            await asyncio.sleep(0.001)

    async def disconnect(self):
        await self.connection.disconnect()


class AsyncAgent:
    def __init__(self):
        self.clients, self.connections = {}, []

    async def open(self, handles, options):
        connection = library.AsyncClient(reconnection=options.get("reconnection", False), **RECONNECTION)
        self.connections.append(connection)
        for handle, namespace in zip(handles, options["namespaces"]):
            self.clients[handle] = AsyncClient(connection, namespace, options)
        await connection.connect(**connection_arguments(options))

    async def close(self):
        for connection in self.connections:
            await connection.shutdown()
        self.clients, self.connections = {}, []

    async def run(self, command):
        operation, handle, args = command["operation"], command["handle"], unpack(command["args"])
        if operation == "open":
            return await self.open(handle, args[0])
        if operation == "close":
            return await self.close()
        result = getattr(self.clients[handle], operation)(*args)
        return await result if asyncio.iscoroutine(result) else result

    async def answer(self, command):
        try:
            answer = {"result": pack(await self.run(command))}
        except Exception as error:  # the scenario decides what a failure means
            answer = {"error": repr(error)}
        print(json.dumps({"number": command["number"], **answer}), flush=True)

    async def serve(self):
        loop, tasks = asyncio.get_running_loop(), set()
        while line := await loop.run_in_executor(None, sys.stdin.readline):
            task = loop.create_task(self.answer(json.loads(line)))
            tasks.add(task)
            task.add_done_callback(tasks.discard)


def in_background(function, *args):
    """Also for what ends a connection: now and then this client then waits for its last poll, until the next ping."""
    threading.Thread(target=function, args=args, daemon=True).start()


class Engine(engineio.Client):
    """Handles messages as it reads them. By itself it starts a thread for each, and then an attachment may overtake its packet."""

    def _trigger_event(self, event, *args, **kwargs):
        return super()._trigger_event(event, *args, **{**kwargs, "run_async": False})


class Connection(library.Client):
    def _engineio_client_class(self):
        return Engine


class SyncClient:
    def __init__(self, connection, namespace, options):
        self.connection, self.namespace = connection, namespace
        self.inboxes, self.making = {}, threading.Lock()
        replies = options.get("replies", {})

        def received(event, *args):
            self.inbox(f"event {event}").put(list(args))
            return answer_to(event, args, replies)

        def connected():
            self.inbox("life connect").put({"id": self.id()})

        def disconnected(reason=None):
            self.inbox("life disconnect").put({"reason": reason})

        def refused(data=None):
            self.inbox("life connect_error").put(data)

        connection.on("*", received, namespace=namespace)
        connection.on("connect", connected, namespace=namespace)
        connection.on("disconnect", disconnected, namespace=namespace)
        connection.on("connect_error", refused, namespace=namespace)

    def inbox(self, name):
        # A handler and a command may ask for a new one at the same time.
        with self.making:
            return self.inboxes.setdefault(name, queue.Queue())

    def id(self):
        return self.connection.get_sid(self.namespace)

    def transport(self):
        return self.connection.transport()

    def life(self, kind):
        return self.inbox(f"life {kind}").get()

    def emit(self, event, *args):
        self.connection.emit(event, data_of(args), namespace=self.namespace)

    def call(self, event, *args):
        answered = queue.Queue()
        self.connection.emit(
            event, data_of(args), namespace=self.namespace, callback=lambda *answers: answered.put(answers)
        )
        return answered.get()

    def next(self, event):
        return self.inbox(f"event {event}").get()

    def waiting(self, event):
        return self.inbox(f"event {event}").qsize()

    def collect(self, event, count):
        return [self.next(event)[0] for _ in range(count)]

    def flood(self, event, count, batch):
        before = self.transport()
        for n in range(count):
            self.emit(event, n)
            if n % batch == batch - 1:
                time.sleep(0.001)
        return {"from": before, "to": self.transport()}

    def upgraded(self):
        while self.transport() != "websocket":
            time.sleep(0.001)

    def disconnect(self):
        in_background(self.connection.disconnect)


class SyncAgent:
    def __init__(self):
        self.clients, self.connections = {}, []
        self.writing = threading.Lock()

    def open(self, handles, options):
        reconnection = options.get("reconnection", False)
        connection = Connection(reconnection=reconnection, **RECONNECTION, **WITHOUT_SIGNALS)
        self.connections.append(connection)
        for handle, namespace in zip(handles, options["namespaces"]):
            self.clients[handle] = SyncClient(connection, namespace, options)
        connection.connect(**connection_arguments(options))

    def close(self):
        for connection in self.connections:
            in_background(connection.shutdown)
        self.clients, self.connections = {}, []

    def run(self, command):
        operation, handle, args = command["operation"], command["handle"], unpack(command["args"])
        if operation == "open":
            return self.open(handle, args[0])
        if operation == "close":
            return self.close()
        return getattr(self.clients[handle], operation)(*args)

    def answer(self, command):
        try:
            answer = {"result": pack(self.run(command))}
        except Exception as error:  # the scenario decides what a failure means
            answer = {"error": repr(error)}
        with self.writing:
            print(json.dumps({"number": command["number"], **answer}), flush=True)

    def serve(self):
        for line in sys.stdin:
            # A command may wait for ever for an event, so each has a thread; they end with the process.
            in_background(self.answer, json.loads(line))


if __name__ == "__main__":
    if sys.argv[1] == "async":
        asyncio.run(AsyncAgent().serve())
    else:
        SyncAgent().serve()
